"""The shared windows of metrics: one metric of many runs, and of their stages, over each other."""

from __future__ import annotations

import html
from dataclasses import dataclass, field

from app.charts.metric_choice import is_loss
from app.charts.metric_names import key_of, parse
from app.charts.run_chart import RunChart
from app.schemas.view import Axes, Scale, View
from app.visdom.windows.annotations import plot_marks
from app.visdom.windows.curves import (
    add_note,
    curve_trace,
    limited_scale,
    no_finite_value,
    raw_trace,
    smoothed,
    x_end,
)
from app.visdom.windows.layout import (
    INK,
    MAX_POINTS,
    OURS,
    AxesStyle,
    Layout,
    Trace,
    Window,
    as_text,
    empty_plot,
    in_template,
    make_layout,
    trace_name,
)
from app.visdom.windows.scale import Shown, charts_of
from app.visdom.windows.x_axis import PlotOptions, x_hover, x_title
from trainers.numbers import short

MAX_LEGEND_RUNS = 12  # a legend of more would fill the window; the ranking names them
OF_METHODS = ("loss", "w")  # the windows that have been there from the beginning, by key and id
DASHES = {"": "solid", "train": "solid", "val": "dash", "eval": "dashdot", "dev": "longdash", "test": "dot"}
TRAIN_BESIDE_OTHERS = "longdashdot"  # of a run that logs the same metric without a stage, too
_STAGES = list(DASHES)


@dataclass
class Legend:
    """What the legends of the windows so far have told: runs, by id, and stages."""

    runs: set[str] = field(default_factory=set)
    stages: set[str] = field(default_factory=set)


def win_of(key: str) -> str:
    """The id of the window of a metric."""
    return key if key in OF_METHODS else f"metric-{html.escape(key)}"


def metric_window(
    key: str, title: str, charts: list[RunChart], view: View, legend: Legend, most: int = MAX_POINTS
) -> Window:
    """The window of all metrics with this key, with the scales, range and smoothing of the view, and at most so many
    points. Its legend tells what `legend` has not told yet, which is noted there."""
    axes = AxesStyle(view.axes.step, _scale(key, view.axes), view.detail is not None)
    options = PlotOptions(key, axes, view.x, view.smoothing)
    y_title = title if key in OF_METHODS else ""  # the window's title says it, and has more room
    along = [chart for chart in charts if options.along is None or chart.metric_like(options.along)]
    shown = [(chart, name) for chart in along for name in _metrics(chart, key)]
    if shown:
        traces, layout = _traces_and_layout(options, y_title, shown, legend, most)
    else:
        text = _why_empty(key, title, charts, view) if along or not charts else _why_nothing_along(options.along or "")
        traces, layout = empty_plot(make_layout(x_title(options, charts), y_title, axes), text)
    return Window(win_of(key), "Loss" if key == "loss" else title, traces, {**layout, OURS: {"metric": key}})


def styles(names: list[str]) -> dict[str, str]:
    """How the curves of these metrics of one run are dashed, by name."""
    stages = {name: parse(name).stage for name in names}
    dashes = {**DASHES, "train": TRAIN_BESIDE_OTHERS} if "" in stages.values() else DASHES
    return {name: dashes[stage] for name, stage in stages.items()}


def dashed(trace: Trace, dash: str) -> Trace:
    """What of a trace is another for its line to be dashed."""
    return {} if dash == "solid" else {"line": {**trace["line"], "dash": dash}}


def _scale(key: str, axes: Axes) -> Scale:
    """The scale of losses, and of w, is the view's; other metrics may be negative."""
    return axes.loss if is_loss(key) else axes.w if key == "w" else "linear"


def _metrics(chart: RunChart, key: str) -> list[str]:
    """The metrics of a run that a window shows and that have values, those of training first."""
    names = [name for name, curve in chart.curves.items() if curve.total and key_of(name) == key]
    return sorted(names, key=lambda name: _STAGES.index(parse(name).stage))


def _why_empty(key: str, title: str, charts: list[RunChart], view: View) -> str:
    """What to say, as markup, where no run has a finite value of a metric."""
    if not charts:
        return f"Start a run to watch its {as_text(title.lower())} here."
    logged = [(chart, name) for chart in charts for name in chart.logged if key_of(name) == key]
    if any(not chart.keeps(name) for chart, name in logged):
        return "Reading its points…"
    if text := no_finite_value([chart.curves[name] for chart, name in logged if name in chart.curves]):
        return text
    if view.detail:
        return f"No run has a point from step {short(view.detail.from_step)} to {short(view.detail.to_step)}."
    return "Waiting for a first step…"


