"""An executor that starts nothing: for the unit tests of those who use one."""

from __future__ import annotations

import asyncio

from app.workers.executor import Job, WorkerEndListener, ignore_worker_end


class FakeExecutor:
    """The interface that app.workers.executor describes; the test says when a worker ends, and how.

    jobs: every job for which a worker was started, in order
    at_work: the ids of the runs whose worker has not ended
    killed: the ids of the runs whose worker was to be killed, in order
    error: while not None, no worker can be started
    gate: while it is not set, ``run`` waits before it starts a worker
    closed: whether every worker was ended
    """

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.at_work: set[str] = set()
        self.killed: list[str] = []
        self.error: OSError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = False
        self._on_end: WorkerEndListener = ignore_worker_end

    @property
    def started(self) -> list[str]:
        """The ids of the runs for which a worker was started, in order."""
        return [job.run_id for job in self.jobs]

    def end(self, run_id: str, code: int = 0) -> None:
        """A worker ends with this exit code."""
        self.at_work.remove(run_id)
        self._on_end(run_id, code)

    async def start(self, on_end: WorkerEndListener) -> None:
        self._on_end = on_end

    async def run(self, job: Job) -> None:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.jobs.append(job)
        self.at_work.add(job.run_id)

    async def kill(self, run_id: str) -> None:
        self.killed.append(run_id)
        if run_id in self.at_work:
            self.end(run_id, -9)

    async def stop(self) -> None:
        self.closed = True
        for run_id in sorted(self.at_work):
            self.end(run_id, -9)
