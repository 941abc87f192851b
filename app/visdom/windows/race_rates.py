"""The plot of a race of learning rates: where each has come to."""

from __future__ import annotations

import math

from app.charts.colours import hex_of
from app.charts.run_chart import RunChart
from app.runs.progress import final_mse, has_exploded
from app.storage.records import RunRecord
from app.visdom.windows.layout import CURVE, MARKER, AxesStyle, Layout, Trace, Window, as_text, make_layout
from trainers.numbers import short

LABEL_HEIGHT = 0.12  # of the plot, at the top: the label of the limit
MIN_ERROR = 1e-300  # smaller errors are drawn as this one: plotly cannot draw smaller values
EDGE_FACTOR = 10.0  # runs that have diverged lie at so many times the largest error, errors of 0 that far below
MAX_DECADES = 6  # that have a label on the vertical axis
MIN_APART = 0.08  # of the width: between two learning rates that both have a label


def rates_window(win: str, title: str, racing: list[RunChart]) -> Window:
    """The mean squared error over the learning rate; diverged runs at the top edge, errors of 0 at the bottom edge."""
    runs = [chart.run for chart in racing]
    diverged = [run for run in runs if has_exploded(run)]
    errors = [(run, error) for run in runs if not has_exploded(run) and (error := final_mse(run)) is not None]
    positive = [(run, error) for run, error in errors if error > 0]
    zero = [run for run, error in errors if error <= 0]
    values = [error for _, error in positive] or [1.0]
    top = EDGE_FACTOR * max(*values, MIN_ERROR)
    bottom = max(min(values) / EDGE_FACTOR, MIN_ERROR)  # a log axis has no place for 0
    traces = [
        _markers("error", [run for run, _ in positive], [max(error, bottom) for _, error in positive], "circle"),
        _markers("diverged", diverged, [top] * len(diverged), "triangle-up"),
        _markers("error 0", zero, [bottom] * len(zero), "triangle-down"),
    ]
    layout = make_layout("learning rate", "mean squared error", AxesStyle("log", "log"))
    height = (1 + LABEL_HEIGHT) * (math.log10(top) - math.log10(bottom))  # no run lies on the label or is cut
    layout["yaxis2"]["autorangeoptions"] = {"include": [bottom, 10 ** (math.log10(bottom) + height)]}
    layout["yaxis2"]["dtick"] = math.ceil(height / MAX_DECADES)
    layout["xaxis2"] |= _rate_ticks([run.varied["lr"] for run in runs])
    edges = (("diverged", "triangle-up", diverged), ("error 0", "triangle-down", zero))
    keys = [_key(name, symbol) for name, symbol, at_edge in edges if at_edge]
    layout["showlegend"] = bool(keys)
    layout["annotations"] = []
    if limit := next((chart.lr_limit for chart in racing if chart.lr_limit), None):
        layout["shapes"] = [_limit_line(limit)]
        layout["annotations"] = [_limit_label(limit)]
    return Window(win, title, [*traces, *keys], layout)


def _markers(name: str, runs: list[RunRecord], errors: list[float], symbol: str) -> Trace:
    """A marker for each run at its learning rate; `name` is what its hover text says, and for "error" the value."""
    said = [f"mean squared error {short(error)}" if name == "error" else name for error in errors]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": False,
        "x": [run.varied["lr"] for run in runs],
        "y": errors,
        "xaxis": "x2",
        "yaxis": "y2",
        "text": [f"{as_text(run.name)}<br>{words}" for run, words in zip(runs, said, strict=True)],
        "marker": {"color": [hex_of(run) for run in runs], "size": 10, "symbol": symbol},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _key(name: str, symbol: str) -> Trace:
    """What the markers at an edge of the scale mean, in the legend, where it covers none of them."""
    nothing = {"x": [None], "y": [None], "xaxis": "x2", "yaxis": "y2", "hoverinfo": "skip"}
    marker = {"color": MARKER, "size": 10, "symbol": symbol}
    return {"type": "scatter", "mode": "markers", "name": name, **nothing, "marker": marker}


def _rate_ticks(rates: list[float]) -> Layout:
    """The learning rates themselves as numbers of the axis, from the smallest on, without those that would touch the
    one before: plotly's own numbers between powers of ten are single digits."""
    ordered = sorted(set(rates))
    width = math.log10(ordered[-1] / ordered[0]) or 1.0
    shown = ordered[:1]
    for rate in ordered[1:]:
        if math.log10(rate / shown[-1]) >= MIN_APART * width:
            shown.append(rate)
    return {"tickmode": "array", "tickvals": shown, "ticktext": [short(rate) for rate in shown], "dtick": None}


def _limit_line(lr: float) -> Layout:
    """A vertical line at the learning rate below which gradient descent converges."""
    ends = {"xref": "x2", "x0": lr, "x1": lr, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", **ends, "layer": "below", "line": {"color": CURVE, "width": 1, "dash": "dash"}}


def _limit_label(lr: float) -> Layout:
    """The label of the limit, on the left of its line."""
    place = {"xref": "x2", "x": math.log10(lr), "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "top"}
    return {**place, "text": f"converges below {short(lr, 3)}", "showarrow": False, "font": {"size": 11}}
