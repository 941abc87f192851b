"""What a run's own env shows as text: what is known of the run, and its samples."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import numpy as np

from app.overlay import Drawn
from app.store import RunRecord
from trainers import METHODS

MOST_SAMPLES = 100


def about(run: RunRecord) -> str:
    """Status, parameters, last values and predictions, as an HTML table."""
    facts: dict[str, Any] = {"status": run.status, "method": run.method, "step": run.step, **run.params}
    facts |= {f"last {name}": value for name, value in run.last.items()} | run.result
    if run.error:
        facts["error"] = run.error
    return _table([(name, value) for name, value in facts.items() if value is not None], headed=True)


def samples(one: Drawn) -> tuple[str, str] | None:
    """Title and HTML table of the samples that the last step used, at the run's w: what the model makes of each.

    For a sweep these are all samples, at its best w so far. None where there is nothing to show: no data, or no point.
    """
    run = one.run
    if one.data is None or "w" not in run.last or run.method not in METHODS:
        return None
    w, b = run.last["w"], run.last.get("b", 0.0)
    used = np.arange(len(one.data[0]))
    title = f"All samples, at w = {w:.6g}"
    method = METHODS[run.method]
    if method.used and run.step is not None:
        used = method.used(method.params.model_validate(run.params), len(used), run.step)
        title = f"Samples of step {run.step}, at w = {w:.6g}"
    elif run.method == "sweep" and "best_w" in run.result:
        w = run.result["best_w"]
        title = f"All samples, at the best w = {w:.6g}"
    x, y = (column[used[:MOST_SAMPLES]] for column in one.data)
    with np.errstate(over="ignore", invalid="ignore"):
        guess = x * w + b
        loss = (guess - y) ** 2
    numbers = (used[:MOST_SAMPLES] + 1).tolist()
    rows = zip(numbers, x.tolist(), y.tolist(), guess.tolist(), loss.tolist(), strict=True)
    head = [("sample", "x", "y", "prediction", "loss")]
    return title, _table([*head, *rows]) + (
        "" if len(used) <= MOST_SAMPLES else f"<p>and {len(used) - MOST_SAMPLES} more</p>"
    )


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
    return f"{value:.10g}" if isinstance(value, float) else str(value)