def _why_nothing_along(metric: str) -> str:
    return f"No run has logged {as_text(metric)},<br>which is to run along."


def _traces_and_layout(
    options: PlotOptions, y_title: str, shown: Shown, legend: Legend, most: int
) -> tuple[list[Trace], Layout]:
    charts = charts_of(shown)
    curves = [chart.curves[name] for chart, name in shown]
    layout = make_layout(x_title(options, charts), y_title, options.axes)
    budget = (most - 1 - len(DASHES)) // len(shown) // (2 if options.smoothing else 1)
    traces = [curve_trace(chart, name, budget, options) for chart, name in shown]
    exits = limited_scale(traces, layout, shown, options)
    marks = plot_marks(charts, options, exits, end=x_end(layout, options))
    layout["shapes"] = marks.shapes
    add_note(layout, options, curves)
    layout["annotations"] += marks.labels
    traces = _styled(traces, shown, options)
    if options.smoothing:
        averages = zip(traces, shown, strict=True)
        traces = [raw_trace(trace) for trace in traces] + [
            smoothed(trace, chart, name, budget, options) for trace, (chart, name) in averages
        ]
    return _with_legend(traces, layout, shown, legend), layout


def _styled(traces: list[Trace], shown: Shown, options: PlotOptions) -> list[Trace]:
    """The traces with names of their own, and with the dashes of their stages where a run has several."""
    by_run: dict[int, list[str]] = {}
    for chart, name in shown:
        by_run.setdefault(id(chart), []).append(name)
    styled = []
    for trace, (chart, name) in zip(traces, shown, strict=True):
        names = by_run[id(chart)]
        style = dashed(trace, styles(names)[name])
        if len(names) > 1:
            full = f"{trace_name(chart)} {as_text(name)}"
            of_run = x_hover(chart, options) + "%{y:.5~g}<extra>"
            style["hovertemplate"] = f"{of_run}{in_template(full)}</extra>"
            style["name"] = trace["name"] if name == names[0] else full
        styled.append({**trace, **style})
    return styled


def _with_legend(traces: list[Trace], layout: Layout, shown: Shown, legend: Legend) -> list[Trace]:
    """The traces with a legend of the runs that no window before has told of, a line for each, and of the stages;
    changes the layout and the legend. More than MAX_LEGEND_RUNS runs are not told."""
    charts = charts_of(shown)
    new = [chart for chart in charts if chart.run.id not in legend.runs]
    stages = _new_stages(traces, shown, legend)
    is_first = not legend.runs
    legend.runs |= {chart.run.id for chart in charts}
    legend.stages |= {stage["name"] for stage in stages}
    if len(new) > MAX_LEGEND_RUNS and is_first and not stages:
        layout["showlegend"] = True
        return _without_legend(traces, layout)
    names = {trace_name(chart) for chart in new} if len(new) <= MAX_LEGEND_RUNS else set()
    layout["showlegend"] = bool(names or stages)
    if not layout["showlegend"]:
        return traces
    return [*(trace if trace["name"] in names else {**trace, "showlegend": False} for trace in traces), *stages]


def _new_stages(traces: list[Trace], shown: Shown, legend: Legend) -> list[Trace]:
    """An empty trace for each stage that a window tells apart and that no legend has told of."""
    dashes = {}
    for trace, (_, name) in zip(traces[-len(shown) :], shown, strict=True):
        dashes[parse(name).stage] = trace["line"].get("dash", "solid")
    if set(dashes.values()) == {"solid"}:
        return []
    axes = {name: traces[0][name] for name in ("xaxis", "yaxis")}
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": stage,
            "x": [None],
            "y": [None],
            "hoverinfo": "skip",
            "line": {"color": INK, "width": 2, "dash": dash},
            **axes,
        }
        for stage, dash in sorted(dashes.items(), key=lambda one: _STAGES.index(one[0]))
        if stage and stage not in legend.stages
    ]


def _without_legend(traces: list[Trace], layout: Layout) -> list[Trace]:
    """The traces without a legend, and an empty trace. plotly keeps the room of an earlier legend unless there is a
    new one: that of the empty trace lies within the plot and shows nothing."""
    layout["legend"] = {"x": 0, "y": 1, "itemclick": False, "itemdoubleclick": False, "bgcolor": "rgba(0,0,0,0)"}
    nothing = {"type": "scatter", "name": " ", "mode": "none", "x": [None], "y": [None], "hoverinfo": "skip"}
    axes = {name: traces[0][name] for name in ("xaxis", "yaxis")}
    return [*({**trace, "showlegend": False} for trace in traces), {**nothing, **axes}]
