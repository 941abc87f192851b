"""What each Visdom window shows: pictures of runs turned into plotly traces and layouts."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.board import Axes, Scale
from app.colours import PALETTE, hex_of
from app.columns import Floats
from app.overlay import Drawn
from app.picture import Curve
from app.visdom import tables
from app.visdom.changes import marks
from trainers import METHODS
from trainers.problem import Parabola

LEGEND = 12  # runs; of more, a legend would take the window, and the ranking names them
POINTS = 2000  # in one window, over all its traces
PARABOLA_POINTS = 160
FARTHEST = 1e150  # a w beyond it has diverged; an axis that far could not be calculated
EXPLOSION = 1e6  # times its first value: a curve this far off is not what the scale is for
_INK = "#545d6b"
_GRID = "rgba(128,136,150,0.2)"
_CURVE = "#98a1af"
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'

type Trace = dict[str, Any]
type Layout = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """One window: its id in its env, and what Visdom is to show. The title is text; data and layout hold markup."""

    win: str
    title: str
    data: list[Trace]
    layout: Layout = field(default_factory=dict)


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
    traces = [_line(one, one.curves[metric], budget, x, y) for one in shown]
    layout = _layout("step", title.lower(), x, y)
    if not traces:
        words = "Waiting for a first step…" if drawn else f"Start a run to watch its {title.lower()} here."
        return Window(win, title, *_empty(layout, words))
    curves = [one.curves[metric] for one in shown]
    wild = [_is_wild(one, metric) for one in shown]
    if clip := _calm_range(curves, wild, y):
        layout[_axis(y)]["autorangeoptions"] = clip
        for trace, is_wild in zip(traces, wild, strict=True):
            if is_wild and y == "linear":
                _cut(trace, clip)
        if all(wild):  # show how they leave the window, and not the long time they are gone
            end = max(_leaves_at(curve, clip) for curve in curves)
            layout[_axis(x, "x")]["autorangeoptions"] = {"clipmax": end + 1 if x == "log" else end}
    layout["showlegend"] = legend and len(shown) <= LEGEND
    return Window(win, title, traces, layout | marks(shown, x))


def _line(one: Drawn, curve: Curve, budget: int, x: Scale, y: Scale) -> Trace:
    steps, values = curve.points(max(2, budget))
    few = len(steps) < 2
    where = "" if x == "log" else "step %{x}<br>"
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": trace_name(one),
        "x": (steps + 1 if x == "log" else steps).tolist(),
        "y": values.tolist(),
        **_axes_of(x, y),
        "line": {"color": colour_of(one), "width": 2},
        "marker": {"color": colour_of(one), "size": 6},
        "hovertemplate": where + "%{y:.6g}<extra>%{fullData.name}</extra>",
    }


def cost_window(drawn: list[Drawn], scale: Scale) -> Window:
    """The parabola cost(w) of the newest one-parameter run's data, with the path of each run on the same data.

    A path's points are (w before an update, cost over all data at that w), so every one lies on the parabola; the
    last, marked, is where the run stands now. Of a sweep it is the best candidate.
    """
    layout = _layout("w", "cost over all data" if scale == "linear" else "cost", "linear", scale)
    layout["showlegend"] = any(one.run.method == "sweep" for one in drawn)  # the others stand in Loss's legend
    layout["legend"] |= {"x": 1, "xanchor": "right", "y": 1, "yanchor": "top"}
    one_parameter = [one for one in drawn if one.parabola]
    if not one_parameter:
        return Window("cost", "Cost curve", *_empty(layout, "Start a run to watch it<br>descend its cost curve here."))
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
            "y": _finite([parabola.cost(w) for w in ws.tolist()]),
            **_axes_of("linear", scale),
            "line": {"color": _CURVE, "width": 2},
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
    common = {"type": "scatter", "legendgroup": one.run.id, **_axes_of("linear", scale)}
    line = {
        **common,
        "name": trace_name(one),
        "mode": "markers" if one.run.method == "sweep" else "lines+markers",
        "x": inside.tolist(),
        "y": _finite(costs),
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
        "y": _finite([costs[marked]]),
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


def own_windows(one: Drawn) -> list[Window]:
    """The windows of a run's own env: every metric it logs, and a table of what is known of it."""
    if one.run.method == "sweep":
        plots = [cost_window([one], "linear")]
    else:
        groups: dict[str, list[str]] = {}
        for name in one.curves:
            groups.setdefault(_group_of(name), []).append(name)
        plots = [_own_plot(one, title, names) for title, names in list(groups.items())[:MAX_OWN_PLOTS]]
    if samples := tables.samples(one):
        plots.append(_text("samples", *samples))
    return [*plots, _text("about", one.run.name, tables.about(one.run))]


def _text(win: str, title: str, content: str) -> Window:
    return Window(win, title, [{"type": "text", "content": content}])


