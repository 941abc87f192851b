"""How long until the page, until a run's first point, and in how much memory: `uv run python -m benchmarks.start`.

Every time is the median of several tries on one machine in one go; memory is the resident set of each process.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.boards import BoardProcess, wait_for

TRIES = 5


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        for name, value in [*starting(Path(folder)), *first_points(Path(folder) / "points")]:
            print(f"{name:<58} {value}")


def starting(folder: Path) -> list[tuple[str, str]]:
    """From the command to an answering page, and to a Visdom that is up."""
    pages, windows = [], []
    for i in range(TRIES):
        board = BoardProcess(folder / str(i))
        began = time.perf_counter()
        board.start()
        board.client.get("/")
        pages.append(time.perf_counter() - began)
        board.wait_for_visdom()
        windows.append(time.perf_counter() - began)
        board.stop()
    return [
        ("command to answering page", seconds(pages)),
        ("command to Visdom up", seconds(windows)),
    ]


def first_points(folder: Path) -> list[tuple[str, str]]:
    """From POST /api/runs to the first point on disk, while torch is being preloaded and after; then the memory."""
    rows = []
    board = BoardProcess(folder, LOSSBOARD_PRELOAD_TORCH="true").start()
    try:
        rows.append(("POST to first point, gd, torch being preloaded", seconds(first_point(board, "gd"))))
        board.wait_until(board.run("torch")["id"], seconds=120)
        rows += [
            (f"POST to first point, {method}, torch preloaded", seconds(first_point(board, method)))
            for method in ("gd", "sgd", "sweep", "backprop", "autograd", "torch")
        ]
        board.wait_for_visdom()
        rows += memory(board)
    finally:
        board.stop()
    return rows


def first_point(board: BoardProcess, method: str) -> list[float]:
    """Seconds until GET /api/runs/{id} shows a step: it is shown only once it is on disk."""
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        run = board.run(method)
        wait_for(lambda run=run: board.get(f"/api/runs/{run['id']}")["step"] is not None, 60)
        times.append(time.perf_counter() - began)
        board.wait_until(run["id"])
    return times


def memory(board: BoardProcess) -> list[tuple[str, str]]:
    """The resident set of the app, and of what it has started."""
    kinds: dict[str, Callable[[list[str]], bool]] = {
        "memory of Visdom": lambda line: "app.visdom.child" in line,
        "memory of the numpy nursery": lambda line: line[-2:-1] == ["app.workers.nursery"],
        "memory of the torch nursery": lambda line: line[-1] == "torch",
    }
    rows = [("memory of the app", megabytes(psutil.Process(board.process.pid)))]
    for child in psutil.Process(board.process.pid).children():  # workers are children of theirs
        rows += [(name, megabytes(child)) for name, is_it in kinds.items() if is_it(child.cmdline())]
    return rows


def seconds(times: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(times):6.2f} s   ({min(times):.2f} to {max(times):.2f}, {len(times)} tries)"


def megabytes(process: psutil.Process) -> str:
    """Resident set."""
    return f"{process.memory_info().rss / 1e6:6.0f} MB"


if __name__ == "__main__":
    print("Python", platform.python_version(), platform.system(), platform.machine())
    main()
