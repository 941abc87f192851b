"""Windows of curves: a metric of many runs over each other, or the metrics of one."""

from __future__ import annotations

import textwrap
from bisect import bisect_right

import numpy as np

from app.charts.run_chart import Drawn
from app.schemas.view import Scale, View
from app.storage.downsampling import Curve
from app.visdom.windows.annotations import marks
from app.visdom.windows.layout import (
    POINTS,
    Layout,
    Look,
    Trace,
    Window,
    colour_of,
    empty,
    make_layout,
    padded,
    trace_name,
)
from app.visdom.windows.x_axis import UNITS, Plot, hover, places, x_title

LEGEND = 12  # runs; of more, a legend would take the window, and the ranking names them
AIR = 1.15  # how much further than what it is about a scale reaches
TOP = 0.97  # of the height: where the vertical axis ends, so that its last number is not on the window's title
ROW = 0.06  # of the height: what a row of notes takes
NOTE = 46  # letters in a row: as many as the narrowest window has room for
EXPLOSION = 1e6  # times its first value: a curve this far off is not what the scale is for


def shared_plot(win: str, title: str, drawn: list[Drawn], metric: str, board: View, *, legend: bool = False) -> Window:
    """A metric of many runs, as the board shows it."""
    scale = board.axes.loss if metric == "loss" else board.axes.w
    look = Look(board.axes.step, scale, board.detail is not None)
    plot = Plot(metric, look, board.x, board.smoothing, legend)
    shown = [one for one in drawn if metric in one.curves and one.curves[metric].total]
    if not shown:
        words = "Waiting for a first step…" if drawn else f"Start a run to watch its {title.lower()} here."
        if drawn and board.detail:
            words = f"No run has a point from step {board.detail.from_step:g} to {board.detail.to_step:g}."
        return Window(win, title, *empty(make_layout(UNITS[plot.along], title.lower(), look), words))
    return Window(win, title, *_traces_and_layout(plot, title.lower(), shown))


def _traces_and_layout(plot: Plot, title: str, shown: list[Drawn]) -> tuple[list[Trace], Layout]:
    look, curves = plot.look, [one.curves[plot.metric] for one in shown]
    layout = make_layout(x_title(plot, shown), title, look)
    budget = (POINTS - 1) // len(shown) // (2 if plot.smoothing else 1)
    lines = [line_of(one, curve, budget, plot) for one, curve in zip(shown, curves, strict=True)]
    left = show_calm(lines, layout, [(one, plot.metric) for one in shown], plot)
    layout["showlegend"] = plot.legend
    changes = marks(shown, plot)
    layout["shapes"] = changes.shapes
    note(layout, plot, curves, left)
    layout["annotations"] += changes.labels
    if plot.smoothing:
        faint = [_faint(line) for line in lines]
        smooth = zip(lines, shown, curves, strict=True)
        lines = faint + [_smoothed(line, one, curve, budget, plot) for line, one, curve in smooth]
    return (_without_legend(lines, layout) if plot.legend and len(shown) > LEGEND else lines), layout


def line_of(one: Drawn, curve: Curve, budget: int, plot: Plot) -> Trace:
    """A run's curve, with at most ``budget`` points."""
    steps, values = curve.points(max(2, budget))
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(steps) < 2 else "lines",
        "name": trace_name(one),
        "x": places(one, steps, plot),
        "y": values.tolist(),
        **plot.look.axes,
        "line": {"color": colour_of(one), "width": 2},
        "marker": {"color": colour_of(one), "size": 6},
        "hovertemplate": hover(plot) + "%{y:.6g}<extra>%{fullData.name}</extra>",
    }


def _without_legend(lines: list[Trace], layout: Layout) -> list[Trace]:
    """Too many curves for a legend. Plotly gives the room of one that was there before only to another legend: this one
    has no place beside the plot, and nothing to see in it."""
    layout["legend"] = {"x": 0, "y": 1, "itemclick": False, "itemdoubleclick": False, "bgcolor": "rgba(0,0,0,0)"}
    nothing = {"type": "scatter", "name": " ", "mode": "none", "x": [None], "y": [None], "hoverinfo": "skip"}
    axes = {name: lines[0][name] for name in ("xaxis", "yaxis")}
    return [*({**line, "showlegend": False} for line in lines), {**nothing, **axes}]


def _faint(line: Trace) -> Trace:
    """The raw curve behind its average."""
    raw = {"name": line["name"] + " raw", "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
    red, green, blue = (int(line["line"]["color"][at : at + 2], 16) for at in (1, 3, 5))
    return {**line, **raw, "line": {"color": f"rgba({red},{green},{blue},0.3)", "width": 1}}


def _smoothed(line: Trace, one: Drawn, curve: Curve, budget: int, plot: Plot) -> Trace:
    steps, values = curve.averages(plot.smoothing)
    if len(steps) > budget:
        chosen = np.linspace(0, len(steps) - 1, max(2, budget)).astype(int)
        steps, values = steps[chosen], values[chosen]
    xs = places(one, steps, plot)
    count = bisect_right(xs, line["x"][-1])  # where the raw curve is cut, its average ends, too
    return {**line, "x": xs[:count], "y": values[:count].tolist()}


def note(layout: Layout, plot: Plot, curves: list[Curve], left: str = "") -> None:
    """Say above the curves, in small letters, what is done to them or cannot be seen of them.

    The vertical axis ends below that: the margin above belongs to the window's title and plotly's buttons.
    """
    notes = [left] if left else []
    if plot.smoothing:
        notes.append(f"exponential average over {plot.smoothing:,} steps")
    hidden = sum(curve.not_positive for curve in curves)
    if hidden and plot.look.y == "log":
        notes.append(f"{hidden:,} not above 0, not shown")
    if lost := sum(curve.not_finite for curve in curves):
        notes.append(f"{lost:,} NaN or infinite")
    rows = textwrap.wrap("; ".join(notes), NOTE)
    layout[plot.look.y_key]["domain"] = [0, TOP - ROW * len(rows)]
    place: Layout = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "top"}
    small: Layout = {"align": "right", "showarrow": False, "font": {"size": 11}, "borderpad": 0}
    layout["annotations"] = [{**place, **small, "text": "<br>".join(rows)}] if rows else []


