"""What a run's own env shows: its cost with its path, every metric, its graph, its samples, and its facts."""

from __future__ import annotations

import html

import numpy as np

from app.charts.colours import others
from app.charts.run_chart import Drawn
from app.schemas.view import Axes
from app.storage.batch import Point
from app.visdom.windows import tables
from app.visdom.windows.annotations import Marks, marks
from app.visdom.windows.curves import line_of, note, show_calm
from app.visdom.windows.graph import MOST_UNITS, graph, unit_of
from app.visdom.windows.landscape import contours, cost_curve
from app.visdom.windows.layout import POINTS, Layout, Look, Window, as_text, colour_of, make_layout
from app.visdom.windows.x_axis import Plot, places, x_title
from trainers.problem import Data

MAX_PLOTS = 12
MAX_CURVES = 20  # in one plot
MARKED = ("loss", "w")  # the plots in which a changed parameter is marked
_GROUPS = {"mse": "loss", "b": "w", "grad": "gradient", "grad_b": "gradient"}


def windows_at(one: Drawn, point: Point | None = None, sample: int = 0, axes: Axes | None = None) -> list[Window]:
    """The windows of a run's own env, as it was at a point of it; None: as it is now.

    `sample`, from 0, is the one whose computational graph is drawn; `axes` are those of the board. The point needs all
    metrics of its step: what is shown of it is calculated from the parameters among them.
    """
    at = point or Point(float(one.run.step or 0), one.run.last)
    windows = [_graph(one, at, sample)] if one.run.method == "backprop" else []
    if one.parabola:
        windows.append(cost_curve(one, one.parabola, at))
    elif one.surface:
        windows.append(contours(one, one.surface, at))
    if one.run.method != "sweep":
        groups: dict[str, list[str]] = {}
        for name in one.curves:
            groups.setdefault(_group_of(name), []).append(name)
        plots = list(groups.items())[:MAX_PLOTS]
        windows += [_metrics(one, _plot(title, axes or Axes(), point), _fewer(names)) for title, names in plots]
    if samples := tables.samples(one, point):
        windows.append(_text("samples", *samples))
    return [*[window for window in windows if window], _text("about", one.run.name, tables.about(one.run))]


def _graph(one: Drawn, point: Point, sample: int) -> Window | None:
    """The computational graph; None before the first step, and where the data is not at hand."""
    if one.data is None or "b2" not in point.values:
        return None
    x, y = (column[: tables.MOST_SAMPLES] for column in one.data)
    return graph(Data.of(x, y), point, min(sample, len(x) - 1), of=one.samples or len(x))


def _text(win: str, title: str, content: str) -> Window:
    return Window(win, title, [{"type": "text", "content": content}])


def _fewer(names: list[str]) -> list[str]:
    """Of more metrics than one plot can show, those of the hidden units that the graph shows, or else the first."""
    if len(names) <= MAX_CURVES:
        return names
    shown = [name for name in names if unit_of(name) <= MOST_UNITS]
    return shown[:MAX_CURVES]


def _group_of(name: str) -> str:
    if name in _GROUPS:
        return _GROUPS[name]
    head = name.partition("_")[0]
    return "layers" if head in ("w1", "b1", "w2", "b2") else name


def _plot(title: str, axes: Axes, point: Point | None) -> Plot:
    """How a group of metrics is drawn. A gradient, and what a script logs, may well be negative: they are linear."""
    scales = {"loss": axes.loss, "w": axes.w}
    return Plot(title, Look(axes.step, scales.get(title, "linear")), at=point.step if point else None)


def _metrics(one: Drawn, plot: Plot, names: list[str]) -> Window:
    """Some metrics over the steps; a line marks the chosen point."""
    budget, title = max(2, POINTS // len(names)), plot.metric
    traces, colours = [], [colour_of(one), *others(colour_of(one))]
    for at, name in enumerate(names):
        trace = line_of(one, one.curves[name], budget, plot)
        colour = colours[at % len(colours)]
        traces.append({**trace, "name": as_text(name), "line": {"color": colour, "width": 2 if at == 0 else 1.5}})
    layout = make_layout(x_title(plot, [one]), as_text(title), plot.look)
    layout["showlegend"] = len(names) > 1
    left = show_calm(traces, layout, [(one, name) for name in names], plot)
    changes = marks([one], plot) if title in MARKED else Marks([], [])
    note(layout, plot, [one.curves[name] for name in names], left)
    layout["annotations"] += changes.labels
    layout["shapes"] = [*changes.shapes, *_chosen(one, plot)]
    return Window(f"metric-{html.escape(title)}", title, traces, layout)


def _chosen(one: Drawn, plot: Plot) -> list[Layout]:
    """A line at the chosen step, if one is."""
    if plot.at is None:
        return []
    (place,) = places(one, np.array([plot.at]), plot)
    ends = {"x0": place, "x1": place, "y0": 0, "y1": 1, "xref": plot.look.axes["xaxis"], "yref": plot.look.y_domain}
    return [{"type": "line", **ends, "line": {"color": "#98a1af", "width": 1, "dash": "dot"}}]
