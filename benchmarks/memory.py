"""What the app and Visdom hold while long runs come and go: `uv run python -m benchmarks.memory`."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess
from tests.harness.watcher import watch

MILLION = 1_000_000
RUNS = 10
GROWTH = 5  # MB from the median of runs 3 to 5 to that of the last three: what flat means here


def main() -> list[Figure]:
    """Print the memory of both over ten runs of a million steps."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        board.wait_for_visdom()
        app = psutil.Process(board.process.pid)
        visdom = board.visdom()
        held: list[tuple[float, float]] = []
        with watch(board):  # someone has the windows open
            for number in range(RUNS):
                board.wait_until(board.run("gd", lr=1e-6 * (1 + number), epochs=MILLION)["id"])
                held.append((megabytes(app), megabytes(visdom)))
    return [
        *show(figures("the app", [app_held for app_held, _ in held], 120)),
        *show(figures("Visdom", [visdom_held for _, visdom_held in held], 150)),
    ]


def figures(who: str, held: list[float], at_most: float) -> Iterator[Figure]:
    """The most it held, and how much that grew after the first runs."""
    words = "after each run: " + ", ".join(f"{one:.0f}" for one in held)
    yield Figure(f"memory of {who} over {RUNS} runs of {MILLION:,} steps", max(held), "MB", at_most=at_most, note=words)
    growth = statistics.median(held[-3:]) - statistics.median(held[2:5])
    yield Figure(f"growth of {who} from runs 3 to 5 to the last three", growth, "MB", at_most=GROWTH)


def megabytes(process: psutil.Process) -> float:
    """Its resident set."""
    return process.memory_info().rss / 1e6


if __name__ == "__main__":
    main()
