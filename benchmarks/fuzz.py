"""20,000 random requests to the whole API, sound and broken: `uv run python -m benchmarks.fuzz`.

None may get a 5xx, or a response that the board's own description does not announce. With `--cases 2000` there are
fewer, `--seed 7` makes others.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess
from tests.harness.fuzzing import fuzz, operations_of

CASES = 20_000


def main(cases: int = CASES // 10, seed: int = 1) -> list[Figure]:
    """Print how many requests were sent, in rounds of other ones, and what the board has grown by. AssertionError."""
    begun, sent, rounds = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder), LOSSBOARD_MAX_RUNNING="1") as board:
        board.wait_for_visdom()
        process = psutil.Process(board.process.pid)
        before = process.memory_info().rss
        each = max(1, cases // (2 * len(operations_of(board))))
        while sent < cases:
            for operation, count in fuzz(board, each, seed + rounds):
                sent += count
                print(f"{time.monotonic() - begun:.0f} s: {sent} requests, {count} of them {operation}", flush=True)
            rounds += 1
        grown = (process.memory_info().rss - before) / 2**20
        assert board.get("/api/health")["visdom"] == "up"
    return show(
        [
            Figure("random requests, answered as described", sent, note=f"in {time.monotonic() - begun:.0f} s"),
            Figure("memory grown by", grown, "MiB", at_most=300.0),
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    main(given.cases, given.seed)
