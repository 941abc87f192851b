"""What the board asks of whatever runs its trainers; local processes are one answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """What a worker needs to know: the run to report, the board's address to report it to, and its data folder;
    ``control`` is what the board asks of the run already, as in the answers to its points."""

    run_id: str
    method: str
    params: dict[str, Any]
    url: str
    folder: str
    control: dict[str, Any] = field(default_factory=dict)


type Ended = Callable[[str, int], None]  # called with a run's id and its worker's exit code (-9: killed by signal 9)


def nobody(_run_id: str, _code: int) -> None:
    """Who is told that a worker has ended before someone wants to know."""


class Engine(Protocol):
    """Starts and kills workers."""

    async def start(self, on_end: Ended) -> None:
        """Get ready; ``on_end`` is called in the event loop whenever a worker has ended."""

    async def run(self, job: Job) -> None:
        """Start a worker for this job. OSError if none can be started."""

    async def kill(self, run_id: str) -> None:
        """End a worker at once; ``on_end`` follows. A run without a worker is no error."""

    async def stop(self) -> None:
        """End every worker and whatever starts them."""
