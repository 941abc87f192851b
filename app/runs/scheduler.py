"""Which runs have a worker: those that wait get one as soon as there is room, and what loses its worker has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path

from app.runs.active import Active, Limits
from app.runs.journals import Leftovers
from app.storage.store import Status
from app.workers.executor import Engine, Job

GRACE = 3.0  # seconds that a worker has to stop by itself

type GiveUp = Callable[[Active, Status, str | None], Awaitable[None]]  # ends a run with this status, and why


class Launcher:
    """Starts and kills the workers of runs."""

    def __init__(self, url: str, folder: Path, engine: Engine, leftovers: Leftovers, limits: Limits) -> None:
        """``url`` is where workers report to, ``folder`` where they keep their journals."""
        self._url = url
        self._folder = folder
        self._engine = engine
        self._leftovers = leftovers
        self._limits = limits
        self._active: Mapping[str, Active] = {}
        self._give_up: GiveUp
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self, active: Mapping[str, Active], give_up: GiveUp) -> None:
        """Get ready to work for these runs, by id, whichever they are from now on."""
        self._active, self._give_up = active, give_up
        await self._engine.start(self._worker_ended)

    async def stop(self) -> None:
        """End every worker; no other is started, and nobody is told."""
        self._closed = True
        await self._engine.stop()

    async def launch(self) -> None:
        """Start the runs that wait, oldest first, while there is room for them."""
        if self._closed:
            return
        for active in sorted(self._active.values(), key=lambda active: active.record.number):
            under_way = self._active.get(active.record.id) is active  # it may have ended while another was started
            if under_way and active.wants_to_start and self._limits.have_room_for(active, self._active.values()):
                active.launched = True
                record = active.record
                control = active.control.model_dump()
                try:
                    job = Job(record.id, record.method, record.params, self._url, str(self._folder), control)
                    await self._engine.run(job)
                except OSError as error:
                    await self._give_up(active, "failed", f"No worker process could be started: {error}.")

    def launch_soon(self) -> None:
        """The same, for who holds a run's turn: a start that fails ends another run, which takes that one's turn."""
        self._tend(self.launch())

    async def kill(self, run_id: str) -> None:
        """End a run's worker at once. A run without a worker is no error."""
        await self._engine.kill(run_id)

    def kill_after_grace(self, run_id: str) -> None:
        """End the worker of a run that was asked to stop, if it does not do so by itself."""

        async def wait_and_kill() -> None:
            await asyncio.sleep(GRACE)
            if run_id in self._active:
                await self._engine.kill(run_id)

        self._tend(wait_and_kill())

    def _worker_ended(self, run_id: str, code: int) -> None:
        """A worker is gone; if its run has not ended, that is how it ended."""
        active = self._active.get(run_id)
        if active is not None and not self._closed:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._tend(self._end_without_worker(active, f"Its worker process {how} before the run was done."))

    async def _end_without_worker(self, active: Active, error: str) -> None:
        """First what the worker had logged and could not send any more, maybe even how it ended; then its status."""
        await self._leftovers.collect(active.record.id)
        if active.stop_asked:
            await self._give_up(active, "stopped", None)
        else:
            await self._give_up(active, "failed", error)

    def _tend(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
