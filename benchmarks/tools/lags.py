"""How long a point takes from log() to where a page of the tool's own gets it, at a calm pace."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tools.tool import Tool, answer_of

RUN = "lag"
RATE = 10  # steps a second
LOOK_EVERY = 0.005  # seconds between two questions to a source


@dataclass(frozen=True)
class Lag:
    """Seconds from log() until a point was there, for each step."""

    source: str
    seconds: NDArray[np.float64]


def measure(make: Callable[[Path], Tool], seconds: float) -> list[Lag]:
    """Train at a calm pace, and look for each step in all of the tool's sources."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, make(Path(folder) / "tool") as tool:
        looking = [Looking(name, ask) for name, ask in tool.sources(RUN).items()]
        steps, notes = int(seconds * RATE), Path(folder) / "notes"
        process = tool.train(RUN, "--steps", steps, "--rate", RATE, "--notes", notes)
        answer_of(process)
        time.sleep(1)
        logged = np.fromfile(notes)
        return [one.stop(logged) for one in looking]


class Looking:
    """Asks one source for its newest step, again and again."""

    def __init__(self, name: str, ask: Callable[[], float]) -> None:
        self._name = name
        self._ask = ask
        self._seen: list[tuple[float, float]] = []  # the newest step, and when it was first there
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self, logged: NDArray[np.float64]) -> Lag:
        """The lag of every step that was seen; ``logged`` says when each was logged."""
        self._ended.set()
        self._thread.join()
        newest, when = np.array(self._seen).T if self._seen else np.empty((2, 0))
        first = np.searchsorted(newest, np.arange(len(logged)))
        found = first < len(newest)
        return Lag(self._name, when[first[found]] - logged[found])

    def _look(self) -> None:
        last = -1.0
        while not self._ended.wait(LOOK_EVERY):
            if (newest := self._ask()) > last:
                last = newest
                self._seen.append((newest, time.time()))
