"""How quickly long runs and long lists are read: `uv run python -m benchmarks.reading`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from benchmarks.figures import Figure, quantile, show, spread
from tests.harness.boards import BoardProcess

MILLION = 1_000_000
RUNS = 10_000
PAGE = 100
TRIES = 20


def main() -> list[Figure]:
    """Print what reading costs."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        run = board.wait_until(board.run("gd", lr=1e-6, epochs=MILLION)["id"])
        figures = show(curve(board, run["id"]))
        figures += show(table(board, run["id"]))
        add_runs(board)
        figures += show(pages(board))
    return figures


def curve(board: BoardProcess, run_id: str) -> Iterator[Figure]:
    """The curve as a page asks for it."""
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        points = board.get(f"/api/runs/{run_id}/points", max_points=2000)
        times.append(time.perf_counter() - began)
    assert points["total"] == MILLION
    yield spread(f"GET points?max_points=2000 of {MILLION:,} steps", times, "ms", scale=1000, at_most=50)


def table(board: BoardProcess, run_id: str) -> Iterator[Figure]:
    """Every point as CSV, read as it comes."""
    app = psutil.Process(board.process.pid)
    before = most = app.memory_info().rss
    rows, size, looked, began = -1, 0, 0.0, time.perf_counter()  # the first line is the header
    with board.client.stream("GET", f"/api/runs/{run_id}/points.csv") as answer:
        for piece in answer.iter_bytes():
            rows += piece.count(b"\n")
            size += len(piece)
            if time.perf_counter() - looked > 0.05:
                looked = time.perf_counter()
                most = max(most, app.memory_info().rss)
    seconds = time.perf_counter() - began
    assert rows == MILLION
    yield Figure(f"points.csv of {MILLION:,} steps", seconds, "s", note=f"{size / 1e6:.0f} MB")
    yield Figure("memory of the app before points.csv", before / 1e6, "MB")
    words = f"{app.memory_info().rss / 1e6:.0f} MB once it is read"
    yield Figure("memory of the app while points.csv is read, at most", most / 1e6, "MB", note=words)


def add_runs(board: BoardProcess) -> None:
    """Fill the list with runs that have ended."""

    def add(number: int) -> None:
        made = board.client.post("/api/runs", json={"method": "external", "name": f"run {number}"}).json()
        board.client.post(f"/api/runs/{made['id']}/finish", json={"status": "finished"})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(RUNS)))


def pages(board: BoardProcess) -> Iterator[Figure]:
    """The list from its first page to its last."""
    times, seen = [], 0
    while True:
        began = time.perf_counter()
        page = board.get("/api/runs", limit=PAGE, offset=seen)
        times.append(1000 * (time.perf_counter() - began))
        seen += len(page["items"])
        if not page["items"]:
            break
    assert seen == page["total"] == RUNS + 1
    words = f"{len(times)} pages of {PAGE}"
    yield Figure(f"a page of the list of {RUNS:,} runs, median", quantile(times, 0.5), "ms", at_most=50, note=words)
    yield Figure(f"a page of the list of {RUNS:,} runs, slowest", max(times), "ms", at_most=50)


if __name__ == "__main__":
    main()
