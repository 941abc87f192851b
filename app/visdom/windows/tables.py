"""What a run's own env shows as text: what is known of the run, and its samples."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import numpy as np

from app.charts.run_chart import Drawn
from app.storage.batch import Point
from app.storage.records import RunRecord
from trainers import METHODS

MOST_SAMPLES = 100
MOST_METRICS = 12
MOST_DRAWS = 1_000_000  # that are drawn again to say which samples a step used: at most 30 ms


def about(run: RunRecord) -> str:
    """Status, parameters, last values and predictions, as an HTML table, and why it went so."""
    facts: dict[str, Any] = {"status": run.status, "method": run.method, "step": run.step, **_said(run, run.params)}
    facts |= {f"last {name}": value for name, value in list(run.last.items())[:MOST_METRICS]} | _said(run, run.result)
    if run.error:
        facts["error"] = run.error
    why = f"<p>{html.escape(run.why)}</p>" if run.why else ""
    # six digits: so many columns of them fit that nothing need be scrolled
    rows = [(name, f"{value:.6g}" if isinstance(value, float) else value) for name, value in facts.items()]
    return _table([row for row in rows if row[1] is not None], headed=True) + why


def _said(run: RunRecord, values: dict[str, Any]) -> dict[str, Any]:
    """The names of our own methods in words, as on the page; those of a script as they are."""
    return {name.replace("_", " ") if run.method in METHODS else name: value for name, value in values.items()}


def samples(one: Drawn, point: Point | None = None) -> tuple[str, str] | None:
    """Title and HTML table of the samples that a step used, at its w: what the model makes of each. None: the last one.

    For a sweep these are all samples, at the chosen candidate or else at its best w so far. None where there is
    nothing to show: no data, or no point.
    """
    run = one.run
    at = point or Point(float(run.step or 0), run.last)
    if one.data is None or "w" not in at.values or run.method not in METHODS:
        return None
    w, b = at.values["w"], at.values.get("b", 0.0)
    if run.method == "sweep" and point is None:
        w = run.result.get("best_w", w)
    used, title = _used(run, one.samples or len(one.data[0]), at, w, best=point is None)
    if used is None:
        return title, "<p>Which samples this step drew would take long to draw again.</p>"
    kept = used[used < len(one.data[0])][:MOST_SAMPLES]
    x, y = (column[kept] for column in one.data)
    with np.errstate(over="ignore", invalid="ignore"):
        guess = x * w + b
        loss = (guess - y) ** 2
    rows = zip((kept + 1).tolist(), x.tolist(), y.tolist(), guess.tolist(), loss.tolist(), strict=True)
    table = _table([("sample", "x", "y", "prediction", "loss"), *rows])
    if len(used) == 1 and not len(kept):
        return title, f"<p>Sample {used[0] + 1:,}, which is not among the first {len(one.data[0]):,}.</p>"
    return title, table + (f"<p>and {len(used) - len(kept):,} more</p>" if len(used) > len(kept) else "")


def _used(run: RunRecord, n: int, at: Point, w: float, *, best: bool) -> tuple[np.ndarray | None, str]:
    """The numbers of the samples that a step used, None if it would take too long to say; and a title."""
    method = METHODS[run.method]
    if method.used is None:
        which = "the best " if best and run.method == "sweep" and "best_w" in run.result else ""
        return np.arange(n), f"All samples, at {which}w = {w:.6g}"
    title = f"Samples of step {at.step:g}, at w = {w:.6g}"
    params = method.params.model_validate(run.params)
    drawn_before = at.step / method.updates_per_epoch(params, n) * n
    if params.model_dump().get("order") == "random" and drawn_before > MOST_DRAWS:
        return None, title
    return method.used(params, n, int(at.step)), title


def _table(rows: Iterable[tuple[Any, ...]], *, headed: bool = False) -> str:
    """An HTML table; the first cell of each row is its head, or the first row is everyone's."""
    lines = []
    for number, row in enumerate(rows):
        cells = [html.escape(_shown(value)) for value in row]
        if headed:
            lines.append(f"<tr><th>{cells[0]}</th>" + "".join(f"<td>{cell}</td>" for cell in cells[1:]) + "</tr>")
        else:
            kind = "td" if number else "th"
            lines.append("<tr>" + "".join(f"<{kind}>{cell}</{kind}>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def _shown(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.10g}" if value == 0 or 1e-4 <= abs(value) < 1e6 else f"{value:.6g}"  # an exponent takes its room
