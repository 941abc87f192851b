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
from pathlib import Path

import lossboard

STEPS = 1_000_000
TRIES = 7
MILLIONS = 10


def main() -> None:
    """Print seconds per million steps, and the two ratios."""
    warnings.simplefilter("ignore")  # that no board answers is meant
    times: dict[str, list[float]] = {"append": [], "log": []}
    for _ in range(TRIES):
        bare = nothing()
        times["append"].append(appending() - bare)
        times["log"].append(logging(1)[0] - bare)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"{name:<8} {medians[name]:.3f} µs a step   ({min(taken):.3f} to {max(taken):.3f}, {TRIES} tries)")
    print(f"log() adds {medians['log'] / medians['append']:.2f} times what append adds")
    early, late = zip(*((taken[0], taken[-1]) for taken in (logging(MILLIONS) for _ in range(3))), strict=True)
    print(
        f"a step of the first million {statistics.median(early):.3f} µs, of the million before ten million"
        f" {statistics.median(late):.3f} µs (with the loop): {statistics.median(late) / statistics.median(early):.2f}"
    )


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


def logging(millions: int) -> list[float]:
    """Seconds with log(), of each million steps."""
    with tempfile.TemporaryDirectory() as folder:
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
        lossboard._GOODBYE = 0.0
        run.finish()
    return taken


if __name__ == "__main__":
    main()
