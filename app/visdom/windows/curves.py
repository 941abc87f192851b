"""Windows of curves: a metric of many runs over each other, and the parts of the metrics of one."""

from __future__ import annotations

import math
import textwrap

import numpy as np

from app.charts.run_chart import RunChart
from app.schemas.view import View
from app.storage.batch import Floats
from app.storage.downsampling import Curve
from app.visdom.windows.annotations import EdgeLabel, plot_marks
from app.visdom.windows.layout import (
    MAX_POINTS,
    AxesStyle,
    Layout,
    Trace,
    Window,
    as_text,
    colour_of,
    empty_plot,
    make_layout,
    trace_name,
)
from app.visdom.windows.scale import Exit, Shown, exit_text, limit_scale
from app.visdom.windows.x_axis import TITLES, PlotOptions, x_hover, x_title, x_values
from trainers.numbers import short

MAX_LEGEND_RUNS = 12  # a legend of more would fill the window; the ranking names them
PLOT_TOP = 0.97  # of the height: where the vertical axis ends, so that its last number is not on the window's title
NOTE_ROW_HEIGHT = 0.06  # of the height
MAX_NAMES = 6  # of metrics that are logged and not shown
EMPTY_COLUMNS = 40  # letters in a row of the text in an empty plot
NOTE_COLUMNS = 46  # letters in a row: as many as fit into the narrowest window


def metric_window(win: str, title: str, charts: list[RunChart], metric: str, view: View, *, legend: bool) -> Window:
    """A metric of many runs, with the scales, range and smoothing of the view."""
    scale = view.axes.loss if metric == "loss" else view.axes.w
    axes = AxesStyle(view.axes.step, scale, view.detail is not None)
    options = PlotOptions(metric, axes, view.x, view.smoothing, legend)
    shown = [chart for chart in charts if metric in chart.curves and chart.curves[metric].total]
    if not shown:
        text = _why_empty(title, charts, metric, view)
        return Window(win, title, *empty_plot(make_layout(TITLES[options.x_axis], title.lower(), axes), text))
    return Window(win, title, *_traces_and_layout(options, title.lower(), shown))


def _why_empty(title: str, charts: list[RunChart], metric: str, view: View) -> str:
    """What to say, as markup, where no run has a finite value of a metric."""
    if not charts:
        return f"Start a run to watch its {title.lower()} here."
    if text := no_finite_value(charts, [metric]):
        return text
    if view.detail:
        return f"No run has a point from step {short(view.detail.from_step)} to {short(view.detail.to_step)}."
    others = list(dict.fromkeys(name for chart in charts for name in chart.run.last))
    if not others:
        return "Waiting for a first step…"
    named = ", ".join(others[:MAX_NAMES]) + (f" and {len(others) - MAX_NAMES} more" if len(others) > MAX_NAMES else "")
    verb = "is" if len(others) == 1 else "are"
    rows = textwrap.wrap(f"{named} {verb} logged; {title} shows metrics named {metric}", EMPTY_COLUMNS)
    return " <br>".join(map(as_text, rows))


def no_finite_value(charts: list[RunChart], metrics: list[str]) -> str:
    """What to say where no value of these metrics is finite; "" if there are none at all."""
    counts = [chart.curves[metric].not_finite for chart in charts for metric in metrics if metric in chart.curves]
    if sum(counts) == 1:
        return "1 value, NaN or infinite"
    return f"{sum(counts):,} values, all NaN or infinite" if sum(counts) else ""


def _traces_and_layout(options: PlotOptions, title: str, charts: list[RunChart]) -> tuple[list[Trace], Layout]:
    curves = [chart.curves[options.metric] for chart in charts]
    layout = make_layout(x_title(options, charts), title, options.axes)
    budget = (MAX_POINTS - 1) // len(charts) // (2 if options.smoothing else 1)
    traces = [curve_trace(chart, options.metric, budget, options) for chart in charts]
    exits = limited_scale(traces, layout, [(chart, options.metric) for chart in charts], options)
    layout["showlegend"] = options.legend
    marks = plot_marks(charts, options, exits, end=x_end(layout, options))
    layout["shapes"] = marks.shapes
    add_note(layout, options, curves)
    layout["annotations"] += marks.labels
    if options.smoothing:
        raw = [_raw_trace(trace) for trace in traces]
        smoothed = zip(traces, charts, curves, strict=True)
        traces = raw + [_smoothed(trace, chart, curve, budget, options) for trace, chart, curve in smoothed]
    if options.legend and len(charts) > MAX_LEGEND_RUNS:
        traces = _without_legend(traces, layout)
    return traces, layout


def limited_scale(traces: list[Trace], layout: Layout, shown: Shown, options: PlotOptions) -> list[EdgeLabel]:
    """Limit a plot's scale where runs diverge, see limit_scale; returns the labels of the curves that leave it."""

    def label(leaving: Exit) -> EdgeLabel:
        colour = traces[leaving.index]["line"]["color"]
        return EdgeLabel(leaving.x, exit_text(leaving, shown, options), colour, leaving.at_top)

    return sorted(map(label, limit_scale(traces, layout, shown, options)), key=lambda exit_label: exit_label.x)


def x_end(layout: Layout, options: PlotOptions) -> float:
    """The greatest x that a plot shows, if that is limited."""
    end: float = layout[options.axes.x_key].get("autorangeoptions", {}).get("clipmax", math.inf)
    return end


def curve_trace(chart: RunChart, metric: str, budget: int, options: PlotOptions) -> Trace:
    """A run's curve of a metric, with at most `budget` points, or 2 if that is less."""
    positions, values = chart.points(metric, max(2, budget), log=options.axes.x == "log")
    gaps = ~np.isfinite(values)
    alone = np.append(True, gaps[:-1]) & np.append(gaps[1:], True) & ~gaps  # no line leads to or from these
    xs, ys = _with_gaps(x_values(chart, positions, options), values)
    return {
        "type": "scatter",
        "mode": "lines+markers" if alone.any() else "lines",
        "name": trace_name(chart),
        "x": xs,
        "y": ys,
        **options.axes.trace_axes,
        "line": {"color": colour_of(chart), "width": 2},
        "marker": {"color": colour_of(chart), "size": 6 if alone.all() else (6 * alone).tolist()},
        "hovertemplate": x_hover(chart, options) + "%{y:.5~g}<extra>%{fullData.name}</extra>",
    }


def _with_gaps(xs: list[float], values: Floats) -> tuple[list[float | None], list[float]]:
    """The columns of a trace: no line leads to or from a point without an x, which stands where a value is NaN."""
    gaps = np.flatnonzero(np.isnan(values))
    places: list[float | None] = list(xs)
    for at in gaps.tolist():
        places[at] = None
    ys = values.copy()
    ys[gaps] = values[gaps + 1]
    return places, ys.tolist()


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
    steps, values = curve.averages(options.smoothing, max(2, budget), log=options.axes.x == "log")
    xs = np.array(x_values(chart, chart.positions(options.metric, steps), options))
    shown = xs <= max(x for x in trace["x"] if x is not None)
    places, ys = _with_gaps(xs[shown].tolist(), values[shown])
    return {**trace, "mode": "lines", "x": places, "y": ys}


def add_note(layout: Layout, options: PlotOptions, curves: list[Curve]) -> None:
    """Write above the curves, in small letters, what is done to them or cannot be seen of them. Changes the layout.

    The vertical axis ends below the note: the margin above belongs to the window's title and plotly's buttons.
    """
    notes = [f"exponential average over {options.smoothing:,} steps"] if options.smoothing else []
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
