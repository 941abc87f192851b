"""The windows of a single run that are HTML tables: its facts, and its samples."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import numpy as np

from app.charts.run_chart import RunChart
from app.charts.run_state import RunState, newest_state
from app.storage.records import RunRecord
from trainers import METHODS, is_search
from trainers.numbers import counted, short

MAX_SAMPLES = 100
MAX_METRICS = 12


def about(chart: RunChart, not_shown: list[str]) -> str:
    """Status, parameters, last values, result and error as an HTML table, the reason of a bad learning rate, and which
    metrics are not shown."""
    run = chart.run
    facts: dict[str, Any] = {"status": run.status, "method": run.method, **_last_step(chart)}
    facts |= _titled(run, run.params) | _last_values(chart) | _titled(run, run.result)
    if run.error:
        facts["error"] = run.error
    why = f"<p>{html.escape(run.why)}</p>" if run.why else ""
    return (
        _table([(name, value) for name, value in facts.items() if value is not None], headed=True)
        + why
        + _not_shown(not_shown)
    )


def _not_shown(titles: list[str]) -> str:
    if not titles:
        return ""
    named = ", ".join(titles[:MAX_METRICS]) + (", …" if len(titles) > MAX_METRICS else "")
    return f"<p>{html.escape(f'{len(titles):,} more metrics are not shown: {named}')}</p>"


def _last_step(chart: RunChart) -> dict[str, Any]:
    if not chart.is_descent:
        return {"step": chart.run.step}
    return {"updates": counted(newest_state(chart).updates)}


def _last_values(chart: RunChart) -> dict[str, float]:
    """What the last point told, by its name; of a descent, w and b after its last update and their cost."""
    if not chart.is_descent:
        return {f"last {name}": value for name, value in list(chart.run.last.items())[:MAX_METRICS]}
    state = newest_state(chart)
    facts = {f"last {name}": state.values[name] for name in ("w", "b") if name in state.values}
    return facts if state.cost is None else {**facts, "last cost": state.cost}


def _titled(run: RunRecord, values: dict[str, Any]) -> dict[str, Any]:
    """Values by name, with the names of a method's parameters as on the page, and those of a script unchanged."""
    return {name.replace("_", " ") if run.method in METHODS else name: value for name, value in values.items()}


def samples(chart: RunChart, state: RunState) -> tuple[str, str] | None:
    """The title and the HTML table of the samples that the next update uses, and at the end of all, each with the
    model's output and its loss.

    The model is that of the state; of a search that goes no further, that of the best candidate. None where there is no
    data or no point.
    """
    run = chart.run
    if chart.data is None or "w" not in state.values or run.method not in METHODS:
        return None
    w, b = state.values["w"], state.values.get("b", 0.0)
    best = state.position == state.updates and is_search(run.method) and "best_w" in run.result
    if best:
        w = run.result["best_w"]
    model = f"{'the best ' if best else ''}w = {short(w)}"
    title = f"{_samples_title(chart, state)}, at {model}"
    if state.samples is None:
        return title, "<p>Which samples this update draws would take long to draw again.</p>"
    known = np.asarray(state.samples[: len(chart.data[0])])
    kept = known[known < len(chart.data[0])][:MAX_SAMPLES]
    count = len(state.samples)
    if count == 1 and not len(kept):
        return title, f"<p>Sample {state.samples[0] + 1:,}, which is not among the first {len(chart.data[0]):,}.</p>"
    x, y = (column[kept] for column in chart.data)
    with np.errstate(over="ignore", invalid="ignore"):
        prediction = x * w + b
        loss = (prediction - y) ** 2
    rows = zip((kept + 1).tolist(), x.tolist(), y.tolist(), prediction.tolist(), loss.tolist(), strict=True)
    table = _table([("sample", "x", "y", "prediction", "loss"), *rows])
    return title, table + (f"<p>and {count - len(kept):,} more</p>" if count > len(kept) else "")


def _samples_title(chart: RunChart, state: RunState) -> str:
    method = chart.method
    if method is None or method.samples_used is None or state.is_last or state.position is None:
        return "All samples"
    return f"Samples of update {counted(state.position + 1)}"


def _table(rows: Iterable[tuple[Any, ...]], *, headed: bool = False) -> str:
    """An HTML table; `headed`: the first cell of each row is a header, in place of the first row."""
    lines = []
    for number, row in enumerate(rows):
        cells = [html.escape(_format(value)) for value in row]
        if headed:
            lines.append(f"<tr><th>{cells[0]}</th>" + "".join(f"<td>{cell}</td>" for cell in cells[1:]) + "</tr>")
        else:
            tag = "td" if number else "th"
            lines.append("<tr>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _format(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return counted(value)
    return short(value) if isinstance(value, float) else str(value)
