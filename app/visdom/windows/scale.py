"""The scales of plots where a run diverges: they hold what came before, and the curve leaves at a labelled edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts.divergence import Reach, union_of
from app.charts.run_chart import RunChart
from app.schemas.view import Scale
from app.storage.batch import Floats
from app.storage.downsampling import Extent
from app.visdom.windows.layout import MAX_POINTS, MIN_SIZE, PADDING_FACTOR, RANGE_PADDING, Layout, Trace
from app.visdom.windows.x_axis import PlotOptions, step_title
from trainers.numbers import counted, short

MAX_LOG_VALUE = 300.0  # log10; plotly cannot draw values near the largest float64
MAX_VALUE = 10**MAX_LOG_VALUE
MIN_LOG_VALUE = 1e-300  # smaller values have no place on a log scale
MAX_NAME_LENGTH = 24  # letters of a run's name in a label
MAX_DISTANCE = 5  # heights of the plot from its middle; a curve beyond that is cut

type Shown = Sequence[tuple[RunChart, str]]  # the chart and the metric of each trace


@dataclass(frozen=True)
class Limits:
    """The values that a scale may reach. low: None for no limit."""

    low: float | None
    high: float

    def as_options(self) -> dict[str, Any]:
        """plotly's autorangeoptions; without a limit below the scale also reaches no farther than the data."""
        if self.low is None:
            return {"clipmax": self.high}
        return {"clipmin": self.low, "clipmax": self.high, "include": [self.low, self.high]}


@dataclass(frozen=True)
class Exit:
    """Where a curve leaves a scale: the trace's place among all, x in the axis' units (powers of ten on a log scale),
    whether at the upper edge, and the position of the first point beyond."""

    index: int
    x: float
    at_top: bool
    position: float


def held_extent(shown: Shown) -> Extent | None:
    """What a scale of these metrics has to hold; None where it is all of them.

    All values of what does not diverge, and of what does those before it departed. If nothing else is shown, also the
    first bounces, of the run in which they are the narrowest. It only ever grows while the runs go on.
    """
    reaches = [(chart.run.id, reach) for chart, metric in shown if (reach := chart.reach(metric))]
    if not any(reach.ever_departed for _, reach in reaches):
        return None
    extents = [reach.extent for _, reach in reaches]
    if all(reach.ever_departed for _, reach in reaches):
        extents.append(_narrowest_bounces(reaches))
    return union_of(extents)


def limit_scale(traces: list[Trace], layout: Layout, shown: Shown, options: PlotOptions) -> list[Exit]:
    """Limit a plot's scale to what it has to hold, and cut curves where they leave it for good. Changes `traces` and
    `layout` in place; returns where they leave."""
    held, axes = held_extent(shown), options.axes
    limits = _limits(held, shown, axes.y) if held and max(map(abs, held)) > MIN_SIZE else None
    if limits is None:
        return []
    layout[axes.y_key]["autorangeoptions"] = limits.as_options()
    departed = [bool(reach and reach.departed) for reach in (chart.reach(metric) for chart, metric in shown)]
    exits = [
        leaving
        for index, trace in enumerate(traces)
        if departed[index] and (leaving := _exit(index, trace, limits, options))
    ]
    for leaving in exits:
        chart, metric = shown[leaving.index]
        # A positive curve leaves a log scale once only, and is drawn whole.
        if axes.y == "linear" or chart.curves[metric].not_positive:
            _cut(traces[leaving.index], limits)
    if exits and len(exits) == len(traces):  # show how they leave the scale, not what comes after that
        first = min(x for trace in traces for x in trace["x"] if x is not None)
        end = PADDING_FACTOR * max(10**leaving.x if axes.x == "log" else leaving.x for leaving in exits)
        layout[axes.x_key]["autorangeoptions"] = {"clipmin": first} | _x_options(end, options)
    return exits


def _x_options(end: float, options: PlotOptions) -> dict[str, float]:
    """plotly's autorangeoptions of an axis that ends there, or at the selected step if that is later."""
    if options.selected_step is None or options.x_axis != "step":
        return {"clipmax": end}
    end = max(end, PADDING_FACTOR * options.selected_step + (options.axes.x == "log"))
    return {"clipmax": end, "include": end}


def charts_of(shown: Shown) -> list[RunChart]:
    """The charts of the traces, each once."""
    return list({id(chart): chart for chart, _ in shown}.values())


def exit_text(leaving: Exit, shown: Shown, options: PlotOptions) -> str:
    """What the label says of a curve that leaves."""
    chart, metric = shown[leaving.index]
    charts = charts_of(shown)
    at = short(leaving.position, 4)
    step = f"{step_title(charts).removesuffix('s')} {counted(leaving.position)}"
    where = {"step": step, "epoch": f"epoch {at}", "time": f"{at} s"}
    place = where[options.x_axis] if options.along is None else f"{options.along} {at}"
    return f"{leaver(chart, metric, shown)} leaves here: {place}"


