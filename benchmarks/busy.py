"""How quickly the API answers while much is going on: `uv run python -m benchmarks.busy`.

Two torch runs and two gd runs train at full speed, eight slowed ones tick, and three listeners hold the event stream.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil

from benchmarks.figures import Figure, quantile, show
from tests.boards import BoardProcess

SECONDS = 15
CALLS = ("/api/runs?limit=50", "/api/health", "/api/methods", "/api/runs/{id}", "/api/runs/{id}/points")


def main() -> list[Figure]:
    """Print the median, the 99th percentile and the worst of each call, and the app's memory."""
    return show(figures())


def figures() -> Iterator[Figure]:
    """All of them, once they have been measured in one go."""
    with (
        tempfile.TemporaryDirectory() as folder,
        BoardProcess(Path(folder), LOSSBOARD_PRELOAD_TORCH="true", LOSSBOARD_MAX_RUNNING="4") as board,
    ):
        board.wait_for_visdom()
        board.wait_until(board.run("torch")["id"], seconds=120)
        slowed = [board.run("gd", epochs=100_000, steps_per_second=25) for _ in range(8)]
        fast = [board.run(method, epochs=10_000_000) for method in ("torch", "torch", "gd", "gd")]
        for run in [*slowed, *fast]:
            board.wait_until(run["id"], "running")
        stop = threading.Event()
        for _ in range(3):
            threading.Thread(target=listen, args=(board.url, stop), daemon=True).start()
        times = ask(board, slowed[0]["id"])
        stop.set()
        for call, taken in times.items():
            milliseconds = [1000 * second for second in taken]
            words = f"{len(taken)} calls, the slowest {max(milliseconds):.0f} ms"
            yield Figure(f"{call}, median", quantile(milliseconds, 0.5), "ms")
            yield Figure(f"{call}, 99 %", quantile(milliseconds, 0.99), "ms", note=words)
        yield Figure("first point of another gd run", first_point(board), "s")
        steps = [board.get(f"/api/runs/{run['id']}")["step"] for run in fast]
        yield Figure("steps of the fast runs by then", sum(steps), note=", ".join(f"{step:,}" for step in steps))
        yield Figure("memory of the app", psutil.Process(board.process.pid).memory_info().rss / 1e6, "MB")


def ask(board: BoardProcess, run_id: str) -> dict[str, list[float]]:
    """Seconds that each call took, asked one after the other."""
    times: dict[str, list[float]] = {call: [] for call in CALLS}
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for call, taken in times.items():
            began = time.perf_counter()
            board.get(call.replace("{id}", run_id))
            taken.append(time.perf_counter() - began)
            time.sleep(0.005)
    return times


def first_point(board: BoardProcess) -> float:
    """Seconds from POST to a point on disk, for a slowed run, which takes no slot."""
    began = time.perf_counter()
    run = board.run("gd", epochs=1000, steps_per_second=100)
    while board.get(f"/api/runs/{run['id']}")["step"] is None:
        time.sleep(0.005)
    return time.perf_counter() - began


def listen(url: str, stop: threading.Event) -> None:
    """Read the event stream, as an open page does."""
    with (
        httpx2.Client(base_url=url, trust_env=False, timeout=30) as client,
        client.stream("GET", "/api/events") as stream,
    ):
        for _ in stream.iter_lines():
            if stop.is_set():
                return


if __name__ == "__main__":
    main()
