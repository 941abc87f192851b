"""What each Visdom window shows: pictures of runs turned into plotly traces and layouts."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.board import Axes, Scale
from app.columns import Floats
from app.overlay import PALETTE, Drawn
from app.picture import Curve
from trainers import METHODS

POINTS = 2000  # in one window, over all its traces
PARABOLA_POINTS = 160
EXPLOSION = 1e6  # times its first value: a curve this far off is not what the scale is for
_INK = "#5b6472"
_GRID = "rgba(128,136,150,0.22)"

type Trace = dict[str, Any]
type Layout = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """One window: its id in its env, and what Visdom is to show."""

    win: str
    title: str
    data: list[Trace]
    layout: Layout = field(default_factory=dict)


def shared_windows(drawn: list[Drawn], axes: Axes) -> list[Window]:
    """The windows of the env in which the latest runs lie over each other."""
    stepping = [one for one in drawn if one.run.method != "sweep"]
    return [
        _curves("loss", "Loss", stepping, "loss", x=axes.step, y=axes.loss, legend="right"),
        _curves("w", "w", stepping, "w", x=axes.step, y=axes.w),
        cost_window(drawn, axes.cost),
    ]


def _curves(
    win: str, title: str, drawn: list[Drawn], metric: str, *, x: Scale, y: Scale, legend: str | None = None
) -> Window:
    shown = [one for one in drawn if metric in one.curves and one.curves[metric].total]
    budget = POINTS // max(1, len(shown))
    traces = [_line(one, one.curves[metric], budget, x, y) for one in shown]
    layout = _layout("step", title.lower(), x, y)
    if not traces:
        return Window(win, title, *_empty(layout, f"Start a run to watch its {title.lower()} here."))
    if clip := _calm_range([one.curves[metric] for one in shown], [_is_wild(one, metric) for one in shown], y):
        layout[_axis(y)]["autorangeoptions"] = clip
    if legend:
        layout["showlegend"] = True
    return Window(win, title, traces, layout)


def _line(one: Drawn, curve: Curve, budget: int, x: Scale, y: Scale) -> Trace:
    steps, values = curve.points(max(2, budget))
    few = len(steps) < 2
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": trace_name(one),
        "x": (steps + 1 if x == "log" else steps).tolist(),
        "y": values.tolist(),
        **_axes_of(x, y),
        "line": {"color": colour_of(one), "width": 2},
        "marker": {"color": colour_of(one), "size": 6},
        "hovertemplate": "%{y:.6g}<extra>%{fullData.name}</extra>",
    }


def cost_window(drawn: list[Drawn], scale: Scale) -> Window:
    """The parabola cost(w) of the newest one-parameter run's data, with the path of each run on the same data.

    A path's points are (w before an update, cost over all data at that w), so every one lies on the parabola; the
    last, marked, is where the run stands now.
    """
    layout = _layout("w", "cost over all data", "linear", scale)
    layout["hovermode"] = "closest"
    one_parameter = [one for one in drawn if one.parabola]
    if not one_parameter:
        return Window("cost", "Cost curve", *_empty(layout, "Start a run to watch it descend its cost curve here."))
    parabola = one_parameter[-1].parabola
    sharing = [one for one in one_parameter if one.run.data_hash == one_parameter[-1].run.data_hash]
    paths = [_path(one, (POINTS - PARABOLA_POINTS) // len(sharing) - 2) for one in sharing]
    assert parabola is not None  # noqa: S101  (it is one of those that have one)
    calm = [path for one, path in zip(sharing, paths, strict=True) if not _is_wild(one, "w") and len(path)]
    ends = np.concatenate([[parabola.w_star], *(calm or [path[:3] for path in paths])])
    ends = ends[np.isfinite(ends)]
    low, high = _padded(float(ends.min()), float(ends.max()))
    ws = np.linspace(low, high, PARABOLA_POINTS)
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "cost(w)",
            "x": ws.tolist(),
            "y": _finite([parabola.cost(w) for w in ws.tolist()]),
            **_axes_of("linear", scale),
            "line": {"color": "#8d95a3", "width": 1.5},
            "hoverinfo": "skip",
        }
    ]
    for one, path in zip(sharing, paths, strict=True):
        inside = path[(path >= low) & (path <= high)]
        if len(inside):
            traces += _path_traces(one, inside, [parabola.cost(w) for w in inside.tolist()], scale)
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


def _path_traces(one: Drawn, ws: Floats, costs: list[float], scale: Scale) -> list[Trace]:
    colour = colour_of(one)
    common = {
        "type": "scatter",
        "name": trace_name(one),
        "legendgroup": one.run.id,
        **_axes_of("linear", scale),
    }
    hover = "w %{x:.6g}<br>cost %{y:.6g}<extra>%{fullData.name}</extra>"
    return [
        {
            **common,
            "mode": "markers" if one.run.method == "sweep" else "lines+markers",
            "x": ws.tolist(),
            "y": _finite(costs),
            "line": {"color": colour, "width": 1},
            "marker": {"color": colour, "size": 4, "opacity": 0.75},
            "hovertemplate": hover,
        },
        {
            **common,
            "name": f"{trace_name(one)} now",
            "mode": "markers",
            "x": [float(ws[-1])],
            "y": _finite(costs[-1:]),
            "marker": {"color": colour, "size": 12, "line": {"color": "#ffffff", "width": 2}},
            "showlegend": False,
            "hovertemplate": hover,
        },
    ]


def own_windows(one: Drawn) -> list[Window]:
    """The windows of a run's own env: every metric it logs, and a table of what is known of it."""
    if one.run.method == "sweep":
        plots = [cost_window([one], "linear")]
    else:
        groups: dict[str, list[str]] = {}
        for name in one.curves:
            groups.setdefault(_group_of(name), []).append(name)
        plots = [_own_plot(one, title, names) for title, names in list(groups.items())[:MAX_OWN_PLOTS]]
    return [*plots, _table(one)]


