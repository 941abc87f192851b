"""Which runs have a worker: those that wait get one as soon as there is room, and what loses its worker has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path

from app.runs.active import EXTERNAL, Active, ActiveRuns
from app.runs.journals import JournalCollector
from app.workers.executor import Executor, Job

STOP_GRACE_S = 3.0  # that a worker has to stop by itself
COLLECT_RETRY_S = 1.0  # between two tries to collect what a worker left behind


@dataclass(frozen=True)
class Limits:
    """How many workers there may be at once: at full speed, and waiting most of the time (slowed, or paused)."""

    running: int
    waiting: int

    def have_room_for(self, one: Active, others: Iterable[Active]) -> bool:
        """Whether a worker may start beside those at work. What works already goes on, whatever is changed in it: two
        runs that are resumed may be one more than may start, and then nothing starts until one of them has ended."""
        started = [other for other in others if other.launched and other.record.method != EXTERNAL]
        at_work = [other for other in started if not other.lost]
        waiting = sum(other.waits for other in at_work)
        if one.waits:
            return waiting < self.waiting
        return len(at_work) - waiting < self.running and len(at_work) < self.running + self.waiting


class Scheduler:
    """Starts and kills the workers of runs."""

    def __init__(
        self,
        active: ActiveRuns,
        executor: Executor,
        journals: JournalCollector,
        limits: Limits,
        *,
        url: str,
        data_dir: Path,
        token: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``url`` is where workers report to, with ``token``, ``data_dir`` where they keep their journals; ``sleep``
        waits so many seconds."""
        self._active = active
        self._executor = executor
        self._journals = journals
        self._limits = limits
        self._url = url
        self._data_dir = data_dir
        self._token = token
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        # In a task: a start that fails ends another run, whose lock it takes.
        active.ended.subscribe(lambda: self._run_in_background(self.launch()))

    async def start(self) -> None:
        """Get ready to start workers."""
        await self._executor.start(self._worker_ended)

    async def stop(self) -> None:
        """End every worker; no other is started, and no run is given up for it."""
        self._closed = True
        await self._executor.stop()

    async def launch(self) -> None:
        """Start the runs that wait, oldest first, while there is room for them."""
        if self._closed:
            return
        for active in sorted(self._active, key=lambda active: active.record.number):
            under_way = active in self._active  # it may have ended while another was started
            if under_way and active.wants_to_start and self._limits.have_room_for(active, self._active):
                active.launched = True
                record = active.record
                control = active.control.model_dump()
                try:
                    job = Job(
                        record.id, record.method, record.params, self._url, str(self._data_dir), control, self._token
                    )
                    await self._executor.run(job)
                except OSError as error:
                    active.lost = True
                    await self._active.give_up(active, "failed", f"No worker process could be started: {error}.")

    async def kill(self, run_id: str) -> None:
        """End a run's worker at once. A run without a worker is no error."""
        await self._executor.kill(run_id)

    def kill_after_grace(self, run_id: str) -> None:
        """End the worker of a run that was asked to stop, if it does not do so by itself."""

        async def wait_and_kill() -> None:
            await self._sleep(STOP_GRACE_S)
            if self._active.get(run_id):
                await self._executor.kill(run_id)

        self._run_in_background(wait_and_kill())

    def _worker_ended(self, run_id: str, code: int) -> None:
        """A worker is gone; if its run has not ended, that is how it ended."""
        active = self._active.get(run_id)
        if active is not None and not self._closed:
            active.lost = True
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            error = f"Its worker process {how} before the run was done."
            self._run_in_background(self._end_without_worker(active, error))

    async def _end_without_worker(self, active: Active, error: str) -> None:
        """First what the worker had logged and could not send any more, maybe even how it ended; then its status. Its
        slot is free at once."""
        await self.launch()
        while not self._closed and active in self._active:
            if await self._journals.collect(active.record.id) and not self._closed:
                await self._active.give_up(active, "failed", error)
                return
            await self._sleep(COLLECT_RETRY_S)

    def _run_in_background(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
