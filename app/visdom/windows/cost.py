"""The cost curve: cost(w) of a model with one parameter, with the paths of runs on it, shared or of a single run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from app.charts.colours import others
from app.charts.run_chart import RunChart
from app.charts.run_state import RunState
from app.schemas.view import Scale
from app.storage.batch import Floats
from app.visdom.windows.annotations import EdgeLabel, exit_marks
from app.visdom.windows.layout import (
    CURVE,
    LINEAR,
    MARKER,
    MIN_SIZE,
    PADDING_FACTOR,
    PANE,
    AxesStyle,
    Layout,
    Trace,
    Window,
    colour_of,
    empty_plot,
    finite,
    make_layout,
    trace_name,
)
from app.visdom.windows.scale import held_extent, leaver
from trainers import METHODS, is_search
from trainers.method import DIVERGED
from trainers.numbers import counted, short
from trainers.problem import Parabola

CURVE_POINTS = 160
PATH_POINTS = 600  # of all paths in a window: a browser takes as long for a marker as for twenty points of a line
BALL_SIZE_PX = 13
ARROW_SIZE_PX = 11
TANGENT_LENGTH = 0.3  # of the view's width
TANGENT_TOP = 1.05  # of the view's height: how far up a tangent may reach
WIN = "cost"
TITLE = "Cost curve"


@dataclass(frozen=True)
class CostCurve:
    """The parabola cost(w) from w = `low` to `high`, and the traces that lie on it. On a log scale the curve comes as
    near to its minimum as `nearest`, in units of w."""

    parabola: Parabola
    low: float
    high: float
    axes: AxesStyle = LINEAR
    nearest: float = 0.0

    @classmethod
    def around(cls, parabola: Parabola, ws: Floats, axes: AxesStyle = LINEAR, nearest: float = 0.0) -> Self:
        """The curve on both sides of its minimum, each as wide as the weight that is farthest from it, padded.

        The path of a diverging run, which swings wider with every step, so looks the same at any size.
        """
        farthest = float(np.abs(ws - parabola.w_star).max(initial=0.0))
        if farthest < MIN_SIZE:
            farthest = max(abs(parabola.w_star), 1.0)
        half_width = PADDING_FACTOR * farthest
        return cls(parabola, parabola.w_star - half_width, parabola.w_star + half_width, axes, nearest)

    def costs(self, ws: Floats) -> Floats:
        """The cost at each of these weights, of the same shape (n,)."""
        return np.array([self.parabola.cost(w) for w in ws.tolist()])

    def curve(self) -> Trace:
        """The parabola itself."""
        ws = np.linspace(self.low, self.high, CURVE_POINTS)
        if self.axes.y == "log" and self.nearest > MIN_SIZE:
            away = np.geomspace(self.nearest, self.high - self.parabola.w_star, CURVE_POINTS // 2)
            ws = self.parabola.w_star + np.concatenate([-away[::-1], away])
        line = {"mode": "lines", "line": {"color": CURVE, "width": 2}, "hoverinfo": "skip", "showlegend": False}
        return line_trace("cost(w)", ws, self.costs(ws), self.axes) | line

    def path(self, chart: RunChart, ws: Floats, name: str) -> Trace:
        """The weights of a run, each at its cost, joined by lines."""
        return path_trace(chart, name, ws, self.costs(ws), self.axes)

    def ball(self, chart: RunChart, w: float, name: str) -> Trace:
        """Where a run is on the curve."""
        return ball_trace(chart, name, w, self.parabola.cost(w), self.axes)

    def tangent(self, point: tuple[float, float], slope: float, colour: str) -> Trace:
        """The line of this slope through a point (w, cost(w)), within the view and hardly below the minimum."""
        w, cost = point
        half = TANGENT_LENGTH * (self.high - self.low) / 2
        top = self.parabola.cost(self.high)
        up = min(half, (TANGENT_TOP * top - cost) / abs(slope)) if slope else half
        down = min(half, (cost - self.bottom()) / abs(slope)) if slope else half
        left, right = (down, up) if slope > 0 else (up, down)
        ws = np.array([w - left, w + right])
        line = {"mode": "lines", "line": {"color": colour, "width": 2, "dash": "dash"}, "hoverinfo": "name"}
        return line_trace(f"tangent, slope {short(slope)}", ws, cost + slope * (ws - w), self.axes) | line

    def bottom(self) -> float:
        """How far down a tangent may reach."""
        return self.parabola.minimum - 0.04 * self.parabola.cost(self.high)

    def exit_line(self, start: float, end: float) -> tuple[list[float], list[float]]:
        """From the curve at `start`, in view, towards the curve at `end`, outside, as far as the view: x and y."""
        bottom, top, goal = (self.parabola.cost(w) for w in (start, self.high, end))
        if not (math.isfinite(goal) and math.isfinite(end)):
            return [start, start], [bottom, top]
        edge = self.high if end > start else self.low
        part = min((edge - start) / (end - start), (top - bottom) / (goal - bottom) if goal > top else 1.0)
        return [start, start + part * (end - start)], [bottom, bottom + part * (goal - bottom)]


def line_trace(name: str, xs: Floats, ys: Floats, axes: AxesStyle = LINEAR) -> Trace:
    """A scatter trace with these points; None stands for what is not finite."""
    return {"type": "scatter", "name": name, "x": finite(xs.tolist()), "y": finite(ys.tolist()), **axes.trace_axes}


def path_trace(chart: RunChart, name: str, xs: Floats, ys: Floats, axes: AxesStyle = LINEAR) -> Trace:
    """The path of a run in its colour."""
    colour = colour_of(chart)
    return {
        **line_trace(name, xs, ys, axes),
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.25},
        "marker": {"color": colour, "size": 4},
        "hovertemplate": "%{x:.5~g}, %{y:.5~g}<extra></extra>",
    }


def ball_trace(chart: RunChart, name: str, x: float, y: float, axes: AxesStyle = LINEAR) -> Trace:
    """A large dot in the run's colour."""
    marker = {"color": colour_of(chart), "size": BALL_SIZE_PX, "line": {"color": PANE, "width": 2}}
    trace = line_trace(name, np.array([x]), np.array([y]), axes)
    return {**trace, "mode": "markers", "marker": marker, "hoverinfo": "name"}


