"""Windows of curves: a metric of many runs over each other, and the parts of the metrics of one."""

from __future__ import annotations

import textwrap
from bisect import bisect_right

import numpy as np

from app.charts.run_chart import RunChart
from app.schemas.view import View
from app.storage.downsampling import Curve
from app.visdom.windows.annotations import change_marks
from app.visdom.windows.layout import (
    MAX_POINTS,
    AxesStyle,
    Layout,
    Trace,
    Window,
    colour_of,
    empty_plot,
    make_layout,
    trace_name,
)
from app.visdom.windows.scale import limit_scale
from app.visdom.windows.x_axis import TITLES, PlotOptions, x_hover, x_title, x_values

MAX_LEGEND_RUNS = 12  # a legend of more would fill the window; the ranking names them
PLOT_TOP = 0.97  # of the height: where the vertical axis ends, so that its last number is not on the window's title
NOTE_ROW_HEIGHT = 0.06  # of the height
NOTE_COLUMNS = 46  # letters in a row: as many as fit into the narrowest window


def metric_window(win: str, title: str, charts: list[RunChart], metric: str, view: View, *, legend: bool) -> Window:
    """A metric of many runs, with the scales, range and smoothing of the view."""
    scale = view.axes.loss if metric == "loss" else view.axes.w
    axes = AxesStyle(view.axes.step, scale, view.detail is not None)
    options = PlotOptions(metric, axes, view.x, view.smoothing, legend)
    shown = [chart for chart in charts if metric in chart.curves and chart.curves[metric].total]
    if not shown:
        text = "Waiting for a first step…" if charts else f"Start a run to watch its {title.lower()} here."
        if charts and view.detail:
            text = f"No run has a point from step {view.detail.from_step:g} to {view.detail.to_step:g}."
        return Window(win, title, *empty_plot(make_layout(TITLES[options.x_axis], title.lower(), axes), text))
    return Window(win, title, *_traces_and_layout(options, title.lower(), shown))


def _traces_and_layout(options: PlotOptions, title: str, charts: list[RunChart]) -> tuple[list[Trace], Layout]:
    curves = [chart.curves[options.metric] for chart in charts]
    layout = make_layout(x_title(options, charts), title, options.axes)
    budget = (MAX_POINTS - 1) // len(charts) // (2 if options.smoothing else 1)
    traces = [curve_trace(chart, options.metric, budget, options) for chart in charts]
    exit_note = limit_scale(traces, layout, [(chart, options.metric) for chart in charts], options)
    layout["showlegend"] = options.legend
    changes = change_marks(charts, options)
    layout["shapes"] = changes.shapes
    add_note(layout, options, curves, exit_note)
    layout["annotations"] += changes.labels
    if options.smoothing:
        raw = [_raw_trace(trace) for trace in traces]
        smoothed = zip(traces, charts, curves, strict=True)
        traces = raw + [_smoothed(trace, chart, curve, budget, options) for trace, chart, curve in smoothed]
    if options.legend and len(charts) > MAX_LEGEND_RUNS:
        traces = _without_legend(traces, layout)
    return traces, layout


def curve_trace(chart: RunChart, metric: str, budget: int, options: PlotOptions) -> Trace:
    """A run's curve of a metric, with at most `budget` points, or 2 if that is less."""
    positions, values = chart.points(metric, max(2, budget))
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(positions) < 2 else "lines",
        "name": trace_name(chart),
        "x": x_values(chart, positions, options),
        "y": values.tolist(),
        **options.axes.trace_axes,
        "line": {"color": colour_of(chart), "width": 2},
        "marker": {"color": colour_of(chart), "size": 6},
        "hovertemplate": x_hover(chart, options) + "%{y:.6g}<extra>%{fullData.name}</extra>",
    }


def _without_legend(traces: list[Trace], layout: Layout) -> list[Trace]:
    """The traces without a legend, and an empty trace. plotly keeps the room of an earlier legend unless there is a
    new one: that of the empty trace lies within the plot and shows nothing."""
    layout["legend"] = {"x": 0, "y": 1, "itemclick": False, "itemdoubleclick": False, "bgcolor": "rgba(0,0,0,0)"}
    nothing = {"type": "scatter", "name": " ", "mode": "none", "x": [None], "y": [None], "hoverinfo": "skip"}
    axes = {name: traces[0][name] for name in ("xaxis", "yaxis")}
    return [*({**trace, "showlegend": False} for trace in traces), {**nothing, **axes}]


def _raw_trace(trace: Trace) -> Trace:
    """The same trace thin and pale, behind its average."""
    raw = {"name": trace["name"] + " raw", "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
    red, green, blue = (int(trace["line"]["color"][at : at + 2], 16) for at in (1, 3, 5))
    return {**trace, **raw, "line": {"color": f"rgba({red},{green},{blue},0.3)", "width": 1}}


def _smoothed(trace: Trace, chart: RunChart, curve: Curve, budget: int, options: PlotOptions) -> Trace:
    """The exponential average of a curve, up to where its trace ends, with at most `budget` points."""
    steps, values = curve.averages(options.smoothing)
    if len(steps) > budget:
        chosen = np.linspace(0, len(steps) - 1, max(2, budget)).astype(int)
        steps, values = steps[chosen], values[chosen]
    xs = x_values(chart, chart.positions(options.metric, steps), options)
    count = bisect_right(xs, trace["x"][-1])
    return {**trace, "x": xs[:count], "y": values[:count].tolist()}


def add_note(layout: Layout, options: PlotOptions, curves: list[Curve], exit_note: str = "") -> None:
    """Write above the curves, in small letters, what is done to them or cannot be seen of them. Changes the layout.

    The vertical axis ends below the note: the margin above belongs to the window's title and plotly's buttons.
    """
    notes = [exit_note] if exit_note else []
    if options.smoothing:
        notes.append(f"exponential average over {options.smoothing:,} steps")
    not_positive = sum(curve.not_positive for curve in curves)
    if not_positive and options.axes.y == "log":
        notes.append(f"{not_positive:,} not above 0, not shown")
    if not_finite := sum(curve.not_finite for curve in curves):
        notes.append(f"{not_finite:,} NaN or infinite")
    rows = textwrap.wrap("; ".join(notes), NOTE_COLUMNS)
    layout[options.axes.y_key]["domain"] = [0, PLOT_TOP - NOTE_ROW_HEIGHT * len(rows)]
    place: Layout = {"xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right", "yanchor": "top"}
    small: Layout = {"align": "right", "showarrow": False, "font": {"size": 11}, "borderpad": 0}
    layout["annotations"] = [{**place, **small, "text": "<br>".join(rows)}] if rows else []