def is_wild(one: Drawn, metric: str) -> bool:
    """Whether a curve has left the scale on which the others can be seen."""
    curve = one.curves.get(metric)
    extent = curve.extent() if curve else None
    if curve is None or extent is None or curve.first is None:
        return False
    size = max(abs(extent[0]), abs(extent[1]))
    return size > EXPLOSION * max(1.0, abs(curve.first[1])) or (
        one.run.status == "diverged" and size > 100 * max(1.0, abs(curve.first[1]))
    )


def show_calm(lines: list[Trace], layout: Layout, shown: list[tuple[Drawn, str]], plot: Plot) -> str:
    """Keep the scale of a plot to what does not explode, if something does, and say what has left it.

    ``shown``: each line's run and metric.
    """
    curves = [one.curves[metric] for one, metric in shown]
    wild = [is_wild(one, metric) for one, metric in shown]
    look, clip = plot.look, _calm_range(curves, wild, plot.look.y)
    if not clip:
        return ""
    layout[look.y_key]["autorangeoptions"] = clip
    leaving = {at: step for at, gone in enumerate(wild) if gone and (step := _leaves_at(curves[at], clip)) is not None}
    for at in leaving:
        if look.y == "linear" or curves[at].not_positive:  # one that is above zero leaves a logarithmic scale but once
            _cut(lines[at], clip)
    if not leaving:
        return ""
    if all(wild) and plot.along == "step":  # how they leave the window, and not the long time they are gone
        end = AIR * max(*leaving.values(), plot.at or 0.0) + (look.x == "log")
        layout[look.x_key]["autorangeoptions"] = {"clipmax": end, **({} if plot.at is None else {"include": end})}
    whens = [(shown[at][0].seconds(np.array([step]))[0], step) for at, step in leaving.items()]
    first = f"after {min(whens)[0]:.3g} s" if plot.along == "time" else f"at step {min(leaving.values()):g}"
    if len(curves) == 1:
        return f"leaves the scale {first}"
    return f"{len(leaving)} of {len(curves)} leave the scale, first {first}"


def _calm_range(curves: list[Curve], wild: list[bool], scale: Scale) -> dict[str, float] | None:
    """Bounds within which the scale stays, so that a diverged run does not squash the others; None: no need."""
    if not any(wild):
        return None
    calm = [curve for curve, is_out in zip(curves, wild, strict=True) if not is_out and curve.total]
    extents = [extent for curve in calm if (extent := curve.extent())]
    if scale == "log":
        return _calm_decades(calm)
    if extents:
        low, high = padded(min(low for low, _ in extents), max(high for _, high in extents))
    else:
        first = max(abs(curve.first[1]) for curve in curves if curve.first)
        low, high = -100 * max(first, 1e-300), 100 * max(first, 1e-300)
        low = 0.0 if all(extent[0] >= 0 for curve in curves if (extent := curve.extent())) else low
    return {"clipmin": low, "clipmax": high}


def _calm_decades(calm: list[Curve]) -> dict[str, float] | None:
    """An upper bound on a logarithmic scale: an explosion, there a straight line, has as much of the height as the
    other curves, and at least a decade."""
    values = np.concatenate([curve.points(POINTS)[1] for curve in calm] or [np.empty(0)])
    decades = np.log10(values[values > 0])
    if not len(decades):
        return None
    low, high = float(decades.min()), float(decades.max())
    return {"clipmax": 10 ** min(high + max(high - low, 1.0), 300.0)}


def _leaves_at(curve: Curve, bounds: dict[str, float]) -> float | None:
    """The step at which a curve leaves these bounds, if it does."""
    steps, values = curve.points(POINTS)
    outside = np.flatnonzero((values > bounds["clipmax"]) | (values < bounds.get("clipmin", -np.inf)))
    return float(steps[outside[0]]) if len(outside) else None


def _cut(trace: Trace, bounds: dict[str, float]) -> None:
    """End a curve where it is gone for good: swinging from far below to far above it would paint the window full."""
    low, high = bounds.get("clipmin", -bounds["clipmax"]), bounds["clipmax"]
    middle, size = (low + high) / 2, high - low
    gone = np.flatnonzero(np.abs(np.array(trace["y"]) / size - middle / size) > 5)
    if len(gone):
        trace["x"], trace["y"] = trace["x"][: gone[0] + 1], trace["y"][: gone[0] + 1]
