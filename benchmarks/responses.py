"""How quickly the API answers, asked as open pages ask it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import httpx2

from benchmarks.figures import Figure, quantile
from tests.harness.boards import BoardProcess

CALLS = ("/api/runs?limit=50", "/api/health", "/api/methods", "/api/runs/{id}", "/api/runs/{id}/points")


def responses(board: BoardProcess, run_id: str, seconds: float, at_most: float) -> Iterator[Figure]:
    """Call the API for so long, one call after the other: the 99th percentile of each, held against ``at_most`` ms."""
    times: dict[str, list[float]] = {call: [] for call in CALLS}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for call, taken in times.items():
            began = time.perf_counter()
            board.get(call.replace("{id}", run_id))
            taken.append(1000 * (time.perf_counter() - began))
            time.sleep(0.005)
    for call, taken in [*times.items(), ("all calls", [one for each in times.values() for one in each])]:
        note = f"median {quantile(taken, 0.5):.1f}, worst {max(taken):.1f}, {len(taken)} calls"
        yield Figure(f"{call}, 99th percentile", quantile(taken, 0.99), "ms", at_most=at_most, note=note)


def listen(url: str, pages: int) -> threading.Event:
    """Read the event stream from now on, as so many open pages do, until the event is set."""
    stop = threading.Event()

    def read() -> None:
        with (
            httpx2.Client(base_url=url, trust_env=False, timeout=30) as client,
            client.stream("GET", "/api/events") as stream,
        ):
            for _ in stream.iter_lines():
                if stop.is_set():
                    return

    for _ in range(pages):
        threading.Thread(target=read, daemon=True).start()
    return stop
