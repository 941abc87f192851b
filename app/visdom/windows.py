"""What the shared windows show: pictures of runs turned into plotly traces and layouts."""

from __future__ import annotations

import math

import numpy as np

from app.board import Axes, Scale
from app.columns import Floats
from app.overlay import Drawn
from app.picture import Curve
from app.visdom.plot import (
    CURVE,
    FARTHEST,
    POINTS,
    Layout,
    Trace,
    Window,
    axes_of,
    axis_key,
    colour_of,
    empty,
    finite,
    make_layout,
    padded,
    trace_name,
)
from trainers import METHODS
from trainers.problem import Parabola

PARABOLA_POINTS = 160
EXPLOSION = 1e6  # times its first value: a curve this far off is not what the scale is for


def shared_windows(drawn: list[Drawn], axes: Axes) -> list[Window]:
    """The windows of the env in which the latest runs lie over each other."""
    stepping = [one for one in drawn if one.run.method != "sweep"]
    return [
        _curves("loss", "Loss", stepping, "loss", x=axes.step, y=axes.loss, legend=True),
        _curves("w", "w", stepping, "w", x=axes.step, y=axes.w),
        cost_window(drawn, axes.cost),
    ]


def _curves(
    win: str, title: str, drawn: list[Drawn], metric: str, *, x: Scale, y: Scale, legend: bool = False
) -> Window:
    shown = [one for one in drawn if metric in one.curves and one.curves[metric].total]
    budget = POINTS // max(1, len(shown))
    traces = [step_line(one, one.curves[metric], budget, x, y) for one in shown]
    layout = make_layout("step", title.lower(), x, y)
    if not traces:
        words = "Waiting for a first step…" if drawn else f"Start a run to watch its {title.lower()} here."
        return Window(win, title, *empty(layout, words))
    show_calm(traces, layout, [(one, metric) for one in shown], x, y)
    layout["showlegend"] = legend
    return Window(win, title, traces, layout)


def step_line(one: Drawn, curve: Curve, budget: int, x: Scale, y: Scale) -> Trace:
    """A metric over the steps, at most `budget` points of it."""
    steps, values = curve.points(max(2, budget))
    few = len(steps) < 2
    where = "" if x == "log" else "step %{x}<br>"
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": trace_name(one),
        "x": (steps + 1 if x == "log" else steps).tolist(),
        "y": values.tolist(),
        **axes_of(x, y),
        "line": {"color": colour_of(one), "width": 2},
        "marker": {"color": colour_of(one), "size": 6},
        "hovertemplate": where + "%{y:.6g}<extra>%{fullData.name}</extra>",
    }