MAX_OWN_PLOTS = 12
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
    return Window(f"metric-{title}", title, traces, layout)


def _table(one: Drawn) -> Window:
    run = one.run
    rows: dict[str, Any] = {"status": run.status, "method": run.method, "step": run.step, **run.params}
    rows |= {f"last {name}": value for name, value in run.last.items()} | run.result
    if run.error:
        rows["error"] = run.error
    cells = "".join(
        f"<tr><th>{html.escape(str(key))}</th><td>{html.escape(_shown(value))}</td></tr>"
        for key, value in rows.items()
        if value is not None
    )
    return Window("about", html.escape(run.name), [{"type": "text", "content": f"<table>{cells}</table>"}])


def trace_name(one: Drawn) -> str:
    """A run's name in a legend: unique, short, and never markup."""
    name = one.run.name if len(one.run.name) <= 32 else one.run.name[:31] + "…"
    return html.escape(f"{name} #{one.run.number}", quote=False)


def colour_of(one: Drawn) -> str:
    """A run's one colour."""
    return PALETTE[one.run.colour % len(PALETTE)]


def _shown(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


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
        "linecolor": _GRID,
        "automargin": True,
        "exponentformat": "power",
    }
    anchors = _axes_of(x, y)
    on_x: Layout = {**common, "title": {"text": x_title, "standoff": 6}, "anchor": anchors["yaxis"]}
    on_y: Layout = {
        **common,
        "title": {"text": y_title, "standoff": 6},
        "anchor": anchors["xaxis"],
        "side": "left",
    }
    if x == "log":
        on_x |= {"type": "log", "title": {"text": f"{x_title} + 1, log", "standoff": 6}, "dtick": 1}
    if y == "log":
        on_y |= {"type": "log", "title": {"text": f"{y_title}, log", "standoff": 6}}
    return {
        _axis(x, "x"): on_x,
        _axis(y, "y"): on_y,
        "showlegend": False,
        "uirevision": "lossboard",
        "hovermode": "closest",
        "margin": {"l": 52, "r": 14, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 11, "color": _INK},
        "legend": {"x": 1, "xanchor": "right", "y": 1, "font": {"size": 10}, "bgcolor": "rgba(0,0,0,0)"},
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
        "font": {"size": 13},
    }
    return [{"type": "scatter", "x": [], "y": []}], {**layout, "annotations": [note]}


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
        return {"clipmax": math.log10(high)} if high > 0 else None
    return {"clipmin": low, "clipmax": high}


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range with some air around it."""
    width = high - low
    air = 0.08 * width if width else max(abs(low), 1.0)
    return low - air, high + air


def _finite(values: list[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