def arrow_trace(name: str, xs: list[float], ys: list[float]) -> Trace:
    """An arrow from one point to another."""
    arrow = {"symbol": "arrow", "angleref": "previous", "size": [0, ARROW_SIZE_PX], "color": MARKER, "opacity": 1}
    trace = line_trace(f"{name}, w {short(xs[-1])}", np.array(xs), np.array(ys))
    line = {"color": MARKER, "width": 1.5}
    shown = {"mode": "lines+markers", "marker": arrow, "line": line}
    return {**trace, **shown, "hoverinfo": "name", "showlegend": False}


def path_weights(chart: RunChart, budget: int, until: float = math.inf) -> Floats:
    """A run's w before its first update and after at most `budget` others, up to the step `until`, of shape (n,).

    For a search, and where the chart does not begin at the first step, without the initial w.
    """
    curve = chart.curves.get("w")
    if curve is None:
        return np.empty(0)
    steps, ws = curve.points(max(2, budget), log=True)  # a path goes farthest at its beginning
    ws = ws[steps <= until]
    if chart.detail or "w" not in chart.initial:
        return ws
    return np.append(chart.initial["w"], ws)


# --- of many runs -----------------------------------------------------------------------------------------------------


def shared_cost_window(charts: list[RunChart], scale: Scale) -> Window:
    """The cost curve of the newest one-parameter run's data, with the path of each run on the same data.

    A path's points are (w before an update, cost over all data at that w), so all lie on the parabola. The ball is
    where the run is now, of a search the best candidate.
    """
    axes = AxesStyle(y=scale)
    layout = make_layout("w", "cost over all data" if scale == "linear" else "cost", axes)
    layout["showlegend"] = any(is_search(chart.run.method) for chart in charts)  # the legend of Loss has the descents
    layout["legend"] |= {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}
    newest = next((chart for chart in reversed(charts) if chart.parabola), None)
    if newest is None or newest.parabola is None:
        return Window(WIN, TITLE, *empty_plot(layout, _why_empty(charts)))
    sharing = [chart for chart in charts if chart.parabola and chart.run.data_hash == newest.run.data_hash]
    paths = [path_weights(chart, PATH_POINTS // len(sharing) - 2) for chart in sharing]
    held = held_extent([(chart, "w") for chart in sharing])
    ws = np.concatenate(paths) if held is None else np.array(held)
    starts = [abs(float(path[0]) - newest.parabola.w_star) for path in paths if len(path)]
    nearest = min(starts, default=0.0) / CURVE_POINTS
    cost = CostCurve.around(newest.parabola, np.clip(ws[np.isfinite(ws)], -DIVERGED, DIVERGED), axes, nearest)
    traces = [trace for chart, ws in zip(sharing, paths, strict=True) for trace in _shared_path(cost, chart, ws)]
    if labels := exit_labels(cost, sharing):
        layout["annotations"] = labels
    return Window(WIN, TITLE, [cost.curve(), *traces], layout)


def _why_empty(charts: list[RunChart]) -> str:
    """What to do to see a cost curve where no run has one."""
    if any(chart.run.method in METHODS for chart in charts):
        return "These models have w and b: look closer<br>at a run to see its cost over both."
    return "Start a run to watch it<br>descend its cost curve here."


def exit_labels(cost: CostCurve, charts: list[RunChart]) -> list[Layout]:
    """Labels where diverging runs leave the view, the first of them by name."""
    shown = [(chart, "w") for chart in charts]
    exits = sorted(_exits(cost, charts), key=lambda leaving: leaving[0])
    labels = [
        EdgeLabel(x, f"{leaver(chart, 'w', shown)} leaves here: update {counted(position)}", colour_of(chart))
        for position, x, chart in exits
    ]
    axes = {"xref": cost.axes.trace_axes["xaxis"], "yref": cost.axes.y_domain}
    return [axes | label for label in exit_marks(labels, cost.low, cost.high, axes["xref"])]


def _exits(cost: CostCurve, charts: list[RunChart]) -> Iterator[tuple[float, float, RunChart]]:
    """After how many updates a diverging run leaves the view, and at which w."""
    for chart in charts:
        reach = chart.reach("w")
        positions, ws = chart.points("w", PATH_POINTS, log=True)
        outside = np.flatnonzero(~((ws >= cost.low) & (ws <= cost.high)))
        if reach and reach.departed and len(outside):
            at = int(outside[0])
            xs, _ = cost.exit_line(float(ws[at - 1]), float(ws[at])) if at else ([cost.low], [])
            yield float(positions[at]), xs[-1], chart


def _shared_path(cost: CostCurve, chart: RunChart, ws: Floats) -> list[Trace]:
    """A path up to where it leaves the view, then either the ball or the line on which it left."""
    outside = np.flatnonzero(~((ws >= cost.low) & (ws <= cost.high)))
    inside = ws[: outside[0]] if len(outside) else ws
    if not len(inside):
        return []
    search, name = is_search(chart.run.method), trace_name(chart)
    hover = {"hovertemplate": "w %{x:.5~g}<br>cost %{y:.5~g}<extra>%{fullData.name}</extra>"}
    path = cost.path(chart, inside, name) | hover | {"legendgroup": chart.run.id, "showlegend": search}
    path["marker"] = {**path["marker"], "size": 5}
    if search:
        path["mode"] = "markers"
    without_legend = {"legendgroup": chart.run.id, "showlegend": False}
    if len(outside):
        return [path, _leaving(cost, path, float(inside[-1]), float(ws[outside[0]])) | without_legend]
    w, state = (inside[np.argmin(cost.costs(inside))], "best") if search else (inside[-1], "now")
    ball = cost.ball(chart, float(w), f"{name} {state}")
    del ball["hoverinfo"]
    return [path, ball | hover | without_legend]


def _leaving(cost: CostCurve, path: Trace, start: float, end: float) -> Trace:
    """The line on which a path leaves the view: from its last weight within to the next."""
    xs, ys = cost.exit_line(start, end)
    line = {"mode": "lines", "line": {**path["line"], "dash": "dot"}, "hoverinfo": "skip"}
    return line_trace(f"{path['name']} leaves", np.array(xs), np.array(ys), cost.axes) | line


# --- of a single run --------------------------------------------------------------------------------------------------


def run_cost_window(chart: RunChart, parabola: Parabola, state: RunState, *, chosen: bool = False) -> Window:
    """The cost curve with the run's path up to a state, there the ball and the tangent, and an arrow to where the next
    update leads. While a run diverges, its path leaves the view, unless the state was `chosen`."""
    layout = legend_layout("w", "cost over all data")
    path = path_weights(chart, PATH_POINTS, math.inf if state.step is None else state.step)
    path = path[np.abs(path) <= DIVERGED]
    w = state.values.get("w", math.nan)
    height, slope = state.cost or 0.0, (state.gradient or {}).get("grad", 0.0)
    if not abs(w) <= DIVERGED or not math.isfinite(height) or not math.isfinite(slope):
        w = float(path[-1]) if len(path) else math.nan
        height, slope = parabola.cost(w), parabola.gradient(w)
    if math.isnan(w):
        return Window(WIN, TITLE, *empty_plot(layout, "Waiting for a first step…"))
    following = (state.next_values or {}).get("w", math.nan)
    ends = [w, following] if abs(following) <= DIVERGED else [w]
    held = None if chosen else held_extent([(chart, "w")])
    if held is not None:
        cost = CostCurve.around(parabola, np.clip(held, -DIVERGED, DIVERGED))
        outside = np.flatnonzero((path < cost.low) | (path > cost.high))
        if len(outside):
            return _explosion(cost, chart, path[: outside[0] + 1], layout)
    else:
        cost = CostCurve.around(parabola, np.append(path, ends))
    ball = ball_trace(chart, f"w {short(w)}, cost {short(height)}", w, height, cost.axes)
    if is_search(chart.run.method):
        return Window(WIN, TITLE, [cost.curve(), *_candidates(cost, chart, path), ball], layout)
    tangent = cost.tangent((w, height), slope, others(colour_of(chart))[0])
    line = cost.path(chart, path, "path") | {"showlegend": False}  # of the ball's colour
    arrow = [arrow_trace("next", ends, [height, *map(parabola.cost, ends[1:])])] if len(ends) > 1 else []
    _fix_view(layout, cost)
    return Window(WIN, TITLE, [cost.curve(), line, tangent, *arrow, ball], layout)


def _fix_view(layout: Layout, cost: CostCurve) -> None:
    """Let the axes of a layout end where the view does, however long the tangent is; in place."""
    top = cost.parabola.cost(cost.high)
    layout["xaxis"]["autorangeoptions"] = {"clipmin": cost.low, "clipmax": cost.high}
    layout["yaxis"]["autorangeoptions"] = {"include": [cost.bottom(), TANGENT_TOP * top]}


def _explosion(cost: CostCurve, chart: RunChart, path: Floats, layout: Layout) -> Window:
    """The cost curve with a path of which only the last weight is out of view."""
    line = cost.path(chart, path[:-1], "path") | {"showlegend": False}
    layout["annotations"] = exit_labels(cost, [chart])
    _fix_view(layout, cost)
    leaving = _leaving(cost, line, float(path[-2]), float(path[-1])) | {"showlegend": False}
    return Window(WIN, TITLE, [cost.curve(), line, leaving], layout)


def _candidates(cost: CostCurve, chart: RunChart, ws: Floats) -> list[Trace]:
    """The candidates that a search has tried, and the best of them."""
    candidates = cost.path(chart, ws, "candidates") | {"mode": "markers"}
    if not len(ws):
        return [candidates]
    best = ws[[int(np.argmin(cost.costs(ws)))]]
    marker = {"color": MARKER, "size": 13, "symbol": "diamond-open", "line": {"color": MARKER, "width": 2}}
    trace = line_trace(f"best, w {short(best[0])}", best, cost.costs(best), cost.axes)
    return [candidates, {**trace, "mode": "markers", "marker": marker, "hoverinfo": "name"}]


def legend_layout(x_title: str, y_title: str) -> Layout:
    """The layout of a single run's cost: linear axes and a legend."""
    return make_layout(x_title, y_title, LINEAR) | {"showlegend": True}
