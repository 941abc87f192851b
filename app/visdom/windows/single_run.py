"""The windows of a single run: its graph, its cost with its path, every metric, its samples, and its facts."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from app.charts.colours import others
from app.charts.metric_choice import choose, is_loss
from app.charts.metric_names import key_of
from app.charts.run_chart import RunChart
from app.charts.run_state import RunState, newest_state
from app.schemas.view import View
from app.visdom.windows import tables
from app.visdom.windows.annotations import plot_marks
from app.visdom.windows.contours import contours_window
from app.visdom.windows.cost import run_cost_window
from app.visdom.windows.curves import add_note, curve_trace, limited_scale, no_finite_value, raw_trace, smoothed, x_end
from app.visdom.windows.graph import MAX_UNITS, graph_window, unit_of
from app.visdom.windows.layout import (
    CURVE,
    MAX_POINTS,
    OURS,
    AxesStyle,
    Layout,
    Trace,
    Window,
    as_text,
    attempted,
    colour_of,
    empty_plot,
    make_layout,
)
from app.visdom.windows.metrics import styles
from app.visdom.windows.x_axis import PlotOptions, x_title, x_values
from trainers import is_search
from trainers.numbers import counted, short
from trainers.problem import Data

MAX_PLOTS = 12
MAX_CURVES = 20  # in one plot
WITH_CHANGE_MARKS = ("loss", "w")  # the plots in which parameter changes are marked
_GROUPS = {"mse": "loss", "b": "w", "grad": "gradient", "grad_b": "gradient"}  # plots that hold several metrics
_LAYER_PREFIXES = ("w1", "b1", "w2", "b2")  # of the metrics in the plot of layers


def windows_at(
    chart: RunChart,
    state: RunState | None = None,
    sample: int = 0,
    view: View | None = None,
    *,
    chosen: bool = False,
    media: Sequence[Window] = (),
    failed: Callable[[], None] | None = None,
) -> list[Window]:
    """The windows of a run's own env in a state of it, None for the newest; its picture is the first.

    Of a built-in method each of them is there from the beginning; of a script's metrics the first that the view wants
    are.

    `sample`, from 0, is the one whose computational graph is drawn; `view` says which metrics and axes are shown.
    `chosen`: a person has chosen the state's position, which then is within every scale. `failed` is called in the
    place of an exception, and the plot of metrics that cannot be drawn says so. `media` are the windows of what it has
    logged besides numbers.
    """
    view = view or View()
    state = state or newest_state(chart)
    windows = [_graph(chart, state, sample)]
    if chart.parabola:
        windows.append(run_cost_window(chart, chart.parabola, state, chosen=chosen))
    elif chart.surface:
        windows.append(contours_window(chart, chart.surface, state, chosen=chosen))
    not_shown: list[str] = []
    if not is_search(chart.run.method):
        groups, not_shown = _groups(chart, view)
        selected_step = state.step if chosen else None
        for title, names in groups.items():
            options = _options(title, view, selected_step)
            plot = partial(_metrics, chart, options, _fewer(names), state)
            windows.append(attempted(_win_of(title), title, plot, failed))
    plots = [window for window in windows if window]
    for place, window in enumerate(plots):  # by which the page knows what they show, and puts them in order
        window.layout["meta"] = {"run": state.run, "position": state.position}
        window.layout[OURS] = {"place": place}
    texts = [_text("about", chart.run.name, tables.about(chart, not_shown))]
    if samples := tables.samples(chart, state):
        texts.insert(0, _text("samples", *samples))
    return [*plots, *media, *texts]


def _groups(chart: RunChart, view: View) -> tuple[dict[str, list[str]], list[str]]:
    """The metrics of each plot, by its title, and the titles of the plots that are not shown. Of a built-in method
    those of the method, also before it has any values, and all others; of a script those that are chosen."""
    if chart.method is None:
        choice = choose([(chart.run.method, chart.logged)], view.metrics)
        by_key: dict[str, list[str]] = {key: [] for key in choice.shown}
        for name in chart.logged:
            by_key.get(key_of(name), []).append(name)
        return {choice.shown[key]: names for key, names in by_key.items()}, list(choice.rest.values())
    known = chart.method.metrics(chart.params) if chart.method and chart.params else ()
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys([*known, *chart.curves]):
        groups.setdefault(_group_of(name), []).append(name)
    return dict(list(groups.items())[:MAX_PLOTS]), list(groups)[MAX_PLOTS:]


def _graph(chart: RunChart, state: RunState, sample: int) -> Window | None:
    """The computational graph; None for a method without one, and without data."""
    method = chart.method
    if method is None or method.graph is None or chart.data is None or not state.values or state.position is None:
        return None
    x, y = (column[: tables.MAX_SAMPLES] for column in chart.data)
    sample = min(sample, len(x) - 1)
    updates = f"{counted(state.position)} update{'' if state.position == 1 else 's'}"
    title = f"Graph for sample {sample + 1} of {chart.count:,}, with the parameters after {updates}"
    return graph_window(title, method.graph(state.values, Data.of(x, y), sample))


def _text(win: str, title: str, content: str) -> Window:
    return Window(win, title, [{"type": "text", "content": content}])


def _fewer(names: list[str]) -> list[str]:
    """At most MAX_CURVES metrics: of more, those of the hidden units that the graph shows, or else the first."""
    if len(names) <= MAX_CURVES:
        return names
    shown = [name for name in names if unit_of(name) <= MAX_UNITS]
    return shown[:MAX_CURVES]


def _group_of(name: str) -> str:
    """The title of the plot that a metric belongs to."""
    if name in _GROUPS:
        return _GROUPS[name]
    return "layers" if name.partition("_")[0] in _LAYER_PREFIXES else name


def _options(title: str, view: View, selected_step: float | None) -> PlotOptions:
    """How a group of metrics is drawn: losses and w on the view's scales, the others, which may be negative, linear."""
    scale = view.axes.loss if is_loss(title.casefold()) else view.axes.w if title == "w" else "linear"
    style = AxesStyle(view.axes.step, scale)
    return PlotOptions(title, style, smoothing=view.smoothing, selected_step=selected_step)