MAX_OWN_PLOTS = 12
MARKED_GROUPS = ("loss", "w")  # of a run's own plots, those that mark where a parameter was changed
_GROUPS = {"mse": "loss", "b": "w", "grad": "gradient", "grad_b": "gradient"}


def _group_of(name: str) -> str:
    if name in _GROUPS:
        return _GROUPS[name]
    head = name.partition("_")[0]
    return "layers" if head in ("w1", "b1", "w2", "b2") else name


def _own_plot(one: Drawn, title: str, names: list[str]) -> Window:
    budget = max(2, POINTS // len(names))
    traces = []
    for at, name in enumerate(names):
        trace = _line(one, one.curves[name], budget, "linear", "linear")
        colour = colour_of(one) if at == 0 else PALETTE[(one.run.colour + 3 * at) % len(PALETTE)]
        traces.append({**trace, "name": html.escape(name), "line": {"color": colour, "width": 2 if at == 0 else 1.5}})
    layout = _layout("step", html.escape(title), "linear", "linear")
    layout["showlegend"] = len(names) > 1
    if clip := _calm_range([one.curves[name] for name in names], [_is_wild(one, name) for name in names], "linear"):
        layout["yaxis"]["autorangeoptions"] = clip
    if title in MARKED_GROUPS:
        layout |= marks([one], "linear")
    return Window(f"metric-{html.escape(title)}", title, traces, layout)


def trace_name(one: Drawn) -> str:
    """A run's name in a legend: unique, short, and never markup."""
    name = one.run.name if len(one.run.name) <= 40 else one.run.name[:39] + "…"
    return html.escape(f"{name} #{one.run.number}", quote=False)


def colour_of(one: Drawn) -> str:
    """A run's one colour."""
    return hex_of(one.run)


def _axis(scale: Scale, letter: str = "y") -> str:
    """The layout key of an axis. Each scale has an axis of its own, so that a user's zoom, which Visdom's page and
    plotly both carry over to the next replacement, is never applied to the other scale."""
    return f"{letter}axis" if scale == "linear" else f"{letter}axis2"


def _axes_of(x: Scale, y: Scale) -> dict[str, str]:
    return {"xaxis": "x" if x == "linear" else "x2", "yaxis": "y" if y == "linear" else "y2"}


def _layout(x_title: str, y_title: str, x: Scale, y: Scale) -> Layout:
    common = {
        "gridcolor": _GRID,
        "zerolinecolor": _GRID,
        "automargin": True,
        "exponentformat": "power",
        "nticks": 7,
        "ticklabelstandoff": 4,
    }
    anchors = _axes_of(x, y)
    on_x: Layout = {**common, "title": {"text": x_title, "standoff": 4}, "anchor": anchors["yaxis"]}
    if x_title == "step" and x == "linear":
        on_x["exponentformat"] = "SI"  # 2M, not 0.2×10⁷
    on_y: Layout = {**common, "title": {"text": y_title, "standoff": 8}, "anchor": anchors["xaxis"], "side": "left"}
    powers = {"type": "log", "tickfont": {"size": 10}}  # plotly makes powers of ten a quarter larger
    if x == "log":
        on_x |= {**powers, "title": {"text": f"{x_title} + 1 (log scale)", "standoff": 4}, "dtick": 1}
    if y == "log":
        on_y |= {**powers, "title": {"text": f"{y_title} (log scale)", "standoff": 8}}
    return {
        _axis(x, "x"): on_x,
        _axis(y, "y"): on_y,
        "showlegend": False,
        "uirevision": "lossboard",
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        # Visdom's page sets the top margin itself, to 30: the window's title lies in it
        "margin": {"l": 56, "r": 20, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": _FONT, "size": 12, "color": _INK},
        # below the curves, in as many rows as it takes: it covers none of them, however narrow the window
        "legend": {
            "orientation": "h",
            "x": 0.01,
            "xref": "container",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 11},
        },
    }


def _empty(layout: Layout, words: str) -> tuple[list[Trace], Layout]:
    """A window with nothing to show yet, which says so."""
    note = {
        "text": words,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "showarrow": False,
        "font": {"size": 14},
    }
    axes = {
        name: {**axis, "showgrid": False, "zeroline": False, "showticklabels": False, "title": {"text": ""}}
        for name, axis in layout.items()
        if "axis" in name
    }
    return [{"type": "scatter", "x": [], "y": []}], {**layout, **axes, "annotations": [note]}


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


def _calm_range(curves: list[Curve], wild: list[bool], scale: Scale) -> dict[str, float] | None:
    """Bounds within which the scale stays, so that a diverged run does not squash the others; None: no need."""
    if not any(wild):
        return None
    calm = [curve.extent() for curve, is_wild in zip(curves, wild, strict=True) if not is_wild]
    extents = [extent for extent in calm if extent]
    if extents:
        low, high = _padded(min(low for low, _ in extents), max(high for _, high in extents))
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


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range with some air around it."""
    width = high - low
    air = 0.08 * width if width else max(abs(low), 1.0)
    return low - air, high + air


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
