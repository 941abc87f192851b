"""How quickly the API answers while much is going on: `uv run python -m benchmarks.busy`.

Two torch runs and two gd runs train at full speed, eight slowed ones tick, and three listeners hold the event stream.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.figures import Figure, show
from benchmarks.responses import listen, responses
from tests.harness.boards import BoardProcess

SECONDS, PAGES = 15, 3
TRIES = 5  # of a first point


def main() -> list[Figure]:
    """Print how quickly each call was answered, how soon another run has a point, and the app's memory."""
    return show(figures())


def figures() -> Iterator[Figure]:
    """All of them, once they have been measured in one go."""
    with (
        tempfile.TemporaryDirectory() as folder,
        BoardProcess(Path(folder), LOSSBOARD_PRELOAD_TORCH="true", LOSSBOARD_MAX_RUNNING="4") as board,
    ):
        board.wait_for_visdom()
        board.wait_until(board.run("torch")["id"])
        slowed = [board.run("gd", epochs=100_000, steps_per_second=25) for _ in range(8)]
        fast = [board.run(method, epochs=10_000_000) for method in ("torch", "torch", "gd", "gd")]
        for run in [*slowed, *fast]:
            board.wait_until(run["id"], "running")
        stop = listen(board.url, PAGES)
        yield from responses(board, slowed[0]["id"], SECONDS, at_most=50)
        stop.set()
        times = [first_point(board) for _ in range(TRIES)]
        note = f"{min(times):.3f} to {max(times):.3f}, {TRIES} tries"
        yield Figure("first point of another gd run, median", statistics.median(times), "s", at_most=0.3, note=note)
        steps = [board.get(f"/api/runs/{run['id']}")["step"] for run in fast]
        yield Figure("steps of the fast runs by then", sum(steps), note=", ".join(f"{step:,}" for step in steps))
        yield Figure("memory of the app", psutil.Process(board.process.pid).memory_info().rss / 1e6, "MB", at_most=120)


def first_point(board: BoardProcess) -> float:
    """Seconds from POST to a point on disk, for a slowed run, which takes no slot, and is gone afterwards."""
    began = time.perf_counter()
    run = board.run("gd", epochs=1000, steps_per_second=100)
    while board.get(f"/api/runs/{run['id']}")["step"] is None:
        time.sleep(0.005)
    taken = time.perf_counter() - began
    board.client.delete(f"/api/runs/{run['id']}")
    return taken


if __name__ == "__main__":
    main()
