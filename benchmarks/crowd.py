"""50 runs that report at once while 20 pages watch: `uv run python -m benchmarks.crowd`.

How quickly the API answers meanwhile, and that no point is lost. A run is a script's: 20 points a second, as a training
loop of a GPU logs, sent by the client; a page is its event stream.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import lossboard
from benchmarks.figures import Figure, show
from benchmarks.responses import listen, responses
from tests.harness.boards import BoardProcess, wait_for

RUNS, PAGES, PROCESSES = 50, 20, 2
SECONDS, RATE = 20.0, 20.0  # of reporting; points a second of each run


def main() -> list[Figure]:
    """Print the median and the 99th percentile of each call, and how many points arrived."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder) / "board") as board:
        board.wait_for_visdom()
        os.environ["LOSSBOARD_DIR"] = str(Path(folder) / "scripts")
        stop = listen(board.url, PAGES)
        context = multiprocessing.get_context("spawn")
        logged: multiprocessing.Queue[tuple[str, int]] = context.Queue()
        arguments = (board.url, RUNS // PROCESSES, SECONDS + 5, RATE, logged)
        scripts = [context.Process(target=report, args=arguments) for _ in range(PROCESSES)]
        for script in scripts:
            script.start()
        wait_for(lambda: board.get("/api/runs?limit=1")["total"] == RUNS, "every run's beginning")
        newest = board.get("/api/runs", limit=1)["items"][0]["id"]
        figures = show(responses(board, newest, SECONDS, at_most=100))
        stop.set()
        counts = [logged.get() for _ in range(RUNS)]
        for script in scripts:
            script.join()
        lost = sum(count - len(arrived(board, run_id)) for run_id, count in counts)
        note = f"of {sum(count for _, count in counts):,}, of {RUNS} runs, with {PAGES} event streams open"
        return figures + show([Figure("points that were lost", lost, at_most=0, note=note)])


def arrived(board: BoardProcess, run_id: str) -> list[float]:
    """The steps of a run, each of them once and with its own value."""
    points = board.get(f"/api/runs/{run_id}/points", max_points=1_000_000)
    assert points["step"] == points["metrics"]["loss"] == list(range(len(points["step"]))), run_id
    return list(points["step"])


def report(url: str, runs: int, seconds: float, rate: float, logged: multiprocessing.Queue[tuple[str, int]]) -> None:
    """Some of the runs, in a process of their own, each with its own client."""
    open_runs = [lossboard.run(f"run {number}", url=url) for number in range(runs)]
    begun, count = time.monotonic(), 0
    while time.monotonic() < begun + seconds:
        for run in open_runs:
            run.log(loss=count, w=-count)
        count += 1
        time.sleep(max(0.0, begun + count / rate - time.monotonic()))
    for run in open_runs:
        assert run.finish()
        logged.put((run.id, count))


if __name__ == "__main__":
    main()
