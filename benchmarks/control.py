"""How soon a run does what is asked of it: `uv run python -m benchmarks.control`.

Of built-in runs each time is from the request to the moment at which the API tells the effect, so the polling (2 ms)
and one answer are in it. Of scripts it is from the request to the first step that was made with another learning rate,
by the clock of the machine. Four runs at 25 steps a second tick beside the one that is controlled.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

import lossboard
from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess

TIMES = 20
CHANGES = 100  # of a script's learning rate
RUNS, IDLE_S = 20, 10.0  # scripts that wait for something to be asked, and for how long
KINDS: dict[str, dict[str, Any]] = {
    "at full speed": {},
    "at 25 steps/s": {"steps_per_second": 25},
    "at 0.01 steps/s": {"steps_per_second": 0.01},
}


SCRIPT = """
import sys, time
import torch
import lossboard
logs = sys.argv[2] == "logs"
run = lossboard.run("script", url=sys.argv[1])
parameter = torch.nn.Parameter(torch.ones(10))
parameter.grad = torch.ones(10)
optimizer = torch.optim.SGD([parameter], lr=0.1)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1_000_000)
steering = run.steer(optimizer)
before, made = 0.1, []
optimizer.register_step_pre_hook(lambda *_: made.append(optimizer.param_groups[0]["lr"]))
print(run.id, flush=True)
while not run.should_stop:
    optimizer.step()
    now = time.monotonic()
    if abs(made[-1] / before - 1) > 0.01:
        print(made[-1], now, flush=True)
    before = made.pop()
    scheduler.step()
    if logs:
        run.log(loss=1.0)
    time.sleep(0.001)
"""
SCRIPTS = {"a script that logs each step": "logs", "a script that logs nothing": "logs nothing"}


def main() -> list[Figure]:
    """Print the median and the worst of each effect on each kind of run."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder) / "board") as board:
        figures += idle(board, Path(folder))
        for _ in range(4):
            board.run("gd", epochs=1_000_000, steps_per_second=25)
        for name, kind in SCRIPTS.items():
            figures += show(latencies(name, kind, board, Path(folder)))
        for kind, params in KINDS.items():
            run = board.run("gd", epochs=10_000_000, **params)["id"]
            board.wait_until(run, "running")
            times: dict[str, list[float]] = {}
            for _ in range(TIMES):
                for effect, seconds in steer(board, run).items():
                    times.setdefault(effect, []).append(seconds)
            board.client.post(f"/api/runs/{run}/stop")
            for effect, taken in times.items():
                note = f"worst {max(taken) * 1000:.0f}"
                figure = Figure(f"{kind}: {effect}", statistics.median(taken) * 1000, "ms", at_most=300, note=note)
                figures += show([figure])
    return figures


def latencies(name: str, kind: str, board: BoardProcess, folder: Path) -> list[Figure]:
    """From the request to the first step with another learning rate, of CHANGES changes of a script."""
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder / "script"), "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", SCRIPT, board.url, kind]
    taken = []
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout is not None
        path = f"/api/runs/{script.stdout.readline().strip()}"
        while "lr" not in board.client.get(path).json().get("params", {}):
            time.sleep(0.01)
        for change in range(CHANGES):
            time.sleep(random.uniform(0.05, 0.25))  # noqa: S311
            began = time.monotonic()
            answer = board.client.patch(path, json={"params": {"lr": 0.01 * (1 + change % 7)}})
            assert answer.status_code == 200, answer.text
            taken.append(float(script.stdout.readline().split()[1]) - began)
        board.client.post(f"{path}/stop")
    percentiles = statistics.quantiles(taken, n=100)
    return [
        Figure(f"{name}: another lr holds", 1000 * percentiles[49], "ms", at_most=50, note=f"of {CHANGES}, the median"),
        Figure(f"{name}: 99 of 100 hold within", 1000 * percentiles[98], "ms", at_most=120),
    ]


def idle(board: BoardProcess, folder: Path) -> list[Figure]:
    """What the board takes of a core for scripts that log nothing, with and without waiting for what is asked."""
    os.environ["LOSSBOARD_DIR"] = str(folder / "idle")
    process = psutil.Process(board.process.pid)
    figures: list[Figure] = []
    for name in ("that only log", "that wait for what is asked as well"):
        runs = [lossboard.run(f"idle {number}", url=board.url) for number in range(RUNS)]
        for run in runs if figures else ():
            run.listen()
        time.sleep(2)
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(IDLE_S)
        after, ended = process.cpu_times(), time.monotonic()
        share = (after.user + after.system - before.user - before.system) / (ended - began)
        for run in runs:
            threading.Thread(target=run.finish).start()
        figures += show([Figure(f"{RUNS} silent scripts {name}: the board's CPU", 100 * share, "% of a core")])
    return figures


def steer(board: BoardProcess, run: str) -> dict[str, float]:
    """Seconds until each effect of one round of control."""

    def now() -> dict[str, Any]:
        answer: dict[str, Any] = board.get(f"/api/runs/{run}")
        return answer

    def ask(what: str, **body: Any) -> None:
        board.client.post(f"/api/runs/{run}/{what}", json=body)

    times = {}
    changes = len(now()["changes"])
    times["another lr holds"] = after(
        lambda: board.client.patch(f"/api/runs/{run}", json={"params": {"lr": random.uniform(0.001, 0.01)}}),  # noqa: S311
        lambda: len(now()["changes"]) > changes,
    )
    began = last = time.perf_counter()
    ask("pause")
    held = -1
    while time.perf_counter() - last < 0.5:
        if held != (held := now()["step"]):
            last = time.perf_counter()
        time.sleep(0.002)
    times["the last point before a pause"] = last - began
    changes = len(now()["changes"])
    times["another lr holds, paused"] = after(
        lambda: board.client.patch(f"/api/runs/{run}", json={"params": {"lr": random.uniform(0.001, 0.01)}}),  # noqa: S311
        lambda: len(now()["changes"]) > changes,
    )
    times["three single steps"] = after(lambda: ask("step", steps=3), lambda: now()["step"] == held + 3)
    times["going on"] = after(lambda: ask("resume"), lambda: now()["step"] > held + 3)
    return times


def after(doing: Callable[[], object], done: Callable[[], bool]) -> float:
    """Seconds from doing something until it is done, begun at a random moment."""
    time.sleep(random.uniform(0, 0.2))  # noqa: S311
    began = time.perf_counter()
    doing()
    while not done():
        time.sleep(0.002)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
