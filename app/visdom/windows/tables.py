"""The windows of a single run that are HTML tables: its facts, and its samples."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import numpy as np

from app.charts.run_chart import RunChart
from app.storage.batch import Point
from app.storage.records import RunRecord
from trainers import METHODS, is_search

MAX_SAMPLES = 100
MAX_METRICS = 12


def about(run: RunRecord) -> str:
    """Status, parameters, last values, result and error as an HTML table, and the reason of a bad learning rate."""
    facts: dict[str, Any] = {"status": run.status, "method": run.method, "step": run.step, **_titled(run, run.params)}
    facts |= {f"last {name}": value for name, value in list(run.last.items())[:MAX_METRICS]} | _titled(run, run.result)
    if run.error:
        facts["error"] = run.error
    why = f"<p>{html.escape(run.why)}</p>" if run.why else ""
    # Six digits: more would make the table wider than its window.
    rows = [(name, f"{value:.6g}" if isinstance(value, float) else value) for name, value in facts.items()]
    return _table([row for row in rows if row[1] is not None], headed=True) + why


def _titled(run: RunRecord, values: dict[str, Any]) -> dict[str, Any]:
    """Values by name, with the names of a method's parameters as on the page, and those of a script unchanged."""
    return {name.replace("_", " ") if run.method in METHODS else name: value for name, value in values.items()}


def samples(chart: RunChart, point: Point | None = None) -> tuple[str, str] | None:
    """The title and the HTML table of the samples that a step used, each with the model's output and its loss.

    The model is that of the point, or without one that of the last point; of a search, that of the best candidate.
    None where there is no data or no point.
    """
    run = chart.run
    at = point or Point(float(run.step or 0), run.last)
    if chart.data is None or "w" not in at.values or run.method not in METHODS:
        return None
    w, b = at.values["w"], at.values.get("b", 0.0)
    best = point is None and is_search(run.method) and "best_w" in run.result
    if best:
        w = run.result["best_w"]
    model = f"{'the best ' if best else ''}w = {w:.6g}"
    used, title = _samples_used(run, chart.samples or len(chart.data[0]), at, model)
    if used is None:
        return title, "<p>Which samples this step drew would take long to draw again.</p>"
    kept = used[used < len(chart.data[0])][:MAX_SAMPLES]
    if len(used) == 1 and not len(kept):
        return title, f"<p>Sample {used[0] + 1:,}, which is not among the first {len(chart.data[0]):,}.</p>"
    x, y = (column[kept] for column in chart.data)
    with np.errstate(over="ignore", invalid="ignore"):
        prediction = x * w + b
        loss = (prediction - y) ** 2
    rows = zip((kept + 1).tolist(), x.tolist(), y.tolist(), prediction.tolist(), loss.tolist(), strict=True)
    table = _table([("sample", "x", "y", "prediction", "loss"), *rows])
    return title, table + (f"<p>and {len(used) - len(kept):,} more</p>" if len(used) > len(kept) else "")


def _samples_used(run: RunRecord, n: int, at: Point, model: str) -> tuple[np.ndarray | None, str]:
    """The numbers, from 0, of the samples out of n that a step used, and a title that names the `model`.

    None in place of the numbers where it would take too long to draw them again.
    """
    method = METHODS[run.method]
    if method.samples_used is None:
        return np.arange(n), f"All samples, at {model}"
    params = method.params.model_validate(run.params)
    return method.samples_used(params, n, int(at.step)), f"Samples of step {at.step:g}, at {model}"


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
    if not isinstance(value, float):
        return str(value)
    # An exponent takes the place of four digits.
    return f"{value:.10g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.6g}"
