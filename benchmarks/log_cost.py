"""What one log() adds to a training loop: `uv run python -m benchmarks.log_cost`.

Against list.append((step, w, loss)) in the same loop, side by side and several times over; and the first million steps
against the million that ends with step ten million. No board answers: what is logged stays in the journal. Times are
the process's own (the sender's thread included, other programs not).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import lossboard
from benchmarks.figures import Figure, show

STEPS = 1_000_000
TRIES = 7
MILLIONS = 10
ALTERNATING = [{"loss": 0.25, "w": 1.5}, {"val/loss": 0.5, "val/acc": 0.75}]
TAGS = [{f"tag{number}": 0.25} for number in range(20)]


def main() -> list[Figure]:
    """Print microseconds a step, and the two ratios."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no board answers is meant
        return show(measured())


def measured() -> Iterator[Figure]:
    """The figures, as they come."""
    times: dict[str, list[float]] = {"list.append": [], "log": []}
    for _ in range(TRIES):
        bare = nothing()
        times["list.append"].append(appending() - bare)
        times["log"].append(logging(1)[0] - bare)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        note = f"{min(taken):.3f} to {max(taken):.3f} in {TRIES} tries"
        yield Figure(f"{name}() of a step with two metrics", medians[name], "µs", note=note)
    yield Figure("log() against list.append()", medians["log"] / medians["list.append"], "×", at_most=5)
    for what, rows in {"alternating sets of": ALTERNATING, "one of twenty": TAGS}.items():
        logged = statistics.median(logging_rows(rows) for _ in range(TRIES))
        bare = statistics.median(appending_rows(rows) for _ in range(TRIES))
        yield Figure(f"log() of {what} metrics against list.append()", logged / bare, "×", at_most=8)
    early, late = zip(*((taken[0], taken[-1]) for taken in (logging(MILLIONS) for _ in range(3))), strict=True)
    ratio = statistics.median(late) / statistics.median(early)
    yield Figure("the million steps before ten million against the first", ratio, "×", at_most=1.1)


def nothing() -> float:
    """Seconds that the loop takes without either."""
    began = time.process_time()
    for step in range(STEPS):
        w = step * 0.5  # noqa: F841
    return time.process_time() - began


def appending() -> float:
    """Seconds with list.append."""
    rows, loss = [], 0.25
    began = time.process_time()
    for step in range(STEPS):
        w = step * 0.5
        rows.append((step, w, loss))
    return time.process_time() - began


def appending_rows(rows: Sequence[dict[str, float]]) -> float:
    """Seconds with list.append of these, one after the other and again."""
    kept = []
    began = time.process_time()
    for step in range(STEPS // len(rows)):
        for row in rows:
            kept.append((step, *row.values()))  # noqa: PERF401
    return time.process_time() - began


def logging_rows(rows: Sequence[dict[str, float]]) -> float:
    """Seconds with log() of these."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["LOSSBOARD_DIR"] = folder
        run = lossboard.run("cost", url="http://127.0.0.1:9")
        began = time.process_time()
        for step in range(STEPS // len(rows)):
            for row in rows:
                run.log(row, step=step)
        taken = time.process_time() - began
        lossboard._FINISH_TIMEOUT_S = 0.0
        run.finish()
    return taken


def logging(millions: int) -> list[float]:
    """Seconds with log(), of each million steps."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["LOSSBOARD_DIR"] = folder
        run = lossboard.run("cost", url="http://127.0.0.1:9")
        taken, loss = [], 0.25
        for _ in range(millions):
            began = time.process_time()
            for step in range(STEPS):
                w = step * 0.5
                run.log(w=w, loss=loss)
            taken.append(time.process_time() - began)
        kept = sum(path.stat().st_size for path in Path(folder).rglob("*.points"))
        assert kept >= 24 * STEPS * millions
        lossboard._FINISH_TIMEOUT_S = 0.0
        run.finish()
    return taken


if __name__ == "__main__":
    main()
