"""What of a run's metrics a scale is to hold: all of them, but not where a descent diverges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from app.storage.batch import Floats, is_missing
from app.storage.downsampling import Curve, Extent
from trainers.method import BEFORE_UPDATE
from trainers.problem import Parabola
from trainers.theory.cost_surface import CostSurface

COST_FACTOR = 10.0  # times what it was at the start: a descent with a greater cost has departed
OTHERS_FACTOR = COST_FACTOR**2  # the same for metrics that grow like the square root of the cost
BOUNCES = 8  # updates that a scale follows, however far they lead
CALM = 8  # updates in a row without a departure: it has come back
FAR_POINTS = 8  # of a script's metric, beyond downsampling.FAR: it has departed for good, and is no spike
COSTS = frozenset({"loss", "mse"})


@dataclass(frozen=True)
class Reach:
    """How far a metric of a run goes, for a scale to hold. As a run goes on both extents only ever grow."""

    extent: Extent  # of all its values but those since the departure that it is on
    wide: Extent  # of those that a run is shown by that diverges by itself
    departed: bool  # now
    ever_departed: bool


@dataclass
class Divergence:
    """Follows the costs of a built-in descent: it departs where its cost over all data is COST_FACTOR times the
    greatest it should be, and comes back after CALM updates below that. Most that depart do not come back."""

    scale: float = math.nan  # the greatest cost that a descent from here should have; NaN: not known yet
    departed: bool = False
    ever_departed: bool = False
    before: dict[str, Extent] = field(default_factory=dict)  # of each metric, before the departure it is on
    wide: dict[str, Extent] = field(default_factory=dict)  # of those of which that is decided
    _seen: int = 0  # records
    _calm: int = 0  # since the last beyond the limit

    def append(self, names: tuple[str, ...], rows: Floats, costs: Floats, curves: Mapping[str, Curve]) -> None:
        """Follow some records, of shape (n, 1 + metrics), before they are in the curves. `costs`, of shape (n,), are
        those over all data after the update of each."""
        with np.errstate(invalid="ignore"):
            beyond = np.flatnonzero(~(costs <= COST_FACTOR * self.scale))
        columns = dict(zip(names, rows.T[1:], strict=True))
        if len(beyond):
            self._decide_wide(columns, costs, curves)
            self._depart(columns, beyond, curves)
            self._calm = len(costs) - 1 - int(beyond[-1])
        else:
            self._calm += len(costs)
        if self.departed and self._calm >= CALM:
            self.departed = False
        self._seen += len(costs)

    def _depart(self, columns: Mapping[str, Floats], beyond: np.ndarray, curves: Mapping[str, Curve]) -> None:
        """Note how far the metrics went before the last departure that begins with one of the records `beyond`."""
        calm_before = np.diff(beyond, prepend=-1 - self._calm) - 1
        begins = beyond[calm_before >= CALM] if self.departed else beyond[(calm_before >= CALM) | (beyond == beyond[0])]
        if len(begins):
            at = int(begins[-1])
            self.before = {
                name: extent
                for name, values in columns.items()
                if (extent := _extent(curves.get(name), values[: at + (name in BEFORE_UPDATE)]))
            }
        self.departed = self.ever_departed = True

    def _decide_wide(self, columns: Mapping[str, Floats], costs: Floats, curves: Mapping[str, Curve]) -> None:
        """Note how far the metrics went in their first bounces, and until a cost beyond the limit of each."""
        bounces = max(0, BOUNCES - self._seen)
        for name, values in columns.items():
            if name in self.wide:
                continue
            limit = self.scale * (COST_FACTOR if name in COSTS else OTHERS_FACTOR)
            beyond = np.flatnonzero(~(costs[bounces:] <= limit))
            if len(beyond):
                end = bounces + int(beyond[0]) + (name in BEFORE_UPDATE)
                if extent := _extent(curves.get(name), values[:end]):
                    self.wide[name] = extent


def costs_of(
    parabola: Parabola | None, surface: CostSurface | None, names: tuple[str, ...], rows: Floats
) -> Floats | None:
    """The cost over all data after the update of each record, of shape (n,); None if these records do not tell it, and
    the loss where nothing is known of the data."""
    columns = dict(zip(names, rows.T[1:], strict=True))
    costs: Floats
    with np.errstate(over="ignore", invalid="ignore"):
        if parabola and "w" in columns:
            distance = columns["w"] - parabola.w_star
            costs = parabola.minimum + parabola.curvature / 2 * distance * distance
            return costs
        if surface and {"w", "b"} <= columns.keys():
            costs = surface.minimum + surface.above_minimum(columns["w"], columns["b"])
            return costs
    if parabola or surface or "loss" not in columns:
        return None
    return np.where(is_missing(columns["loss"]), 0.0, columns["loss"])


def reach_of_descent(
    divergence: Divergence, name: str, curve: Curve, initial: float | None, final: float | None
) -> Reach | None:
    """How far a metric of a built-in descent goes, which was `initial` before its first update and is `final` after its
    last one, where that is known beside its curve. None if it has no values."""
    extent = curve.extent()
    if extent is None or curve.first is None:
        return None
    first = curve.first[1]
    start = first if initial is None else initial
    wide = _union(divergence.wide.get(name, extent), (start, start))
    if name in COSTS:
        wide = _union(wide, (0.0, COST_FACTOR * first))
    if final is not None and name not in divergence.wide:
        wide = _union(wide, (final, final))
    if divergence.departed:
        extent = divergence.before.get(name, (start, start))
    elif final is not None:
        extent = _union(extent, (final, final))
    return Reach(_union(extent, (start, start)), wide, divergence.departed, divergence.ever_departed)


def reach_of_script(curve: Curve) -> Reach | None:
    """How far a metric of a script goes; None if it has no values. It may do so for a reason: only what is beyond all
    measure, and not for a moment, has departed."""
    extent = curve.extent()
    if extent is None or curve.first is None:
        return None
    departed = curve.far >= FAR_POINTS
    if departed:
        extent = curve.before_far or (curve.first[1], curve.first[1])
    size = COST_FACTOR * abs(curve.first[1])
    wide = _union(extent, (-size if extent[0] < 0 else 0.0, size))
    return Reach(extent, wide, departed, departed)


def union_of(extents: list[Extent]) -> Extent:
    """What holds all of these."""
    return min(low for low, _ in extents), max(high for _, high in extents)


def _union(one: Extent, other: Extent) -> Extent:
    return union_of([one, other])


def _extent(curve: Curve | None, values: Floats) -> Extent | None:
    """The extent of a curve and of these values after it; None of no values."""
    before = curve.extent() if curve else None
    finite = values[np.isfinite(values)]
    if not len(finite):
        return before
    now = (float(finite.min()), float(finite.max()))
    return _union(before, now) if before else now
