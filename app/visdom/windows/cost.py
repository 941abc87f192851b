"""The cost curve: the parabola that one-parameter runs descend, and where each of them has been on it."""

from __future__ import annotations

import math

import numpy as np

from app.charts.run_chart import Drawn
from app.schemas.view import Scale
from app.storage.batch import Floats
from app.visdom.windows.curves import is_wild
from app.visdom.windows.layout import (
    CURVE,
    Look,
    Trace,
    Window,
    colour_of,
    empty,
    finite,
    make_layout,
    trace_name,
)
from trainers import METHODS
from trainers.method import DIVERGED
from trainers.problem import Parabola

PARABOLA_POINTS = 160
PATH_POINTS = 600  # of all paths: each is a dot, and a browser takes as long for one as for twenty of a line


def cost_window(drawn: list[Drawn], scale: Scale) -> Window:
    """The parabola cost(w) of the newest one-parameter run's data, with the path of each run on the same data.

    A path's points are (w before an update, cost over all data at that w), so every one lies on the parabola; the
    last, marked, is where the run stands now. Of a sweep it is the best candidate.
    """
    look = Look(y=scale)
    layout = make_layout("w", "cost over all data" if scale == "linear" else "cost", look)
    layout["showlegend"] = any(one.run.method == "sweep" for one in drawn)  # the others stand in Loss's legend
    layout["legend"] |= {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}
    one_parameter = [one for one in drawn if one.parabola]
    if not one_parameter:
        return Window("cost", "Cost curve", *empty(layout, _why_empty(drawn)))
    parabola = one_parameter[-1].parabola
    sharing = [one for one in one_parameter if one.run.data_hash == one_parameter[-1].run.data_hash]
    paths = [_path(one, PATH_POINTS // len(sharing) - 2) for one in sharing]
    assert parabola is not None  # noqa: S101  (it is one of those that have one)
    calm = [path for one, path in zip(sharing, paths, strict=True) if not is_wild(one, "w") and len(path)]
    ends = np.concatenate([[parabola.w_star], *(calm or [path[:4] for path in paths])])
    ends = np.clip(ends[np.isfinite(ends)], -DIVERGED, DIVERGED)
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
            **look.axes,
            "line": {"color": CURVE, "width": 2},
            "hoverinfo": "skip",
            "showlegend": False,
        }
    ]
    for one, path in zip(sharing, paths, strict=True):
        traces += _path_traces(one, path, parabola, (low, high), look)
    return Window("cost", "Cost curve", traces, layout)


def _why_empty(drawn: list[Drawn]) -> str:
    """What to do to see a cost where no run on show has a parabola."""
    if any(one.run.method in METHODS for one in drawn):
        return "These models have w and b: look closer<br>at a run to see its cost over both."
    return "Start a run to watch it<br>descend its cost curve here."


def _path(one: Drawn, budget: int) -> Floats:
    """Where a run has been: its w before the first update, then after each one that is drawn."""
    curve = one.curves.get("w")
    if curve is None:
        return np.empty(0)
    _, ws = curve.points(max(2, budget))
    if one.run.method == "sweep":
        return ws
    if one.detail:
        return ws
    start = METHODS[one.run.method].params.model_validate(one.run.params)
    return np.append(METHODS[one.run.method].initial(start)["w"], ws)


def _path_traces(one: Drawn, path: Floats, parabola: Parabola, view: tuple[float, float], look: Look) -> list[Trace]:
    """A path up to where it leaves the view, and either where the run stands now or the stroke with which it left."""
    outside = np.flatnonzero(~((path >= view[0]) & (path <= view[1])))
    inside = path[: outside[0]] if len(outside) else path
    if not len(inside):
        return []
    colour = colour_of(one)
    costs = [parabola.cost(w) for w in inside.tolist()]
    hover = "w %{x:.6g}<br>cost %{y:.6g}<extra>%{fullData.name}</extra>"
    common = {"type": "scatter", "legendgroup": one.run.id, **look.axes}
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
