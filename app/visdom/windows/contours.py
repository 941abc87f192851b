"""The cost of a model with w and b as contours over both, with the path of a run."""

from __future__ import annotations

import math

import numpy as np

from app.assets import TOKENS
from app.charts.run_chart import RunChart
from app.charts.run_state import RunState
from app.storage.batch import Floats
from app.visdom.windows.annotations import framed
from app.visdom.windows.cost import arrow_trace, ball_trace, legend_layout, line_trace, path_trace
from app.visdom.windows.layout import CURVE, MARKER, MIN_SIZE, Layout, Trace, Window, colour_of, empty_plot
from app.visdom.windows.scale import held_extent, leaver
from trainers.method import DIVERGED
from trainers.numbers import short
from trainers.theory.cost_surface import CostSurface

GRID_POINTS = 56  # along each axis
MAX_DECADES = 6  # of cost that the contours show, below the highest
MAX_LOG_COST = 300.0  # log10; plotly cannot draw values near the largest float64
PADDING = 0.15  # of the path's extent, on each side
HEATMAP = [[0, TOKENS["contour-low"]], [1, TOKENS["contour-high"]]]
WIN = "cost"
TITLE = "Cost over w and b"


def contours_window(chart: RunChart, surface: CostSurface, state: RunState, *, chosen: bool = False) -> Window:
    """The cost over w and b as contours, one every half decade above its minimum, with the run's path up to a state and
    an arrow to where the next update leads. While a run diverges, its path leaves the view, unless the state was
    `chosen`.

    The grid is calculated from the surface's five numbers: it takes as long for a million samples as for three.
    """
    layout = legend_layout("w", "b")
    path = _path(chart, state)
    if not len(path):
        return Window(WIN, TITLE, *empty_plot(layout, "Waiting for a first step…"))
    if not (math.isfinite(surface.w_star) and math.isfinite(surface.b_star)):
        return Window(WIN, TITLE, *empty_plot(layout, "The minimum is too far away to be drawn"))
    minimum = {
        **line_trace("minimum", np.array([surface.w_star]), np.array([surface.b_star])),
        "mode": "markers",
        "marker": {"color": MARKER, "size": 11, "symbol": "x-thin", "line": {"color": MARKER, "width": 2}},
        "hoverinfo": "x+y",
    }
    if not chosen and (corners := _held_corners(chart)) is not None:
        ws, bs = _grid_axis(corners[:, 0], surface.w_star), _grid_axis(corners[:, 1], surface.b_star)
        outside = np.flatnonzero((path < [ws[0], bs[0]]).any(axis=1) | (path > [ws[-1], bs[-1]]).any(axis=1))
        if len(outside):
            _clip(layout, ws, bs)
            leaving = path[: outside[0] + 1]
            layout["annotations"] = [_exit_label(chart, leaving, ws, bs)]
            line = path_trace(chart, "path", leaving[:, 0], leaving[:, 1])
            return Window(WIN, TITLE, [_contours(surface, corners), line, minimum], layout)
    # Without the path, which has the colour of the ball, the legend is one row: the plot has the height.
    line = path_trace(chart, "path", path[:, 0], path[:, 1]) | {"showlegend": False}
    w, b = path[-1].tolist()
    ball = ball_trace(chart, f"w {short(w, 3)}, b {short(b, 3)}", w, b)
    following = _next(state)
    held = np.concatenate([path, following])
    arrows = [arrow_trace("next", [w, to_w], [b, to_b]) for to_w, to_b in following.tolist()]
    return Window(WIN, TITLE, [_contours(surface, held), line, minimum, *arrows, ball], layout)


def _held_corners(chart: RunChart) -> Floats | None:
    """Two corners of the part of the plane to hold while a run diverges, of shape (2, 2); None where it does not."""
    extents = [held_extent([(chart, name)]) for name in ("w", "b")]
    return np.clip(np.array(extents).T, -DIVERGED, DIVERGED) if None not in extents else None