def cost_window(drawn: list[Drawn], scale: Scale) -> Window:
    """The parabola cost(w) of the newest one-parameter run's data, with the path of each run on the same data.

    A path's points are (w before an update, cost over all data at that w), so every one lies on the parabola; the
    last, marked, is where the run stands now. Of a sweep it is the best candidate.
    """
    layout = make_layout("w", "cost over all data" if scale == "linear" else "cost", "linear", scale)
    layout["showlegend"] = any(one.run.method == "sweep" for one in drawn)  # the others stand in Loss's legend
    layout["legend"] |= {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}
    one_parameter = [one for one in drawn if one.parabola]
    if not one_parameter:
        return Window("cost", "Cost curve", *empty(layout, "Start a run to watch it<br>descend its cost curve here."))
    parabola = one_parameter[-1].parabola
    sharing = [one for one in one_parameter if one.run.data_hash == one_parameter[-1].run.data_hash]
    paths = [_path(one, (POINTS - PARABOLA_POINTS) // len(sharing) - 2) for one in sharing]
    assert parabola is not None  # noqa: S101  (it is one of those that have one)
    calm = [path for one, path in zip(sharing, paths, strict=True) if not _is_wild(one, "w") and len(path)]
    ends = np.concatenate([[parabola.w_star], *(calm or [path[:4] for path in paths])])
    ends = np.clip(ends[np.isfinite(ends)], -FARTHEST, FARTHEST)
    far = float(np.abs(ends - parabola.w_star).max()) or max(abs(parabola.w_star), 1.0)
    low, high = parabola.w_star - 1.15 * far, parabola.w_star + 1.15 * far  # both sides of the valley
    ws = np.linspace(low, high, PARABOLA_POINTS)
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "cost(w)",
            "x": ws.tolist(),
            "y": finite([parabola.cost(w) for w in ws.tolist()]),
            **axes_of("linear", scale),
            "line": {"color": CURVE, "width": 2},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for one, path in zip(sharing, paths, strict=True):
        traces += _path_traces(one, path, parabola, (low, high), scale)
    return Window("cost", "Cost curve", traces, layout)


def _path(one: Drawn, budget: int) -> Floats:
    """Where a run has been: its w before the first update, then after each one that is drawn."""
    curve = one.curves.get("w")
    if curve is None:
        return np.empty(0)
    _, ws = curve.points(max(2, budget))
    if one.run.method == "sweep":
        return ws
    start = METHODS[one.run.method].params.model_validate(one.run.params)
    return np.append(METHODS[one.run.method].initial(start)["w"], ws)


def _path_traces(one: Drawn, path: Floats, parabola: Parabola, view: tuple[float, float], scale: Scale) -> list[Trace]:
    """A path up to where it leaves the view, and either where the run stands now or the stroke with which it left."""
    outside = np.flatnonzero(~((path >= view[0]) & (path <= view[1])))
    inside = path[: outside[0]] if len(outside) else path
    if not len(inside):
        return []
    colour = colour_of(one)
    costs = [parabola.cost(w) for w in inside.tolist()]
    hover = "w %{x:.6g}<br>cost %{y:.6g}<extra>%{fullData.name}</extra>"
    common = {"type": "scatter", "legendgroup": one.run.id, **axes_of("linear", scale)}
    line = {
        **common,
        "name": trace_name(one),
        "mode": "markers" if one.run.method == "sweep" else "lines+markers",
        "x": inside.tolist(),
        "y": finite(costs),
        "line": {"color": colour, "width": 1.25},
        "marker": {"color": colour, "size": 5},
        "showlegend": one.run.method == "sweep",
        "hovertemplate": hover,
    }
    if len(outside):
        xs, ys = _stroke(parabola, float(inside[-1]), float(path[outside[0]]), view)
        leaving = {"mode": "lines", "x": xs, "y": ys, "line": {"color": colour, "width": 1.25, "dash": "dot"}}
        return [
            line,
            {**common, "name": f"{trace_name(one)} leaves", "showlegend": False, "hoverinfo": "skip", **leaving},
        ]
    marked, word = (int(np.argmin(costs)), "best") if one.run.method == "sweep" else (-1, "now")
    now = {
        **common,
        "name": f"{trace_name(one)} {word}",
        "mode": "markers",
        "x": [float(inside[marked])],
        "y": finite([costs[marked]]),
        "marker": {"color": colour, "size": 13, "line": {"color": "#ffffff", "width": 2}},
        "showlegend": False,
        "hovertemplate": hover,
    }
    return [line, now]


def _stroke(parabola: Parabola, start: float, end: float, view: tuple[float, float]) -> tuple[list[float], list[float]]:
    """The line from one point of the parabola towards another one, as far as the view goes."""
    bottom, top, goal = parabola.cost(start), parabola.cost(view[1]), parabola.cost(end)
    if not (math.isfinite(goal) and math.isfinite(end)):
        return [start, start], [bottom, top]
    edge = view[1] if end > start else view[0]
    part = min((edge - start) / (end - start), (top - bottom) / (goal - bottom) if goal > top else 1.0)
    return [start, start + part * (end - start)], [bottom, bottom + part * (goal - bottom)]


def _is_wild(one: Drawn, metric: str) -> bool:
    """Whether a curve has left the scale on which the others can be seen."""
    curve = one.curves.get(metric)
    extent = curve.extent() if curve else None
    if curve is None or extent is None or curve.first is None:
        return False
    size = max(abs(extent[0]), abs(extent[1]))
    return size > EXPLOSION * max(1.0, abs(curve.first[1])) or (
        one.run.status == "diverged" and size > 100 * max(1.0, abs(curve.first[1]))
    )


def show_calm(traces: list[Trace], layout: Layout, shown: list[tuple[Drawn, str]], x: Scale, y: Scale) -> None:
    """Keep the scale of a plot to what does not explode, if something does; `shown` has each trace's run and metric."""
    curves = [one.curves[metric] for one, metric in shown]
    wild = [_is_wild(one, metric) for one, metric in shown]
    clip = _calm_range(curves, wild, y)
    if not clip:
        return
    layout[axis_key(y)]["autorangeoptions"] = clip
    for trace, gone in zip(traces, wild, strict=True):
        if gone and y == "linear":
            _cut(trace, clip)
    if all(wild):  # show how they leave the window, and not the long time they are gone
        end = max(_leaves_at(curve, clip) for curve in curves)
        layout[axis_key(x, "x")]["autorangeoptions"] = {"clipmax": end + 1 if x == "log" else end}


def _calm_range(curves: list[Curve], wild: list[bool], scale: Scale) -> dict[str, float] | None:
    """Bounds within which the scale stays, so that a diverged run does not squash the others; None: no need."""
    if not any(wild):
        return None
    calm = [curve.extent() for curve, gone in zip(curves, wild, strict=True) if not gone]
    extents = [extent for extent in calm if extent]
    if extents:
        low, high = padded(min(low for low, _ in extents), max(high for _, high in extents))
    elif scale == "log":
        return None
    else:
        first = max(abs(curve.first[1]) for curve in curves if curve.first)
        low, high = -100 * max(first, 1e-300), 100 * max(first, 1e-300)
        low = 0.0 if all(extent[0] >= 0 for curve in curves if (extent := curve.extent())) else low
    if scale == "log":
        return {"clipmax": high} if high > 0 else None
    return {"clipmin": low, "clipmax": high}


def _leaves_at(curve: Curve, bounds: dict[str, float]) -> float:
    """The step at which a curve leaves these bounds, with some air."""
    steps, values = curve.points(POINTS)
    outside = np.flatnonzero((values > bounds["clipmax"]) | (values < bounds["clipmin"]))
    return 1.15 * float(steps[outside[0]] if len(outside) else steps[-1])


def _cut(trace: Trace, bounds: dict[str, float]) -> None:
    """End a curve where it is gone for good: swinging from far below to far above it would paint the window full."""
    middle, size = (bounds["clipmin"] + bounds["clipmax"]) / 2, bounds["clipmax"] - bounds["clipmin"]
    gone = np.flatnonzero(np.abs(np.array(trace["y"]) / size - middle / size) > 5)
    if len(gone):
        trace["x"], trace["y"] = trace["x"][: gone[0] + 1], trace["y"][: gone[0] + 1]
