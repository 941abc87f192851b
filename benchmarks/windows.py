"""How soon the windows show a step, and what they cost: `uv run python -m benchmarks.windows`.

A subscriber to Visdom's websocket, through the board as a browser is one, looks at what arrives. The script that
trains logs its own clock as the loss, so that the last point of each window says when its step was made.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.figures import Figure, quantile, show, spread
from tests.harness.boards import BoardProcess
from tests.harness.watcher import Watcher, trace_of, watch

MILLION = 1_000_000
SPIKE_AT = 654_321
TRIES = 5
SCRIPT = f"""
import sys, time, lossboard
run = lossboard.run(sys.argv[1], url=sys.argv[2])
began = float(sys.argv[3])
for step in range({MILLION}):
    run.log(loss=time.time() - began, w=1.0 if step == {SPIKE_AT} else 0.0)
print(time.time() - began, flush=True)
run.finish()
"""


def main() -> list[Figure]:
    """Print what a subscriber sees of million-step runs."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        board.wait_for_visdom()
        figures = show(first_seen(board))
        figures += show(million_steps(board))
        figures += show(pushes(board))
    return figures


def first_seen(board: BoardProcess) -> Iterator[Figure]:
    """From POST /api/runs to the window that has the run's first points."""
    times = []
    with watch(board) as watcher:
        for _ in range(TRIES):
            began = time.perf_counter()
            run = board.run("gd", epochs=1000)
            watcher.until(lambda windows, run=run: shows(windows, f"#{run['number']}"))
            times.append(time.perf_counter() - began)
            board.wait_until(run["id"])
    yield spread("POST to the first point in a window, gd", times, "s", at_most=0.3)


def million_steps(board: BoardProcess) -> Iterator[Figure]:
    """A script that logs a million steps as fast as it can, three times over."""
    lags: list[float] = []
    points: list[int] = []
    rates = []
    for number in range(3):
        with watch(board) as watcher:
            rates.append(follow(board, watcher, f"million{number}", lags, points))
            spike = (trace_of(watcher.windows["w"], f"million{number}") or {"y": []})["y"]
    yield spread("steps a second of the script that logs them", [MILLION / seconds for seconds in rates], "steps/s")
    milliseconds = [1000 * lag for lag in lags]
    words = f"{len(lags)} windows of three runs of {MILLION:,} steps at full speed"
    yield Figure("step to subscriber, median", quantile(milliseconds, 0.5), "ms", at_most=150, note=words)
    yield Figure("step to subscriber, 99 %", quantile(milliseconds, 0.99), "ms", at_most=400)
    yield Figure("points in one window, at most", max(points), "points", at_most=2000)
    words = f"the highest of {len(spike):,} points in the window, where all others are 0"
    yield Figure("a spike of one step among a million is shown", max(spike, default=0.0), "", at_least=1, note=words)


def follow(board: BoardProcess, watcher: Watcher, name: str, lags: list[float], points: list[int]) -> float:
    """Watch one run of the script to its end; how many seconds it logged for."""
    began = time.time()
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, name, board.url, str(began)], stdout=subprocess.PIPE, text=True
    ) as script:
        newest = -1.0
        while newest < MILLION - 1:
            window = watcher.next_window(30)
            points.append(sum(len(trace["x"]) for trace in window["content"]["data"]))
            trace = trace_of(window, name) if window["id"] == "loss" else None
            if trace and trace["x"][-1] > newest:
                newest = trace["x"][-1]
                lags.append(time.time() - began - trace["y"][-1])
        watcher.until(lambda windows: (trace_of(windows["w"], name) or {"x": [0]})["x"][-1] == MILLION - 1)
        assert script.stdout is not None
        return float(script.stdout.readline())


def pushes(board: BoardProcess) -> Iterator[Figure]:
    """What one push costs the app and Visdom when the run is short, and when it is a hundred times as long."""
    tries = [(push(board, 10_000), push(board, MILLION)) for _ in range(3)]  # in turns: the machine's pace may change
    short, long = zip(*tries, strict=True)
    yield spread("processor time of a push at step 10,000", short, "ms", scale=1000)
    yield spread("processor time of a push at step 1,000,000", long, "ms", scale=1000)
    ratio = sorted(long)[1] / sorted(short)[1]
    yield Figure("push at step 1,000,000 against step 10,000", ratio, "×", at_most=1.2)


def push(board: BoardProcess, steps: int) -> float:
    """Processor seconds of the app and Visdom for each set of windows, while one point comes every 0.1 s."""
    for old in board.get("/api/runs")["items"]:  # or they would be in the windows as well
        board.client.delete(f"/api/runs/{old['id']}")
    run = board.client.post("/api/runs", json={"method": "external", "name": f"of {steps:,}"}).json()
    values = np.random.default_rng(steps).normal(size=steps).tolist()
    for first in range(0, steps, 100_000):
        send(board, run["id"], first, values[first : first + 100_000])
    app = psutil.Process(board.process.pid)
    processes = [app, board.visdom()]
    with watch(board) as watcher:
        watcher.until(lambda windows: shows(windows, f"of {steps:,}"))
        time.sleep(0.5)
        stop = threading.Event()
        sender = threading.Thread(target=trickle, args=(board, run["id"], steps, stop))
        sender.start()
        seen, spent, until = 0, cpu(processes), time.monotonic() + 2.5
        while time.monotonic() < until:
            seen += watcher.next_window()["id"] == "loss"
        spent = cpu(processes) - spent
        stop.set()
        sender.join()
    board.client.post(f"/api/runs/{run['id']}/finish", json={"status": "finished"})
    return spent / seen


def trickle(board: BoardProcess, run_id: str, first: int, stop: threading.Event) -> None:
    """A point every 0.1 s."""
    while not stop.wait(0.1):
        send(board, run_id, first, [float(first % 7)])
        first += 1


def send(board: BoardProcess, run_id: str, first: int, values: list[float]) -> None:
    """Points from step ``first`` on."""
    body: dict[str, Any] = {"seq": first, "step": list(range(first, first + len(values)))}
    answer = board.client.post(f"/api/runs/{run_id}/points", json={**body, "metrics": {"loss": values, "w": values}})
    assert answer.status_code == 200, answer.text


def cpu(processes: list[psutil.Process]) -> float:
    """Seconds of processor time that they have used."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))


def shows(windows: dict[str, Any], name: str) -> bool:
    """Whether the loss window has points of this run."""
    trace = trace_of(windows["loss"], name) if "loss" in windows else None
    return bool(trace and trace["x"])


if __name__ == "__main__":
    main()
