"""What the methods of a race have cost: the error over all data against the work that it took."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from app.charts.run_chart import RunChart
from app.runs.progress import has_exploded
from app.storage.batch import Floats
from app.visdom.windows.layout import (
    MAX_POINTS,
    PADDING_FACTOR,
    PANE,
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
from trainers import METHODS, is_search
from trainers.numbers import short

AXES = AxesStyle("log", "log")
TOP_FACTOR = 10.0  # times the largest error of runs that do not explode: there those that do leave the scale
ZERO_FACTOR = 10.0  # an error of 0 is drawn that far below the smallest of all others
MIN_ERROR = 1e-300  # smaller errors are drawn as this one: plotly cannot draw smaller values
PLOT_TOP = 0.97  # of the height: where the vertical axis ends, so that its last number is not on the title
ROW_HEIGHT = 0.09  # of the height: a row of what is said above the plot
LABEL_ROW_PX = 18
MAX_EXITS = 3  # that have a label


@dataclass(frozen=True)
class CostCurve:
    """A run's mean squared error over all data (of a search: the best so far) after so many gradient evaluations, both
    of shape (n,); without the beginning, for which a log scale has no place."""

    chart: RunChart
    evaluations: Floats
    errors: Floats


def costs_window(win: str, title: str, racing: list[RunChart]) -> Window:
    """The mean squared error of each run over its gradient evaluations, on log scales."""
    layout = make_layout("gradient evaluations", "MSE", AXES)
    curves = [curve_of(chart, MAX_POINTS // len(racing)) for chart in racing]
    shown = [curve for curve in curves if len(curve.errors)]
    if not shown:
        return Window(win, title, *empty_plot(layout, "Waiting for a first step…"))
    zero, top = _zero(shown), _top(shown)
    if top is not None:
        lowest = min(float(np.maximum(curve.errors, zero).min()) for curve in shown)
        # plotly pads a scale by a part of all that there is, which here is most of it out of sight
        layout["yaxis2"]["autorangeoptions"] = {"clipmin": lowest / PADDING_FACTOR, "clipmax": top}
    labels = [*_exits(shown, top), *_note(shown)]
    for row, label in enumerate(labels):
        label["yshift"] = LABEL_ROW_PX * row
    layout["yaxis2"]["domain"] = [0, PLOT_TOP - ROW_HEIGHT * len(labels)]  # above the curves, which they would cover
    layout["annotations"] = labels
    return Window(win, title, [_trace(curve, zero) for curve in shown], layout)


def curve_of(chart: RunChart, at_most: int) -> CostCurve:
    """The curve of a built-in run, with about so many points."""
    method = METHODS[chart.run.method]
    try:
        params = method.params.model_validate(chart.run.params)
    except ValidationError:  # what is stored of it is damaged
        return CostCurve(chart, np.empty(0), np.empty(0))
    if not chart.samples:  # its data cannot be read
        return CostCurve(chart, np.empty(0), np.empty(0))
    metric = "mse" if "mse" in chart.curves else "loss"
    done, errors = chart.points(metric, max(4, at_most - 1))
    if is_search(chart.run.method):
        done, errors = done + 1, np.minimum.accumulate(errors)
    elif metric == "loss":
        errors = errors * method.mean_per_loss(params, chart.samples)
        last, ended = chart.run.result.get("final_mse"), (chart.run.step or 0) + 1.0
        is_told = len(done) and done[-1] == ended  # by the chart, which has the data
        if isinstance(last, float) and math.isfinite(last) and not is_told and not chart.detail:
            done, errors = np.append(done, ended), np.append(errors, last)
    evaluations = method.evaluations(params, chart.samples, done)
    return CostCurve(chart, evaluations[evaluations > 0], errors[evaluations > 0])


def _zero(curves: list[CostCurve]) -> float:
    """Where an error of 0 is drawn."""
    smallest = min((float(curve.errors[curve.errors > 0].min(initial=1.0)) for curve in curves), default=1.0)
    return max(smallest / ZERO_FACTOR, MIN_ERROR)


def _top(curves: list[CostCurve]) -> float | None:
    """Where runs that explode leave the scale: above where all began, and above all that do not explode; None if none
    does."""
    exploding = [has_exploded(curve.chart.run) for curve in curves]
    if not any(exploding):
        return None
    calm = [float(one.errors.max()) for one, explodes in zip(curves, exploding, strict=True) if not explodes]
    return TOP_FACTOR * max([*calm, *(float(curve.errors[0]) for curve in curves), MIN_ERROR])


def _trace(curve: CostCurve, zero: float) -> Trace:
    errors = curve.errors.tolist()
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(errors) < 2 else "lines",
        "name": trace_name(curve.chart),
        "x": curve.evaluations.tolist(),
        "y": np.maximum(curve.errors, zero).tolist(),
        "text": [short(error) for error in errors],
        **AXES.trace_axes,
        "line": {"color": colour_of(curve.chart), "width": 2},
        "marker": {"color": colour_of(curve.chart), "size": 6},
        "hovertemplate": "%{x} evaluations<br>%{text}<extra>%{fullData.name}</extra>",
    }


def _exits(curves: list[CostCurve], top: float | None) -> list[Layout]:
    """Where curves leave the scale, as labels above it, in the colours of the runs: the first MAX_EXITS."""
    if top is None:
        return []
    outside = [(curve, np.flatnonzero(curve.errors > top)) for curve in curves]
    exits = sorted(
        ((float(curve.evaluations[at[0]]), curve) for curve, at in outside if len(at)), key=lambda one: one[0]
    )
    end = max(float(curve.evaluations[-1]) for curve in curves)
    labels: list[Layout] = []
    for evaluations, curve in exits[:MAX_EXITS]:
        on_left = evaluations > math.sqrt(end)  # in the right half, if the axis begins at 1
        labels.append(
            {
                **_label(f"{as_text(curve.chart.run.name)} leaves here: {short(evaluations)}"),
                "xref": "x2",
                "x": math.log10(evaluations),
                "xanchor": "right" if on_left else "left",
                # a border as of the labels of changes: text in a run's colour is not readable on both grounds
                "bordercolor": colour_of(curve.chart),
                "borderwidth": 1.5,
                "borderpad": 1,
                "bgcolor": PANE,
            }
        )
    return labels


def _note(curves: list[CostCurve]) -> list[Layout]:
    """That some errors are 0, which a log scale has no place for."""
    if not any((curve.errors <= 0).any() for curve in curves):
        return []
    return [{**_label("an error of 0 lies at the lower edge"), "xref": "paper", "x": 1, "xanchor": "right"}]


def _label(text: str) -> Layout:
    """A text on the upper edge of the plot."""
    return {"text": text, "yref": AXES.y_domain, "y": 1, "yanchor": "bottom", "showarrow": False, "font": {"size": 11}}