def leaver(chart: RunChart, metric: str, shown: Shown) -> str:
    """A curve by what tells it from the others that are shown."""
    of_run = sum(one is chart for one, _ in shown)
    if of_run == 1:
        return _run_text(chart, [one for one, _ in shown])
    charts = charts_of(shown)
    return metric if len(charts) == 1 else f"{_run_text(chart, charts)} {metric}"


def _run_text(chart: RunChart, charts: Sequence[RunChart]) -> str:
    """A run by what tells it from the others."""
    if varied := chart.run.varied:
        return ", ".join(f"{name} {_value_text(value)}" for name, value in varied.items())
    rates = [one.run.params.get("lr") for one in charts]
    lr = chart.run.params.get("lr")
    if isinstance(lr, int | float) and rates.count(lr) == 1:
        return f"lr {short(lr)}"
    name = chart.run.name
    return f"{name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + '…'} #{chart.run.number}"


def _value_text(value: object) -> str:
    return short(value) if isinstance(value, int | float) else str(value)


def _narrowest_bounces(reaches: list[tuple[str, Reach]]) -> Extent:
    """Of runs that all diverge, what shows the bounces of the one that needs the least; all metrics of that one."""
    by_run: dict[str, list[Extent]] = {}
    for run_id, reach in reaches:
        by_run.setdefault(run_id, []).append(reach.wide)
    return min(map(union_of, by_run.values()), key=lambda extent: extent[1] - extent[0])


def _limits(held: Extent, shown: Shown, scale: Scale) -> Limits | None:
    """The limits of a scale that holds an extent; None for no limits.

    On a log scale an explosion is a straight line: it has as much of the height as the other curves, and at least a
    decade; alone it has all.
    """
    if scale == "linear":
        low, high = np.clip(held, -MAX_VALUE, MAX_VALUE).tolist()
        padding = RANGE_PADDING * max(high - low, abs(low), abs(high))  # which only grows as the extent does
        return Limits(low - padding, high + padding)
    reaches = [chart.reach(metric) for chart, metric in shown]
    if all(reach.ever_departed for reach in reaches if reach):
        return None
    others = [
        chart.points(metric, MAX_POINTS)[1]
        for (chart, metric), reach in zip(shown, reaches, strict=True)
        if reach and not reach.departed
    ]
    values = np.concatenate([*others, [held[1]]])
    decades = np.log10(values[values > 0])
    if not len(decades):
        return None
    low, high = float(decades.min()), float(decades.max())
    return Limits(None, 10 ** min(high + max(high - low, 1.0), MAX_LOG_VALUE))


def _exit(index: int, trace: Trace, limits: Limits, options: PlotOptions) -> Exit | None:
    """Where a trace leaves these limits, if it does."""
    ys = np.array(trace["y"], dtype=float)
    low = -math.inf if limits.low is None else limits.low
    outside = np.flatnonzero((ys > limits.high) | (ys < low))
    if not len(outside):
        return None
    at = int(outside[0])
    nearby, at_top = slice(max(0, at - 1), at + 1), bool(ys[at] > limits.high)
    xs, log = np.array(trace["x"][nearby], dtype=float), options.axes.x == "log"
    places = np.log10(np.maximum(xs, MIN_LOG_VALUE)) if log else xs
    x = _crossing(
        places[np.isfinite(places)], ys[nearby][np.isfinite(places)], limits.high if at_top else low, options.axes.y
    )
    return Exit(index, x, at_top, float(xs[-1]) - (log and options.is_counted))


def _crossing(xs: Floats, ys: Floats, edge: float, scale: Scale) -> float:
    """The x at which the line between two points meets y = edge; that of the second where it does not."""
    if scale == "log":
        ys, edge = np.log10(np.maximum(ys, MIN_LOG_VALUE)), math.log10(edge)
    if not np.isfinite(ys).all() or len(ys) < 2 or ys[0] == ys[1]:
        return float(xs[-1])
    share = (edge / 2 - ys[0] / 2) / (ys[1] / 2 - ys[0] / 2)  # halves: the distance may be above the largest float
    return float(xs[0] + min(max(share, 0.0), 1.0) * (xs[1] - xs[0]))


def _cut(trace: Trace, limits: Limits) -> None:
    """End a trace, in place, where it is MAX_DISTANCE away: swinging from below to above it would fill the plot."""
    low = -limits.high if limits.low is None else limits.low
    middle, height = (low + limits.high) / 2, limits.high - low
    far = np.flatnonzero(np.abs(np.array(trace["y"], dtype=float) / height - middle / height) > MAX_DISTANCE)
    if len(far):
        trace["x"], trace["y"] = trace["x"][: far[0] + 1], trace["y"][: far[0] + 1]
