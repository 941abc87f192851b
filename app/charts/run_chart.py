"""The chart of a run: its curves, downsampled as they grow, and what is known of its data."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from app.charts.divergence import COST_FACTOR, Divergence, Reach, costs_of, reach_of_descent, reach_of_script
from app.charts.metric_names import key_of
from app.charts.trajectory import Trajectory
from app.errors import DamagedError
from app.schemas.view import StepRange
from app.storage.batch import Batch, Floats, Point
from app.storage.chunks import Times
from app.storage.downsampling import Curve
from app.storage.records import RunRecord
from app.storage.store import Store
from trainers import METHODS, Method, Params
from trainers.method import BEFORE_UPDATE
from trainers.problem import Parabola, make_data
from trainers.theory.cost_surface import CostSurface

log = logging.getLogger("lossboard.charts")

MAX_SAMPLES = 20_000  # kept of a run's data, to be drawn one by one
MAX_TIMES = 4000


@dataclass
class RunChart:
    """A run with its downsampled curves; the cost of its data is a ``parabola`` for models with one parameter, a
    ``surface`` for those with w and b, whose path over it is the ``trajectory``."""

    run: RunRecord
    kept: frozenset[str] | None = None  # keys of the metrics whose curves are kept (see metric_names); None for all
    parabola: Parabola | None = None
    surface: CostSurface | None = None
    data: tuple[Floats, Floats] | None = None  # x and y, the first of them, to be shown one by one
    samples: int = 0  # how many there are in all
    updates_per_epoch: int | None = None
    lr_limit: float | None = None  # the learning rate from which on it diverges, where that is known and of use
    detail: StepRange | None = None  # the only positions that are drawn; None for all
    curves: dict[str, Curve] = field(default_factory=dict)
    trajectory: Trajectory = field(default_factory=Trajectory)
    divergence: Divergence = field(default_factory=Divergence)  # of a descent
    times: Times = field(default_factory=list)
    logged: dict[str, None] = field(default_factory=dict)  # every metric of the run, in the order of appearance
    newest: Point | None = None  # the last record in the chart
    next_seq: int = 0  # the number of the first record that is not in the chart

    def __post_init__(self) -> None:
        self.logged = dict.fromkeys(self.run.last)

    def keeps(self, name: str) -> bool:
        """Whether the curve of a metric is kept."""
        return self.kept is None or key_of(name) in self.kept

    def lacks(self, wanted: frozenset[str] | None) -> bool:
        """Whether curves of metrics with these keys, None for all, have to be read from the store."""
        return any(not self.keeps(name) and (wanted is None or key_of(name) in wanted) for name in self.logged)

    def keep_only(self, wanted: frozenset[str] | None) -> None:
        """Keep the curves of metrics with these keys from now on, and no others; None for all."""
        self.kept = wanted
        self.curves = {name: curve for name, curve in self.curves.items() if self.keeps(name)}

    def append(self, batch: Batch) -> bool:
        """Draw the records of a batch that came in just now. False if some before it are missing."""
        if batch.seq > self.next_seq:
            return False
        new = batch.after(self.next_seq)
        if len(new):
            self._draw(new)
            self.times.append((float(new.rows[-1, 0]), time.time() if new.at is None else new.at))
            if len(self.times) > MAX_TIMES:
                self.times = self.times[::2]
        return True

    async def catch_up(self, store: Store) -> None:
        """Draw what is stored and not in the chart yet, a bounded part at a time."""
        # what a descent's update from one position has led to lies at the next one
        ends = (self.detail.from_step - self.is_descent, self.detail.to_step) if self.detail else ()
        count = await store.count(self.run)
        while batches := await store.some_batches(self.run, self.next_seq, 200, *ends):
            for batch in batches:
                self._draw(batch.after(self.next_seq))
        self.next_seq = max(self.next_seq, count)  # what lies outside of the detail is not read
        self.times = await store.times(self.run)

    @property
    def is_descent(self) -> bool:
        """Whether the run is a built-in descent: its positions count updates, and position 0 is before the first."""
        return self.method is not None and self.method.kind == "descent"

    @property
    def method(self) -> Method[Any] | None:
        """The run's method; None for a script's."""
        return METHODS.get(self.run.method)

    @cached_property
    def params(self) -> Params | None:
        """The parameters of a built-in method, as the run began; None if what is stored of them is damaged. Those that
        may change while it runs are not to be asked of it."""
        try:
            return self.method.params.model_validate(self.run.params) if self.method else None
        except ValidationError:
            return None

    @cached_property
    def initial(self) -> dict[str, float]:
        """A descent's parameters before its first update, by name; none of searches, of scripts, and of a run whose
        stored parameters are damaged."""
        if not self.is_descent or self.method is None or self.params is None:
            return {}
        return self.method.initial(self.params)

    @property
    def count(self) -> int:
        """How many samples there are; 0 where there are none, or they cannot be read."""
        return self.samples or (len(self.data[0]) if self.data else 0)

    @cached_property
    def loss_scale(self) -> float | None:
        """How many times the cost over all data a descent's loss is; None where it is another one, or not known."""
        if self.method is None or self.method.loss_scale is None or self.params is None or not self.count:
            return None
        return self.method.loss_scale(self.params, self.count)

    @property
    def final_cost(self) -> float | None:
        """The cost over all data after the last update of a descent that has ended, as its worker found it."""
        cost = self.run.result.get("final_mse") if self.is_descent else None
        return cost if isinstance(cost, float) and math.isfinite(cost) else None

    def cost_at(self, values: Mapping[str, float]) -> float | None:
        """The cost over all data of these parameters, from the data; None where that is not known."""
        if self.parabola and "w" in values:
            return self.parabola.cost(values["w"])
        return self.surface.cost(values["w"], values["b"]) if self.surface and {"w", "b"} <= values.keys() else None

    def gradient_at(self, values: Mapping[str, float]) -> dict[str, float]:
        """The gradient of that cost, by the names of metrics; empty where it is not known."""
        if self.method is None:
            return {}
        if self.parabola and "w" in values:
            return self.method.gradient(values, self.parabola.gradient(values["w"]), 0.0)
        if self.surface and {"w", "b"} <= values.keys():
            return self.method.gradient(values, *self.surface.gradient(values["w"], values["b"]))
        return {}

    def positions(self, metric: str, steps: Floats) -> Floats:
        """Where the values of a metric at these steps lie along an axis, of the same shape.

        Position k of a descent is after k updates. A point of step k tells the loss and the gradient before update
        k + 1, so at position k, and all else after it, at position k + 1. Those of searches and scripts are steps.
        """
        return steps + 1 if self.is_descent and metric not in BEFORE_UPDATE else steps

    def points(self, metric: str, at_most: int, *, log: bool = False) -> tuple[Floats, Floats]:
        """Positions and values of at most ``at_most`` points (2 or more) of a metric, in order, chosen for a
        logarithmic axis with ``log``; a NaN stands where the steps fall or repeat.

        Of a descent's parameter, what it was before the first update comes first; of a loss or a gradient over all
        samples, what it is after the last one comes last."""
        curve = self.curves.get(metric)
        if curve is None or not curve.total:
            return np.empty(0), np.empty(0)
        first, last = self._before_first(metric), self._after_last(metric)
        steps, values = curve.points(max(2, at_most - len(first) - len(last)), log=log)
        ends = np.array([*first, *last]).reshape(-1, 2)
        count = len(first)
        return (
            np.concatenate([ends[:count, 0], self.positions(metric, steps), ends[count:, 0]]),
            np.concatenate([ends[:count, 1], values, ends[count:, 1]]),
        )

    def _before_first(self, metric: str) -> list[tuple[float, float]]:
        """Position and value of a descent's parameter before the first update, if that is to be drawn."""
        is_shown = metric in self.initial and self._is_in_range(0.0)
        return [(0.0, self.initial[metric])] if is_shown else []

    def _after_last(self, metric: str) -> list[tuple[float, float]]:
        """Position and value of a descent's loss or gradient after the last update, of which no point tells: from the
        data. None of a loss that is not that of all samples."""
        newest = self.newest
        if newest is None or self.loss_scale is None or metric not in BEFORE_UPDATE:
            return []
        if self.detail and newest.step != self.run.step:  # the last of the range that is drawn, not of the run
            return []
        is_end = self.final_cost is not None and newest.step == self.run.step
        cost = self.final_cost if is_end else self.cost_at(newest.values)
        ends = {**self.gradient_at(newest.values), "loss": cost}
        value = ends.get(metric)
        if value is None or not math.isfinite(self.loss_scale * value) or not self._is_in_range(newest.step + 1):
            return []
        return [(newest.step + 1, self.loss_scale * value)]

    def _is_in_range(self, position: float) -> bool:
        return self.detail is None or self.detail.from_step <= position <= self.detail.to_step

    def reach(self, metric: str) -> Reach | None:
        """How far a metric goes, for a scale to hold; None if it has no values."""
        curve = self.curves.get(metric)
        if curve is None:
            return None
        if not self.is_descent:
            return reach_of_script(curve)
        initial = self.initial.get(metric) if self._is_in_range(0.0) else None
        final = next((value for _, value in self._after_last(metric)), None)
        return reach_of_descent(self.divergence, metric, curve, initial, final)

    def seconds(self, steps: Floats) -> Floats:
        """When these steps came in, in seconds since the run started; between two that are known, in proportion."""
        known = np.array(self.times or [(0.0, 0.0)])
        since = known[:, 1] - (self.run.started_at or known[0, 1])
        known_steps, since = np.maximum.accumulate(known[:, 0]), np.maximum.accumulate(since)
        begin = min(0.0, known_steps[0])
        seconds: Floats = np.interp(steps, np.append(begin, known_steps), np.append(0.0, np.maximum(since, 0.0)))
        return seconds

    def epochs(self, steps: Floats) -> Floats | None:
        """In which epoch these steps are, if that is known: from the method, or from a metric named epoch."""
        if self.updates_per_epoch:
            return steps / self.updates_per_epoch
        return self.interpolated("epoch", steps)

    def metric_like(self, name: str) -> str | None:
        """The metric of this name that has values here, or else the first that shares a window with it."""
        alike = [one for one, curve in self.curves.items() if curve.total and key_of(one) == key_of(name)]
        return name if name in alike else next(iter(alike), None)

    def interpolated(self, metric: str, steps: Floats) -> Floats | None:
        """The values of a metric at these steps, in proportion between known ones; None if it has none."""
        curve = self.curves.get(metric)
        if curve is None or not curve.total:
            return None
        known, values = curve.points(2000)
        order = np.argsort(known, kind="stable")
        order = order[np.isfinite(values[order])]
        return np.interp(steps, known[order], values[order])

    def _draw(self, new: Batch) -> None:
        self.next_seq = new.seq + len(new)
        if not len(new):
            return
        self.newest = new.point(len(new) - 1)
        rows = new.rows
        self.logged.update(dict.fromkeys(new.names))
        if self.is_descent:
            self._follow_costs(new.names, rows)
        for column, name in enumerate(new.names, 1):
            if self.keeps(name):
                kept = rows[self._drawn(name, rows[:, 0])]
                self.curves.setdefault(name, Curve()).append(kept[:, 0], kept[:, column])
        if self.surface and self.kept is None and {"w", "b"} <= set(new.names):
            self.trajectory.append(rows[:, [0, 1 + new.names.index("w"), 1 + new.names.index("b")]])

    def _follow_costs(self, names: tuple[str, ...], rows: Floats) -> None:
        """Let the divergence of a descent follow records that are about to be drawn."""
        if self.detail:
            rows = rows[(rows[:, 0] >= self.detail.from_step - 1) & (rows[:, 0] <= self.detail.to_step)]
        costs = costs_of(self.parabola, self.surface, names, rows)
        if costs is None or not len(costs):
            return
        if math.isnan(self.divergence.scale):
            at_zero = self.cost_at({"w": 0.0, "b": 0.0}) or 0.0  # a run that begins at the minimum has a scale, too
            start = self.cost_at(self.initial) if self._is_in_range(0.0) else None
            self.divergence.scale = max(at_zero / COST_FACTOR, float(costs[0]) if start is None else start)
        self.divergence.append(names, rows, costs, self.curves)

    def _drawn(self, metric: str, steps: Floats) -> NDArray[np.bool_] | slice:
        """Which records, of these steps, have a value of a metric that is to be drawn."""
        if self.detail is None:
            return slice(None)
        positions = self.positions(metric, steps)
        drawn: NDArray[np.bool_] = (positions >= self.detail.from_step) & (positions <= self.detail.to_step)
        return drawn


