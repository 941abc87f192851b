"""How soon a run does what is asked of it: `uv run python -m benchmarks.control`.

Each time is from the request to the moment at which the API tells the effect, so the polling (2 ms) and one answer are
in it. Four runs at 25 steps a second tick beside the one that is steered.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess

TIMES = 20
KINDS: dict[str, dict[str, Any]] = {
    "at full speed": {},
    "at 25 steps/s": {"steps_per_second": 25},
    "at 0.01 steps/s": {"steps_per_second": 0.01},
}


def main() -> list[Figure]:
    """Print the median and the worst of each effect on each kind of run."""
    figures = []
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        for _ in range(4):
            board.run("gd", epochs=1_000_000, steps_per_second=25)
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
