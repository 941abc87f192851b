"""How long until the page, until a run's first point, and in how much memory: `uv run python -m benchmarks.start`.

Every time is the median of several tries on one machine in one go; memory is the resident set of each process.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.figures import Figure, show, spread
from tests.harness.boards import BoardProcess, wait_for

TRIES = 5


def main() -> list[Figure]:
    """Print how long each takes."""
    with tempfile.TemporaryDirectory() as folder:
        return [*show(starting(Path(folder))), *show(first_points(Path(folder) / "points"))]


def starting(folder: Path) -> Iterator[Figure]:
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
    yield spread("command to answering page", pages, "s", at_most=3)
    yield spread("command to Visdom up", windows, "s")


def first_points(folder: Path) -> Iterator[Figure]:
    """From POST /api/runs to the first point on disk, while torch is being preloaded and after; then the memory."""
    with BoardProcess(folder, LOSSBOARD_PRELOAD_TORCH="true") as board:
        yield spread("POST to first point, gd, torch being preloaded", first_point(board, "gd"), "s", at_most=0.3)
        board.wait_until(board.run("torch")["id"])
        for method in ("gd", "sgd", "sweep", "backprop", "autograd", "torch"):
            goal = 1 if method in ("autograd", "torch") else 0.3
            yield spread(
                f"POST to first point, {method}, torch preloaded", first_point(board, method), "s", at_most=goal
            )
        board.wait_for_visdom()
        yield from memory(board)


def first_point(board: BoardProcess, method: str) -> list[float]:
    """Seconds until GET /api/runs/{id} shows a step: it is shown only once it is on disk."""
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        run = board.run(method)
        wait_for(lambda path=f"/api/runs/{run['id']}": board.get(path)["step"] is not None)  # type: ignore[misc]
        times.append(time.perf_counter() - began)
        board.wait_until(run["id"])
    return times


def memory(board: BoardProcess) -> Iterator[Figure]:
    """The resident set of the app, and of what it has started."""
    kinds: dict[str, Callable[[list[str]], bool]] = {
        "memory of Visdom": lambda line: "app.visdom.server_process" in line,
        "memory of the numpy fork server": lambda line: line[-2:-1] == ["app.workers.fork_server"],
        "memory of the torch fork server": lambda line: line[-1] == "torch",
    }
    app = psutil.Process(board.process.pid)
    yield Figure("memory of the app", megabytes(app), "MB", at_most=120)
    for child in app.children():  # workers are children of theirs
        for name, is_it in kinds.items():
            if is_it(child.cmdline()):
                yield Figure(name, megabytes(child), "MB")


def megabytes(process: psutil.Process) -> float:
    """Resident set."""
    return process.memory_info().rss / 1e6


if __name__ == "__main__":
    main()
