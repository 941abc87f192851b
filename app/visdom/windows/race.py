"""The window of a race: the loss against the learning rate, or a ranking as a table."""

from __future__ import annotations

import html
import math

from app.charts.colours import hex_of
from app.charts.run_chart import RunChart
from app.runs.progress import rank
from app.storage.records import RunRecord
from app.visdom.windows.layout import CURVE, AxesStyle, Layout, Trace, Window, as_text, make_layout
from app.visdom.windows.scale import EXPLOSION_FACTOR

WIN = "race"
LABEL_HEIGHT = 0.12  # of the plot, at the top: the label of the limit
MIN_LOSS = 1e-300  # smaller losses are drawn as this one: plotly cannot draw smaller values
EDGE_FACTOR = 10.0  # runs that have diverged lie at so many times the largest loss, losses of 0 that far below


def race_windows(charts: list[RunChart]) -> list[Window]:
    """The window of the race that the newest run belongs to; none if it belongs to none."""
    if not charts or not charts[-1].run.varied:
        return []
    newest = charts[-1].run
    racing = [chart for chart in charts if chart.run.varied and chart.run.group == newest.group]
    if len(racing) < 2:
        return []
    if "lr" in newest.varied:
        return [_plot(f"Learning rates of {newest.group}", racing)]
    return [Window(WIN, f"Ranking of {newest.group}", [_table(racing)])]


def _table(racing: list[RunChart]) -> Trace:
    """The ranking, best first, as an HTML table."""
    rows = [_row(run) for run in rank(chart.run for chart in racing)]
    head = "<tr><th>run</th><th>steps to 1 %</th><th>loss now</th></tr>"
    return {"type": "text", "content": f"<table>{head}{''.join(rows)}</table>"}


def _row(run: RunRecord) -> str:
    """A run's row in the ranking."""
    chip = (
        '<span style="display: inline-block; width: 10px; height: 10px; margin-right: 8px; border-radius: 2px;'
        f' background: {hex_of(run)}"></span>'
    )
    loss = run.final_loss
    now = "diverged" if _has_diverged(run) else "–" if loss is None else f"{loss:.4g}"
    reached = "–" if run.steps_to_1_percent is None else str(run.steps_to_1_percent)
    return f"<tr><td>{chip}{html.escape(run.name)}</td><td>{reached}</td><td>{now}</td></tr>"


def _plot(title: str, racing: list[RunChart]) -> Window:
    """The latest loss over the learning rate; diverged runs at the top edge, losses of 0 at the bottom edge."""
    runs = [chart.run for chart in racing]
    losses = [(run, loss) for run in runs if (loss := run.final_loss) is not None and not _has_diverged(run)]
    positive = [(run, loss) for run, loss in losses if loss > 0]
    zero = [run for run, loss in losses if loss <= 0]
    diverged = [run for run in runs if _has_diverged(run)]
    values = [loss for _, loss in positive] or [1.0]
    top = EDGE_FACTOR * max(values)
    bottom = max(min(values) / EDGE_FACTOR, MIN_LOSS)  # a log axis has no place for a loss of 0
    traces = [
        _run_trace("loss", [run for run, _ in positive], [max(loss, bottom) for _, loss in positive], "circle"),
        _run_trace("diverged", diverged, [top] * len(diverged), "triangle-up"),
        _run_trace("loss 0", zero, [bottom] * len(zero), "triangle-down"),
    ]
    layout = make_layout("learning rate", "loss now", AxesStyle("log", "log"))
    end = top ** (1 + LABEL_HEIGHT) / bottom**LABEL_HEIGHT  # no run lies on the label or is cut at the edge
    layout["yaxis2"]["autorangeoptions"] = {"include": [bottom, end]}
    del layout["xaxis2"]["dtick"]
    edges = (("▲ diverged", top, diverged), ("▼ loss 0", bottom, zero))
    layout["annotations"] = [_edge_label(text, loss) for text, loss, at_edge in edges if at_edge]
    if limit := next((chart.lr_limit for chart in racing if chart.lr_limit), None):
        layout["shapes"] = [_limit_line(limit)]
        layout["annotations"].append(_limit_label(limit))
    return Window(WIN, title, traces, layout)


def _has_diverged(run: RunRecord) -> bool:
    """Whether a run has diverged, or its loss has exploded."""
    loss = run.final_loss
    if loss is None or run.status == "diverged":
        return run.status == "diverged"
    return not math.isfinite(loss) or loss > EXPLOSION_FACTOR * max(run.first_loss or 0.0, MIN_LOSS)


def _run_trace(name: str, runs: list[RunRecord], losses: list[float], symbol: str) -> Trace:
    """A marker for each run at its learning rate; `name` is what its hover text says, and for "loss" the value."""
    text = "loss %{y:.6g}" if name == "loss" else name
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [run.varied["lr"] for run in runs],
        "y": losses,
        "xaxis": "x2",
        "yaxis": "y2",
        "text": [as_text(run.name) for run in runs],
        "marker": {"color": [hex_of(run) for run in runs], "size": 10, "symbol": symbol},
        "hovertemplate": "%{text}<br>" + text + "<extra></extra>",
    }


def _edge_label(text: str, loss: float) -> Layout:
    """What the markers at an edge of the scale mean: they are not values."""
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "y2", "y": math.log10(loss)}
    return {**place, "text": text, "showarrow": False, "font": {"size": 11}}


def _limit_line(lr: float) -> Layout:
    """A vertical line at the learning rate below which gradient descent converges."""
    ends = {"xref": "x2", "x0": lr, "x1": lr, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", **ends, "layer": "below", "line": {"color": CURVE, "width": 1, "dash": "dash"}}


def _limit_label(lr: float) -> Layout:
    """The label of the limit, on the left of its line."""
    place = {"xref": "x2", "x": math.log10(lr), "xanchor": "right", "yref": "paper", "y": 1, "yanchor": "top"}
    return {**place, "text": f"converges below {lr:.3g}", "showarrow": False, "font": {"size": 11}}
