"""How the runs of a race do: the loss against the learning rate, or a table."""

from __future__ import annotations

import html
import math
from typing import Any

from app.charts.colours import hex_of
from app.charts.run_chart import Drawn
from app.runs.progress import rank
from app.storage.records import RunRecord
from app.visdom.windows.curves import EXPLOSION
from app.visdom.windows.layout import Look, Window, as_text, make_layout

WIN = "race"
LABEL = 0.12  # of the height: what the limit's label takes, at the top
TINY = 1e-300  # smaller losses are drawn as this one
ROOM = 10.0  # times the largest loss: where those that have diverged are marked


def race_windows(drawn: list[Drawn]) -> list[Window]:
    """The window of the race that the newest run belongs to; none if it belongs to none."""
    if not drawn or not drawn[-1].run.varied:
        return []
    newest = drawn[-1].run
    racing = [one for one in drawn if one.run.varied and one.run.group == newest.group]
    if len(racing) < 2:
        return []
    if "lr" in newest.varied:
        return [_plot(f"Learning rates of {newest.group}", racing)]
    return [Window(WIN, f"Ranking of {newest.group}", [_table(racing)])]


def _table(racing: list[Drawn]) -> dict[str, Any]:
    rows = [_row(run) for run in rank(one.run for one in racing)]
    head = "<tr><th>run</th><th>steps to 1 %</th><th>loss now</th></tr>"
    return {"type": "text", "content": f"<table>{head}{''.join(rows)}</table>"}


def _row(run: RunRecord) -> str:
    chip = (
        '<span style="display: inline-block; width: 10px; height: 10px; margin-right: 8px; border-radius: 2px;'
        f' background: {hex_of(run)}"></span>'
    )
    loss = run.final_loss
    now = "diverged" if _is_lost(run) else "–" if loss is None else f"{loss:.4g}"
    reached = "–" if run.steps_to_1_percent is None else str(run.steps_to_1_percent)
    return f"<tr><td>{chip}{html.escape(run.name)}</td><td>{reached}</td><td>{now}</td></tr>"


def _plot(title: str, racing: list[Drawn]) -> Window:
    """The latest loss over the learning rate; a run that has diverged, or left for good, lies at the top edge."""
    calm = [(one.run, loss) for one in racing if (loss := one.run.final_loss) is not None and not _is_lost(one.run)]
    losses = [loss for _, loss in calm]
    positive = [loss for loss in losses if loss > 0] or [1.0]
    top = ROOM * max(positive)
    bottom = max(min(positive) / ROOM, TINY)  # stands for a loss of zero, which a logarithmic axis has no place for
    lost = [one.run for one in racing if _is_lost(one.run)]
    shown, zero = [run for run, loss in calm if loss > 0], [run for run, loss in calm if loss <= 0]
    traces = [
        _marks("loss", shown, [max(loss, bottom) for loss in losses if loss > 0], "circle", "loss %{y:.6g}"),
        _marks("diverged", lost, [top] * len(lost), "triangle-up", "diverged"),
        _marks("loss 0", zero, [bottom] * len(zero), "triangle-down", "loss 0"),
    ]
    layout = make_layout("learning rate", "loss now", Look("log", "log"))
    room = top ** (1 + LABEL) / bottom**LABEL  # no run lies on the label, and none is cut at the edge
    layout["yaxis2"]["autorangeoptions"] = {"include": [bottom, room]}
    del layout["xaxis2"]["dtick"]
    layout["annotations"] = [
        _edge(words, at) for words, at, runs in (("▲ diverged", top, lost), ("▼ loss 0", bottom, zero)) if runs
    ]
    if limit := next((one.lr_limit for one in racing if one.lr_limit), None):
        line, label = _limit(limit)
        layout["shapes"] = [line]
        layout["annotations"].append(label)
    return Window(WIN, title, traces, layout)


def _is_lost(run: RunRecord) -> bool:
    """Whether its loss is no longer what the scale is for."""
    loss = run.final_loss
    if loss is None or run.status == "diverged":
        return run.status == "diverged"
    return not math.isfinite(loss) or loss > EXPLOSION * max(run.first_loss or 0.0, TINY)


def _edge(words: str, loss: float) -> dict[str, Any]:
    """What marks at an edge of the scale stand for: they are not to be read as values."""
    place = {"xref": "paper", "x": 0, "xanchor": "left", "yref": "y2", "y": math.log10(loss)}
    return {**place, "text": words, "showarrow": False, "font": {"size": 11}}


def _marks(name: str, runs: list[RunRecord], losses: list[float], symbol: str, said: str) -> dict[str, Any]:
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
        "hovertemplate": "%{text}<br>" + said + "<extra></extra>",
    }


def _limit(lr: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line up to which gradient descent converges, and its label."""
    common = {"xref": "x2", "yref": "paper"}
    line = {"type": "line", **common, "x0": lr, "x1": lr, "y0": 0, "y1": 1, "layer": "below"}
    label = {
        **common,
        "x": math.log10(lr),
        "y": 1,
        "xanchor": "right",
        "yanchor": "top",
        "text": f"converges below {lr:.3g}",
        "showarrow": False,
        "font": {"size": 11},
    }
    return {**line, "line": {"color": "#98a1af", "width": 1, "dash": "dash"}}, label