def _clip(layout: Layout, ws: Floats, bs: Floats) -> None:
    """Let the axes of a layout end where the grid does, in place."""
    for axis, places in (("xaxis", ws), ("yaxis", bs)):
        layout[axis]["autorangeoptions"] = {"clipmin": float(places[0]), "clipmax": float(places[-1])}


def _exit_label(chart: RunChart, path: Floats, ws: Floats, bs: Floats) -> Layout:
    """The label at the edge where a path, of shape (n, 2), leaves the grid with its last point."""
    start, step = path[-2], path[-1] - path[-2]
    edges = np.where(step > 0, [ws[-1], bs[-1]], [ws[0], bs[0]])
    shares = np.where(step, (edges - start) / np.where(step, step, 1.0), 1.0)
    x, y = (start + min(1.0, float(shares.min())) * step).tolist()
    right, top = x > (ws[0] + ws[-1]) / 2, y > (bs[0] + bs[-1]) / 2
    anchors: Layout = {"xanchor": "right" if right else "left", "yanchor": "top" if top else "bottom"}
    text = f"{leaver(chart, 'w', [(chart, 'w')])} leaves here: update {len(path) - 1}"
    return framed(text, colour_of(chart)) | {"x": x, "y": y, "xref": "x", "yref": "y"} | anchors


def _contours(surface: CostSurface, path: Floats) -> Trace:
    """log10 of the cost above its minimum, on a grid that holds the minimum and the path, of shape (n, 2)."""
    ws, bs = _grid_axis(path[:, 0], surface.w_star), _grid_axis(path[:, 1], surface.b_star)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        logs = np.log10(surface.above_minimum(*np.meshgrid(ws, bs)))
    highest = min(float(np.nanmax(logs)), MAX_LOG_COST)
    lowest = max(float(np.nanmin(logs[np.isfinite(logs)], initial=highest)), highest - MAX_DECADES)
    ticks = range(math.ceil(lowest), math.floor(highest) + 1, max(1, round((highest - lowest) / 6)))
    return {
        "type": "contour",
        "name": "cost",
        "x": ws.tolist(),
        "y": bs.tolist(),
        "z": np.round(np.clip(logs, lowest, highest), 3).tolist(),
        "colorscale": HEATMAP,
        "zmin": lowest,
        "zmax": highest,
        "contours": {"start": math.ceil(2 * lowest) / 2, "end": highest, "size": 0.5, "coloring": "heatmap"},
        "line": {"color": CURVE, "width": 1},
        "hoverinfo": "skip",
        "colorbar": {
            "thickness": 8,
            "outlinewidth": 0,
            "title": {"text": "above minimum", "side": "right", "font": {"size": 11}},
            "tickvals": list(ticks),
            "ticktext": [f"10<sup>{power}</sup>" for power in ticks],
        },
    }


def _grid_axis(path: Floats, star: float) -> Floats:
    """The grid's places along one axis, of shape (GRID_POINTS,): they hold the path, of shape (n,), and the minimum."""
    low, high = min(float(path.min()), star), max(float(path.max()), star)
    padding = PADDING * (high - low) if high - low > MIN_SIZE else max(abs(star), 1.0)
    return np.linspace(low - padding, high + padding, GRID_POINTS)


def _path(chart: RunChart, state: RunState) -> Floats:
    """The (w, b) of the path up to a state, that one last, of shape (n, 2), without those that have diverged."""
    before = chart.trajectory.until(math.inf if state.step is None else state.step)[:, 1:]
    return _drawable(np.concatenate([_row(chart.initial), before, _row(state.values)]))


def _next(state: RunState) -> Floats:
    """The (w, b) after the next update, of shape (1, 2); (0, 2) if it is not known or has diverged."""
    return _drawable(_row(state.next_values or {}))


def _row(values: dict[str, float]) -> Floats:
    return np.array([[values.get("w", math.nan), values.get("b", math.nan)]])


def _drawable(path: Floats) -> Floats:
    return path[(np.abs(path) <= DIVERGED).all(axis=1)]
