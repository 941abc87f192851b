"""50 runs that report at once while 20 pages watch: `uv run python -m benchmarks.crowd`.

How quickly the API answers meanwhile, and that no point is lost. A run is a script's: 20 points a second, as a training
loop of a GPU logs, sent by the client; a page is its event stream.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lossboard
from benchmarks.busy import listen
from benchmarks.figures import Figure, show
from tests.boards import BoardProcess, wait_for

RUNS, PAGES, PROCESSES = 50, 20, 2
CALLS = ("/api/runs?limit=50", "/api/health", "/api/methods", "/api/runs/{id}", "/api/runs/{id}/points")


SECONDS, RATE = 20.0, 20.0  # of reporting; points a second of each run


def main() -> list[Figure]:
    """Print the median and the 99th percentile of each call, and how many points arrived."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder) / "board") as board:
        board.wait_for_visdom()
        os.environ["LOSSBOARD_DIR"] = str(Path(folder) / "scripts")
        stop = threading.Event()
        for _ in range(PAGES):
            threading.Thread(target=listen, args=(board.url, stop), daemon=True).start()
        context = multiprocessing.get_context("spawn")
        logged: multiprocessing.Queue[tuple[str, int]] = context.Queue()
        arguments = (board.url, RUNS // PROCESSES, SECONDS + 5, RATE, logged)
        scripts = [context.Process(target=report, args=arguments) for _ in range(PROCESSES)]
        for script in scripts:
            script.start()
        wait_for(lambda: board.get("/api/runs?limit=1")["total"] == RUNS, 30, "every run's beginning")
        figures = show(ask(board, SECONDS))
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


def ask(board: BoardProcess, seconds: float) -> Iterator[Figure]:
    """Call the API, one call after the other; how long each took."""
    run_id = board.get("/api/runs", limit=1)["items"][0]["id"]
    times: dict[str, list[float]] = {call: [] for call in CALLS}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for call, taken in times.items():
            began = time.perf_counter()
            board.get(call.replace("{id}", run_id))
            taken.append(time.perf_counter() - began)
            time.sleep(0.01)
    for call, taken in [*times.items(), ("all calls", [one for each in times.values() for one in each])]:
        slowest = sorted(taken)
        note = f"median {statistics.median(taken) * 1000:.1f}, worst {slowest[-1] * 1000:.1f}, {len(taken)} calls"
        yield Figure(f"{call}, 99th percentile", slowest[int(len(slowest) * 0.99)] * 1000, "ms", at_most=100, note=note)


if __name__ == "__main__":
    main()
