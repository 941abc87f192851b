"""The interface between the board and whatever runs its workers; processes on this machine are one implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """What a worker needs to know to run one trainer.

    run_id, method, params: the run, and the trainer and parameters it was made with
    url: the board's address, which the worker reports to
    folder: the board's data folder, in which the worker keeps its journal
    control: what the board asks of the run at its start, as in the responses to its points later
    token: what the board asks for whenever the worker speaks to it; empty if nothing
    """

    run_id: str
    method: str
    params: dict[str, Any]
    url: str
    folder: str
    control: dict[str, Any] = field(default_factory=dict)
    token: str = field(default="", repr=False)


type WorkerEndListener = Callable[
    [str, int], None
]  # gets a run's id and its worker's exit code (-9: killed by signal 9)


def ignore_worker_end(_run_id: str, _exit_code: int) -> None:
    """A listener that does nothing, until another takes its place."""


class Executor(Protocol):
    """Starts and kills workers."""

    async def start(self, on_end: WorkerEndListener) -> None:
        """Get ready; `on_end` is called on the event loop whenever a worker has ended."""

    async def run(self, job: Job) -> None:
        """Start a worker for this job. OSError if none can be started."""

    async def kill(self, run_id: str) -> None:
        """End a worker at once; `on_end` follows. A run without a worker is no error."""

    async def stop(self) -> None:
        """End every worker and every process that starts workers."""