def _metrics(chart: RunChart, options: PlotOptions, names: list[str], state: RunState) -> Window:
    """Some metrics over the positions; a line marks the one of the state, of which a script's values are told."""
    title = options.metric
    win = _win_of(title)
    layout = make_layout(x_title(options, [chart]), as_text(title), options.axes)
    logged, names = names, [name for name in names if name in chart.curves and chart.curves[name].total]
    if not names:
        text = no_finite_value([chart.curves[name] for name in logged if name in chart.curves])
        text = text or ("Waiting for a first step…" if all(map(chart.keeps, logged)) else "Reading its points…")
        return Window(win, title, *empty_plot(layout, text))
    budget = max(2, MAX_POINTS // len(names) // (2 if options.smoothing else 1))
    lines = _lines(chart, names)
    traces: list[Trace] = [
        {**curve_trace(chart, name, budget, options), "name": as_text(name), "line": line}
        for name, line in zip(names, lines, strict=True)
    ]
    layout["showlegend"] = len(names) > 1
    exits = limited_scale(traces, layout, [(chart, name) for name in names], options)
    with_changes = title in WITH_CHANGE_MARKS
    marks = plot_marks([chart], options, exits, end=x_end(layout, options), with_changes=with_changes)
    values = "" if chart.method else _values_text(chart, names, state)
    add_note(layout, options, [chart.curves[name] for name in names], values)
    layout["annotations"] += marks.labels
    layout["shapes"] = [*marks.shapes, *_marker(chart, options, state.position)]
    if options.smoothing:
        traces = [raw_trace(trace) for trace in traces] + [
            smoothed(trace, chart, name, budget, options) for trace, name in zip(traces, names, strict=True)
        ]
    return Window(win, title, traces, layout)


def _values_text(chart: RunChart, names: list[str], state: RunState) -> str:
    """The values of some metrics at the step of a state; of one that was not logged there the last before, and where
    that was."""
    told = []
    for name in names:
        if name in state.values:
            text = short(state.values[name])
        elif before := _last_before(chart, name, state.step):
            text = f"{short(before[1])} at step {counted(before[0])}"
        else:
            continue
        told.append(text if len(names) == 1 else f"{name} {text}")
    return ", ".join(told)


def _last_before(chart: RunChart, metric: str, step: float | None) -> tuple[float, float] | None:
    """Step and value of the last point of a metric that is drawn up to this step, if there is one."""
    steps, values = chart.points(metric, MAX_POINTS)
    known = np.flatnonzero((steps <= (np.inf if step is None else step)) & np.isfinite(values))
    return (float(steps[known[-1]]), float(values[known[-1]])) if len(known) else None


def _win_of(title: str) -> str:
    return f"metric-{html.escape(title)}"


def _lines(chart: RunChart, names: list[str]) -> list[dict[str, Any]]:
    """The lines of some metrics in one plot: in the run's colour and others, or, of a script, with a dash for each
    stage, and in other colours only where two have the same."""
    colours = [colour_of(chart), *others(colour_of(chart))]
    if chart.method is not None:
        return [{"color": colours[index % len(colours)], "width": 1.5 if index else 2} for index in range(len(names))]
    dashes = list(styles(names).values())
    return [
        {"color": colours[dashes[:index].count(dash) % len(colours)], "width": 2, "dash": dash}
        for index, dash in enumerate(dashes)
    ]


def _marker(chart: RunChart, options: PlotOptions, position: float | None) -> list[Layout]:
    """A vertical line at a position, if there is one."""
    if position is None:
        return []
    (x,) = x_values(chart, np.array([position]), options)
    axes = {"xref": options.axes.trace_axes["xaxis"], "yref": options.axes.y_domain}
    line = {"color": CURVE, "width": 1, "dash": "dot"}
    return [{"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, **axes, "line": line}]
