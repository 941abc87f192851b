"""A run on its cost: the curve over w with the ball that rolls down it, or the contours over w and b with its path."""

from __future__ import annotations

import math

import numpy as np

from app.charts.colours import others
from app.charts.run_chart import Drawn
from app.storage.batch import Floats, Point
from app.visdom.windows.layout import CURVE, Layout, Look, Trace, Window, colour_of, empty, finite, make_layout
from trainers import METHODS
from trainers.method import DIVERGED
from trainers.problem import Parabola
from trainers.theory.cost_surface import Surface

CURVE_POINTS = 160
GRID = 56  # points of the contours' grid along each axis
DECADES = 6  # of cost that the contours show, below the highest
_SOFT = [[0, "rgba(59,125,216,0.42)"], [1, "rgba(59,125,216,0.02)"]]
_MARK = "#7b8594"  # seen on white and on dark grey


def cost_curve(one: Drawn, parabola: Parabola, point: Point) -> Window:
    """The cost over w, where the run has been on it up to a point, and there the ball and its tangent.

    The tangent's slope is the gradient over all data. The view reaches as far as the path did on both sides of the
    valley: a diverging run swings wider with every step, and so looks the same at any size.
    """
    layout = _layout("w", "cost over all data")
    now = point.values.get("w", math.nan)
    path = _ways(one, point)
    path = path[np.abs(path) <= DIVERGED]
    if not abs(now) <= DIVERGED:
        now = float(path[-1]) if len(path) else math.nan
    if math.isnan(now):
        return Window("cost", "Cost curve", *empty(layout, "Waiting for a first step…"))
    far = float(np.abs(np.append(path, now) - parabola.w_star).max()) or max(abs(parabola.w_star), 1.0)
    ws = np.linspace(parabola.w_star - 1.15 * far, parabola.w_star + 1.15 * far, CURVE_POINTS)
    curve = {
        **_trace("cost", ws, _costs(parabola, ws)),
        "mode": "lines",
        "line": {"color": CURVE, "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    ball = _ball(one, now, parabola.cost(now), "cost", f"w {now:.4g}, cost {parabola.cost(now):.4g}")
    if one.run.method == "sweep":
        return Window("cost", "Cost curve", [curve, *_candidates(one, path, parabola), ball], layout)
    tangent = _tangent(parabola, now, (float(ws[0]), float(ws[-1])), others(colour_of(one))[0])
    return Window("cost", "Cost curve", [curve, _way(one, path, _costs(parabola, path)), tangent, ball], layout)


def _candidates(one: Drawn, ws: Floats, parabola: Parabola) -> list[Trace]:
    """What a sweep has tried, and the best of it."""
    costs = _costs(parabola, ws)
    dots = {**_way(one, ws, costs), "name": "candidates", "mode": "markers"}
    if not len(ws):
        return [dots]
    best = ws[[int(np.argmin(costs))]]
    mark = {"color": _MARK, "size": 13, "symbol": "diamond-open", "line": {"color": _MARK, "width": 2}}
    words = f"best, w {best[0]:.4g}"
    return [
        dots,
        {**_trace(words, best, _costs(parabola, best)), "mode": "markers", "marker": mark, "hoverinfo": "name"},
    ]


def _way(one: Drawn, xs: Floats, ys: Floats) -> Trace:
    colour = colour_of(one)
    return {
        **_trace("path", xs, ys),
        "mode": "lines+markers",
        "line": {"color": colour, "width": 1.25},
        "marker": {"color": colour, "size": 4},
        "hovertemplate": "%{x:.6g}, %{y:.6g}<extra></extra>",
    }


def _ways(one: Drawn, point: Point) -> Floats:
    """The weights of the path up to a point: before the first update, and after those that are kept."""
    if "w" not in one.curves:
        return np.empty(0)
    steps, ws = one.curves["w"].points(600)
    ws = ws[steps <= point.step]
    if one.run.method == "sweep":
        return ws
    method = METHODS[one.run.method]
    return np.append(method.initial(method.params.model_validate(one.run.params))["w"], ws)


def _costs(parabola: Parabola, ws: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return np.array([parabola.cost(w) for w in ws.tolist()])


def _tangent(parabola: Parabola, at: float, view: tuple[float, float], colour: str) -> Trace:
    """The line through the ball with the slope there, within the view and hardly below the valley."""
    cost, slope = parabola.cost(at), parabola.gradient(at)
    half = 0.3 * (view[1] - view[0]) / 2
    top = parabola.cost(view[1])
    up = min(half, (1.05 * top - cost) / abs(slope)) if slope else half
    down = min(half, (cost - parabola.minimum + 0.04 * top) / abs(slope)) if slope else half
    left, right = (down, up) if slope > 0 else (up, down)
    xs = np.array([at - left, at + right])
    return {
        **_trace("tangent", xs, cost + slope * (xs - at)),
        "name": f"tangent, slope {slope:.4g}",
        "mode": "lines",
        "line": {"color": colour, "width": 2, "dash": "dash"},
        "hoverinfo": "name",
    }


def contours(one: Drawn, surface: Surface, point: Point) -> Window:
    """The cost over w and b as contours, one every half power of ten above its minimum, with the run's path on it.

    The grid is made of the data's five sufficient numbers: it costs the same for a million samples.
    """
    layout = _layout("w", "b")
    path = _plane(one, point)
    if not len(path):
        return Window("cost", "Cost over w and b", *empty(layout, "Waiting for a first step…"))
    if not (math.isfinite(surface.w_star) and math.isfinite(surface.b_star)):
        return Window("cost", "Cost over w and b", *empty(layout, "The minimum is too far away to be drawn"))
    ws, bs = _range(path[:, 0], surface.w_star), _range(path[:, 1], surface.b_star)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        height = np.log10(surface.above_minimum(*np.meshgrid(ws, bs)))
    highest = min(float(np.nanmax(height)), 300.0)
    lowest = max(float(np.nanmin(height[np.isfinite(height)], initial=highest)), highest - DECADES)
    height = np.clip(height, lowest, highest)
    first = math.ceil(2 * lowest) / 2
    ticks = range(math.ceil(lowest), math.floor(highest) + 1, max(1, round((highest - lowest) / 6)))
    valley = {
        "type": "contour",
        "name": "cost",
        "x": ws.tolist(),
        "y": bs.tolist(),
        "z": np.round(height, 3).tolist(),
        "colorscale": _SOFT,
        "zmin": lowest,
        "zmax": highest,
        "contours": {"start": first, "end": highest, "size": 0.5, "coloring": "heatmap"},
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
    least = {
        **_trace("minimum", np.array([surface.w_star]), np.array([surface.b_star])),
        "mode": "markers",
        "marker": {"color": _MARK, "size": 11, "symbol": "x-thin", "line": {"color": _MARK, "width": 2}},
        "hoverinfo": "x+y",
    }
    # the legend in one row, so that the plot has the height: the path has the colour of the ball at its end
    way = {**_way(one, path[:, 0], path[:, 1]), "showlegend": False}
    w, b = path[-1].tolist()
    return Window(
        "cost", "Cost over w and b", [valley, way, least, _ball(one, w, b, "b", f"w {w:.3g}, b {b:.3g}")], layout
    )


def _plane(one: Drawn, point: Point) -> Floats:
    """The (w, b) of the path up to a point, that point last, of shape (n, 2)."""
    now = [[point.values.get("w", math.nan), point.values.get("b", math.nan)]]
    path = np.concatenate([_start(one), one.trail.until(point.step)[:, 1:], now])
    return path[(np.abs(path) <= DIVERGED).all(axis=1)]


def _start(one: Drawn) -> Floats:
    """Where the path began, of shape (1, 2), or (0, 2) if that is not known.

    To ask torch for its initial weights would take seconds. What plain sgd did first, though, can be taken back.
    """
    method, params = METHODS[one.run.method], one.run.params
    if not method.needs_torch:
        values = method.initial(method.params.model_validate(params))
        return np.array([[values["w"], values["b"]]])
    firsts = [one.curves[name].first for name in ("w", "grad", "b", "grad_b") if name in one.curves]
    if len(firsts) < 4 or params.get("optimizer") != "sgd" or one.run.changes or any(f is None or f[0] for f in firsts):
        return np.empty((0, 2))
    w, grad, b, grad_b = (first[1] for first in firsts if first)
    return np.array([[w + params["lr"] * grad, b + params["lr"] * grad_b]])


def _range(path: Floats, star: float) -> Floats:
    low, high = min(float(path.min()), star), max(float(path.max()), star)
    air = 0.15 * (high - low) or max(abs(star), 1.0)
    return np.linspace(low - air, high + air, GRID)


def _ball(one: Drawn, x: float, y: float, name: str, words: str) -> Trace:
    return {
        **_trace(f"{name} now", np.array([x]), np.array([y])),
        "name": words,
        "mode": "markers",
        "marker": {"color": colour_of(one), "size": 13, "line": {"color": "#ffffff", "width": 2}},
        "hoverinfo": "name",
    }


def _trace(name: str, x: Floats, y: Floats) -> Trace:
    return {"type": "scatter", "name": name, "x": finite(x.tolist()), "y": finite(y.tolist())}


def _layout(x_title: str, y_title: str) -> Layout:
    layout = make_layout(x_title, y_title, Look())
    layout["showlegend"] = True
    return layout
