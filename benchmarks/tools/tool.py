"""What is asked of every tool from outside of the training process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
import psutil
from numpy.typing import NDArray

type Points = NDArray[np.float64]  # a row per step: the step, w, the loss

NONE: Points = np.empty((0, 3))
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Served:
    """What a tool's own page is given of a run of a length that no screen can show."""

    points: int
    spike: bool  # the one step that stood out is among them


class Tool:
    """A tool with everything it writes in one folder; a context manager around what has to run beside the training.

    As it stands, it is no tool at all: nothing can be read back.
    """

    key: ClassVar[str]  # in LOGGERS
    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True)

    def start(self) -> None:
        """Start what has to run beside the training."""

    def stop(self) -> None:
        """End it."""

    def points(self, run: str) -> Points:  # noqa: ARG002
        """Every point of a run that can be read back now, in order."""
        return NONE

    def sources(self, run: str) -> dict[str, Callable[[], float]]:  # noqa: ARG002
        """Where a page of the tool's own gets points from: each is asked for the newest step that is there (-1: none).

        A call may wait for news. Each is called from a thread of its own.
        """
        return {}

    def served(self, run: str, spike: int) -> Served | None:  # noqa: ARG002
        """What the tool's page would be given; None if that cannot be had on this machine."""
        return None

    def after_death(self) -> bool:
        """What its user can do once the script was killed; whether there is anything."""
        return False

    def beside(self) -> list[psutil.Process]:
        """What runs beside the training, apart from what the training process started."""
        return []

    def environment(self) -> dict[str, str]:
        """For the training process; nothing of a tool goes into the user's home."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        redirected = {name: str(home) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
        return {**os.environ, **redirected, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}

    def disk(self) -> int:
        """Bytes in its folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def train(self, run: str, *options: object) -> subprocess.Popen[str]:
        """Start the training process."""
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.tools.loop", self.key, run, *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment(),
            cwd=self.folder,
            text=True,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the training process printed last."""
    said, _ = process.communicate()
    answer: dict[str, Any] = json.loads(said.splitlines()[-1])
    return answer


class Nothing(Tool):
    """The plain loop."""

    key, name = "nothing", "no tool"


class AList(Tool):
    """The loop that keeps its points in a list."""

    key, name = "list", "list.append"