async def draw(
    store: Store, run: RunRecord, kept: frozenset[str] | None = None, detail: StepRange | None = None
) -> RunChart:
    """The chart of a stored run. GoneError if it is deleted meanwhile."""
    drawn = RunChart(run, kept, detail=detail)
    await prepare(drawn, store)
    return drawn


async def prepare(drawn: RunChart, store: Store) -> None:
    """Give a new chart what belongs to its run: the data, what is known of it, and the stored points."""
    try:
        await _prepare_data(drawn, store)
    except (DamagedError, ValidationError) as error:  # its curves are drawn without
        log.info("the data and params of run %s are not shown: %s", drawn.run.id, error)
    await drawn.catch_up(store)


async def _prepare_data(drawn: RunChart, store: Store) -> None:
    run = drawn.run
    if run.data_hash and run.method in METHODS:
        method = METHODS[run.method]
        data = await store.get_data(run)
        params = method.params.model_validate(run.params)
        drawn.data, drawn.samples = (data[0][:MAX_SAMPLES].copy(), data[1][:MAX_SAMPLES].copy()), len(data[0])
        drawn.updates_per_epoch = method.updates_per_epoch(params, drawn.samples)
        if "lr" in run.varied:
            drawn.lr_limit = method.lr_limit(params, make_data(*data))
        if method.one_parameter:
            drawn.parabola = parabola_of(data)
        else:
            drawn.surface = CostSurface.of(make_data(*data))


def parabola_of(data: tuple[Floats, Floats]) -> Parabola:
    """The cost of a one-parameter model on this data, as a function of w."""
    return Parabola.of(make_data(*data))
