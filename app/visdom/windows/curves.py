"""Curves as traces: drawn, averaged, within limited scales, and with notes of what is done to them."""

from __future__ import annotations

import math
import textwrap

import numpy as np

from app.charts.run_chart import RunChart
from app.storage.batch import Floats
from app.storage.downsampling import Curve
from app.visdom.windows.annotations import EdgeLabel
from app.visdom.windows.layout import (
    Layout,
    Trace,
    as_text,
    colour_of,
    trace_name,
)
from app.visdom.windows.scale import Exit, Shown, exit_text, limit_scale
from app.visdom.windows.x_axis import PlotOptions, x_hover, x_values

PLOT_TOP = 0.97  # of the height: where the vertical axis ends, so that its last number is not on the window's title
NOTE_ROW_HEIGHT = 0.06  # of the height
NOTE_COLUMNS = 46  # letters in a row: as many as fit into the narrowest window


def no_finite_value(curves: list[Curve]) -> str:
    """What to say where no value of these curves is finite; "" if there are none at all."""
    count = sum(curve.not_finite for curve in curves)
    if count == 1:
        return "1 value, NaN or infinite"
    return f"{count:,} values, all NaN or infinite" if count else ""


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


def raw_trace(trace: Trace) -> Trace:
    """The same trace thin and pale, behind its average."""
    raw = {"name": trace["name"] + " raw", "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
    red, green, blue = (int(trace["line"]["color"][at : at + 2], 16) for at in (1, 3, 5))
    return {**trace, **raw, "line": {"color": f"rgba({red},{green},{blue},0.3)", "width": 1}}


def smoothed(trace: Trace, chart: RunChart, metric: str, budget: int, options: PlotOptions) -> Trace:
    """The exponential average of a curve, up to where its trace ends, with at most `budget` points."""
    steps, values = chart.curves[metric].averages(options.smoothing, max(2, budget), log=options.axes.x == "log")
    xs = np.array(x_values(chart, chart.positions(metric, steps), options))
    shown = xs <= max(x for x in trace["x"] if x is not None)
    places, ys = _with_gaps(xs[shown].tolist(), values[shown])
    return {**trace, "mode": "lines", "x": places, "y": ys}


def add_note(layout: Layout, options: PlotOptions, curves: list[Curve], values: str = "") -> None:
    """Write above the curves, in small letters, what is done to them or cannot be seen of them, and first their
    `values` at the step that is shown. Changes the layout.

    The vertical axis ends below the note: the margin above belongs to the window's title and plotly's buttons.
    """
    notes = [values] if values else []
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
    layout["annotations"] = [{**place, **small, "text": "<br>".join(map(as_text, rows))}] if rows else []
