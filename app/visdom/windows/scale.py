"""The scales of plots where a run explodes: they stay where the others can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.charts.run_chart import RunChart
from app.schemas.view import Scale
from app.storage.downsampling import Curve
from app.visdom.windows.layout import MAX_POINTS, PADDING_FACTOR, Layout, Trace, padded
from app.visdom.windows.x_axis import PlotOptions

EXPLOSION_FACTOR = 1e6  # times its first value: beyond that a curve has exploded
DIVERGED_FACTOR = 100  # the same for a run that has diverged
ALONE_FACTOR = 100  # times its first value: the linear scale of curves that all explode
MAX_LOG_VALUE = 300.0  # log10; plotly cannot draw values near the largest float64
MIN_FIRST_VALUE = 1e-300  # smaller first values count as this one
MAX_DISTANCE = 5  # heights of the plot from its middle; a curve beyond that is cut


@dataclass(frozen=True)
class Limits:
    """The values that a scale may reach. low: None for no limit."""

    low: float | None
    high: float

    def as_options(self) -> dict[str, float]:
        """plotly's autorangeoptions."""
        return {"clipmax": self.high} if self.low is None else {"clipmin": self.low, "clipmax": self.high}


def explodes(chart: RunChart, metric: str) -> bool:
    """Whether a curve goes so far from its first value that a scale with all of it would show nothing else."""
    curve = chart.curves.get(metric)
    extent = curve.extent() if curve else None
    if curve is None or extent is None or curve.first is None:
        return False
    size = max(abs(extent[0]), abs(extent[1]))
    factor = DIVERGED_FACTOR if chart.run.status == "diverged" else EXPLOSION_FACTOR
    return size > factor * max(1.0, abs(curve.first[1]))


def limit_scale(traces: list[Trace], layout: Layout, shown: list[tuple[RunChart, str]], options: PlotOptions) -> str:
    """Limit a plot's scale to curves that do not explode, and cut those that do where they leave it for good.

    `shown` has the chart and the metric of each trace. Changes `traces` and `layout` in place; returns a note of what
    leaves the scale, "" for nothing.
    """
    curves = [chart.curves[metric] for chart, metric in shown]
    exploding = [explodes(chart, metric) for chart, metric in shown]
    axes, limits = options.axes, _limits(curves, exploding, options.axes.y)
    if limits is None:
        return ""
    layout[axes.y_key]["autorangeoptions"] = limits.as_options()
    exits = {
        index: step
        for index, curve in enumerate(curves)
        if exploding[index] and (step := _exit_step(curve, limits)) is not None
    }
    for index in exits:
        # A positive curve leaves a log scale once only, and is drawn whole.
        if axes.y == "linear" or curves[index].not_positive:
            _cut(traces[index], limits)
    if not exits:
        return ""
    if all(exploding) and options.x_axis == "step":  # show how they leave the scale, not the steps after that
        end = PADDING_FACTOR * max(*exits.values(), options.selected_step or 0.0) + (axes.x == "log")
        clip = {"clipmax": end} if options.selected_step is None else {"clipmax": end, "include": end}
        layout[axes.x_key]["autorangeoptions"] = clip
    return _exit_note(exits, shown, options)


def _exit_note(exits: dict[int, float], shown: list[tuple[RunChart, str]], options: PlotOptions) -> str:
    """Which curves leave the scale, and when the first does. `exits` has the step at which each does, by index."""
    seconds = min(shown[index][0].seconds(np.array([step]))[0] for index, step in exits.items())
    first = f"after {seconds:.3g} s" if options.x_axis == "time" else f"at step {min(exits.values()):g}"
    if len(shown) == 1:
        return f"leaves the scale {first}"
    return f"{len(exits)} of {len(shown)} leave the scale, first {first}"


def _limits(curves: list[Curve], exploding: list[bool], scale: Scale) -> Limits | None:
    """What the scale may reach where some curves explode; None for no limits."""
    if not any(exploding):
        return None
    others = [curve for curve, is_exploding in zip(curves, exploding, strict=True) if not is_exploding and curve.total]
    if scale == "log":
        return _log_limits(others)
    extents = [extent for curve in others if (extent := curve.extent())]
    if extents:
        return Limits(*padded(min(low for low, _ in extents), max(high for _, high in extents)))
    first = max(abs(curve.first[1]) for curve in curves if curve.first)
    high = ALONE_FACTOR * max(first, MIN_FIRST_VALUE)
    positive = all(extent[0] >= 0 for curve in curves if (extent := curve.extent()))
    return Limits(0.0 if positive else -high, high)


def _log_limits(others: list[Curve]) -> Limits | None:
    """An explosion, on a log scale a straight line, has as much of the height as the other curves, and at least a
    decade; None where no other curve is positive."""
    values = np.concatenate([curve.points(MAX_POINTS)[1] for curve in others] or [np.empty(0)])
    decades = np.log10(values[values > 0])
    if not len(decades):
        return None
    low, high = float(decades.min()), float(decades.max())
    return Limits(None, 10 ** min(high + max(high - low, 1.0), MAX_LOG_VALUE))


def _exit_step(curve: Curve, limits: Limits) -> float | None:
    """The step at which a curve leaves these limits, if it does."""
    steps, values = curve.points(MAX_POINTS)
    low = -np.inf if limits.low is None else limits.low
    outside = np.flatnonzero((values > limits.high) | (values < low))
    return float(steps[outside[0]]) if len(outside) else None


def _cut(trace: Trace, limits: Limits) -> None:
    """End a trace, in place, where it is MAX_DISTANCE away: swinging from below to above it would fill the plot."""
    low = -limits.high if limits.low is None else limits.low
    middle, height = (low + limits.high) / 2, limits.high - low
    far = np.flatnonzero(np.abs(np.array(trace["y"]) / height - middle / height) > MAX_DISTANCE)
    if len(far):
        trace["x"], trace["y"] = trace["x"][: far[0] + 1], trace["y"][: far[0] + 1]
