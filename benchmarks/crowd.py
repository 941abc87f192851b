"""50 runs that report at once while 20 pages watch: `uv run python -m benchmarks.crowd`.

How quickly the API answers meanwhile, and that no point is lost. A run is a script's: 20 points a second, as a training
loop of a GPU logs, sent by the client; a page is its event stream.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

import lossboard
from benchmarks.busy import listen
from tests.boards import BoardProcess, wait_for

RUNS, PAGES, PROCESSES = 50, 20, 2
CALLS = ("/api/runs?limit=50", "/api/health", "/api/methods", "/api/runs/{id}", "/api/runs/{id}/points")


def main() -> None:
    """Print the median and the 99th percentile of each call, and how many points arrived."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=float, default=20, help="points a second of each run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder) / "board") as board:
        board.wait_for_visdom()
        os.environ["LOSSBOARD_DIR"] = str(Path(folder) / "scripts")
        stop = threading.Event()
        for _ in range(PAGES):
            threading.Thread(target=listen, args=(board.url, stop), daemon=True).start()
        context = multiprocessing.get_context("spawn")
        logged: multiprocessing.Queue[tuple[str, int]] = context.Queue()
        arguments = (board.url, RUNS // PROCESSES, options.seconds + 5, options.rate, logged)
        scripts = [context.Process(target=report, args=arguments) for _ in range(PROCESSES)]
        for script in scripts:
            script.start()
        wait_for(lambda: board.get("/api/runs?limit=1")["total"] == RUNS, 30, "every run's beginning")
        ask(board, options.seconds)
        stop.set()
        counts = [logged.get() for _ in range(RUNS)]
        for script in scripts:
            script.join()
        for run_id, count in counts:
            points = board.get(f"/api/runs/{run_id}/points", max_points=1_000_000)
            assert points["step"] == points["metrics"]["loss"] == list(range(count)), run_id
        print(f"{sum(count for _, count in counts):,} points of {RUNS} runs, with {PAGES} pages open: none is lost")


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


def ask(board: BoardProcess, seconds: float) -> None:
    """Call the API, one call after the other, and print how long each took."""
    run_id = board.get("/api/runs", limit=1)["items"][0]["id"]
    times: dict[str, list[float]] = {call: [] for call in CALLS}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for call, taken in times.items():
            began = time.perf_counter()
            board.get(call.replace("{id}", run_id))
            taken.append(time.perf_counter() - began)
            time.sleep(0.01)
    for call, taken in [*times.items(), ("all", [one for each in times.values() for one in each])]:
        slowest = sorted(taken)
        print(
            f"{call:<28} {len(taken):5} calls   median {statistics.median(taken) * 1000:6.1f} ms"
            f"   99 % {slowest[int(len(slowest) * 0.99)] * 1000:6.1f} ms   worst {slowest[-1] * 1000:6.1f} ms"
        )


if __name__ == "__main__":
    main()
