"""One training with one tool: what a step costs, what was kept of it, what it took."""

from __future__ import annotations

import functools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.tools.loop import descend, spike_of
from benchmarks.tools.tool import Points, Served, Tool, answer_of

RUN = "trial"
PATIENCE = 10  # seconds for points to appear that were not there when finish() returned


@dataclass(frozen=True)
class Trial:
    """What one process of training came to."""

    steps: int  # as many as it took, in the time it had
    wanted: int
    seconds: float
    memory: int  # the most bytes the training process had
    beside: int  # the most bytes all others had that the tool needs while it trains
    disk: int
    read_back: int
    exact: bool  # every value that was read back is the one that was logged, to the last bit
    readable_after: float | None  # seconds after the last log(); None: they never all were
    served: Served | None

    @property
    def step(self) -> float:
        """Seconds of one step."""
        return self.seconds / self.steps


def train(make: Callable[[Path], Tool], steps: int, seconds: float, *, look: bool = False) -> Trial:
    """Train in a fresh process, with everything the tool needs in a fresh folder; and look at what its page gets."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, make(Path(folder) / "tool") as tool:
        process = tool.train(RUN, "--steps", steps, "--seconds", seconds)
        memory = Memory(psutil.Process(process.pid), tool.beside())
        answer = answer_of(process)
        beside = memory.stop()
        points = tool.points(RUN)
        late = 0.0
        while 0 < len(points) < answer["steps"] and late < PATIENCE:
            time.sleep(0.1)
            points, late = tool.points(RUN), time.time() - answer["last_log"] - answer["finish"]
        whole = len(points) == answer["steps"]
        return Trial(
            steps=answer["steps"],
            wanted=steps,
            seconds=answer["seconds"],
            memory=answer["memory"],
            beside=beside,
            disk=tool.disk(),
            read_back=len(points),
            exact=is_exact(points, steps),
            readable_after=answer["finish"] + late if whole else None,
            served=tool.served(RUN, spike_of(steps)) if look and len(points) > spike_of(steps) else None,
        )


def step_seconds(trials: Sequence[Trial]) -> float:
    """The median of several trials."""
    return statistics.median(trial.step for trial in trials)


def is_exact(points: Points, steps: int) -> bool:
    """Whether all that was read back is what the loop logged."""
    expected = expected_points(steps)[: len(points)]
    return len(points) > 0 and bool((points == expected).all())


@functools.cache
def expected_points(steps: int) -> Points:
    """What the loop logs."""
    logged: list[tuple[float, float, float]] = []
    descend(1.0, 0, steps, spike_of(steps), lambda *point: logged.append(point))
    return np.array(logged)


class Memory:
    """The most that a process's children and some other processes have together, looked at while they live."""

    def __init__(self, parent: psutil.Process, others: list[psutil.Process]) -> None:
        self._parent = parent
        self._others = others
        self._peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """The peak in bytes."""
        self._ended.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._ended.wait(0.25):
            total = 0
            with suppress(psutil.NoSuchProcess):
                for process in [*self._parent.children(recursive=True), *self._others]:
                    total += process.memory_info().rss
            self._peak = max(self._peak, total)
