"""What people ask of a run while it goes on: pause, resume, single steps, other parameters, stop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from app.errors import ConflictError
from app.runs.active import EXTERNAL, Active, ActiveRuns, ask, may_come_back
from app.runs.diagnosis import why_of
from app.runs.scheduler import Scheduler
from app.runs.validation import check_change
from app.storage.records import RunRecord
from app.storage.store import Store

MAX_CHANGES = 1000  # recorded of one run: every open page is sent all of them


class RunControl:
    """Asks something else of a run than before. A worker or script is told in the response to its next points."""

    def __init__(self, store: Store, active: ActiveRuns, scheduler: Scheduler) -> None:
        self._store = store
        self._active = active
        self._scheduler = scheduler

    async def pause(self, run_id: str) -> RunRecord:
        """Hold a run; one that waits in the queue waits on until it is resumed. ConflictError if it has ended."""
        async with self._controlling(run_id, "paused") as active:
            active.pause()
        return active.record

    async def resume(self, run_id: str) -> RunRecord:
        """Let a run go on; one that is not held does. ConflictError if it has ended."""
        async with self._controlling(run_id, "resumed") as active:
            if active.paused:
                active.resume()
        return active.record

    async def step(self, run_id: str, steps: int) -> RunRecord:
        """Let a run take so many steps, then hold it. ConflictError if it has ended."""
        async with self._controlling(run_id, "stepped") as active:
            active.step(steps)
        return active.record

    async def change(self, run_id: str, values: dict[str, Any]) -> RunRecord:
        """Ask a run for other parameters; they hold from a coming step on. InvalidError if they may not be changed, or
        not to this; ConflictError if the run has ended."""
        async with self._controlling(run_id, "changed") as active:
            if len(active.record.changes) >= MAX_CHANGES:
                raise ConflictError(f"This run was changed {MAX_CHANGES} times; that is as often as is recorded.")
            active.change(check_change(active.record, values))
            if not active.launched:
                active.record.why = await why_of(self._store, active.record)
        return active.record

    async def stop(self, run_id: str) -> RunRecord:
        """Ask a run to end; one that has ended stays as it is, but a script that comes back is told.

        That holds at once, also while nothing can be stored: it is stored as soon as that is possible.
        """
        active = self._active.get(run_id)
        record = active.record if active else await self._active.find(run_id)
        if active is None:
            if may_come_back(record):
                await self._active.store_soon(run_id, "the stop", lambda: self._store_stop(run_id))
            return record
        if not active.stop_asked:
            active.stop()
            if active.record.method == EXTERNAL or not active.launched:
                await self._active.store_soon(run_id, "the stop", lambda: self._store_stop(run_id))
            else:
                self._scheduler.kill_after_grace(run_id)
        return active.record

    async def _store_stop(self, run_id: str) -> None:
        """With the run's lock held, as the run is now: it may have ended or come back meanwhile."""
        active = self._active.get(run_id)
        if active is None:
            record = await self._store.get_run(run_id)
            if record is not None and may_come_back(record):
                ask(record, stop=True)
                await self._store.save_run(record)
        elif active.launched:
            active.stop()
            await self._store.save_run(active.record)
        else:
            await self._active.end(active, "stopped")

    @contextlib.asynccontextmanager
    async def _controlling(self, run_id: str, doing: str) -> AsyncIterator[Active]:
        """A run of which something else is asked: stored at the end, and what there may be room for now is started.
        ConflictError if it has ended, or soon will have."""
        async with self._active.lock(run_id):
            active = self._active.get(run_id)
            if active is None:
                how = (await self._active.find(run_id)).status
                raise ConflictError(f"This run has ended ({how}); it can no longer be {doing}. Start another one.")
            if active.stop_asked:
                raise ConflictError(f"This run was asked to stop; it can no longer be {doing}.")
            with active.or_as_before():
                yield active
                await self._store.save_run(active.record)
        await self._scheduler.launch()
