"""A run's life: made, queued, started, fed with points, stopped, ended, deleted."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from app.columns import Batch, Floats, is_missing
from app.errors import ConflictError, GoneError, NotFoundError
from app.feed import Feed
from app.leftovers import Leftovers
from app.overlay import Overlay
from app.plans import Plan
from app.schemas import Accepted, Control, Ending
from app.store import GapError, RunRecord, Status, Store
from app.workers.engine import Engine, Job

log = logging.getLogger("lossboard.runs")

EXTERNAL = "external"
SILENCE = 30.0  # seconds after which an external run that says nothing is interrupted
LEFT_BEHIND = "The board ended while this run was under way."
GRACE = 3.0  # seconds that a worker has to stop by itself


class View(Protocol):
    """Something that shows runs."""

    def append(self, run: RunRecord, batch: Batch) -> None:
        """A run has new points."""

    def refresh(self, run: RunRecord) -> None:
        """A run has another state."""

    def removed(self, run_id: str) -> None:
        """A run was deleted."""


@dataclass(frozen=True)
class Limits:
    """How many workers there may be at once: at full speed, and slowed by steps_per_second."""

    running: int
    slowed: int


@dataclass
class Active:
    """A run that has not ended."""

    record: RunRecord
    launched: bool = False
    stop_asked: bool = False
    ending: bool = False
    heard_at: float = 0.0  # time.monotonic() of its last post

    @property
    def slowed(self) -> bool:
        """Whether it spends its time waiting for its next step, and so takes no slot."""
        return self.record.params.get("steps_per_second") is not None


class Runs:
    """All runs, and the rules of what may happen to them when."""

    def __init__(
        self,
        url: str,
        folder: Path,
        store: Store,
        overlay: Overlay,
        feed: Feed,
        engine: Engine,
        leftovers: Leftovers,
        views: Sequence[View],
        limits: Limits,
    ) -> None:
        """``url`` is where workers report to, ``folder`` where they keep their journals."""
        self.active: dict[str, Active] = {}
        self._url = url
        self._folder = folder
        self._leftovers = leftovers
        self._store = store
        self._overlay = overlay
        self._feed = feed
        self._engine = engine
        self._views = views
        self._limits = limits
        self._making = asyncio.Lock()  # one new run at a time: each takes a colour that no other has
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Lock()
        self._closed = False

    async def recover(self) -> None:
        """After a start: runs that the last board left behind are interrupted, with all of their stored points."""
        for record in await self._store.unfinished_runs():
            if last := await self._store.last_batch(record):
                _note_points(record, last)
            record.status, record.ended_at, record.error = "interrupted", time.time(), LEFT_BEHIND
            await self._store.save_run(record)
        await self._overlay.load({})

    # --- making and finding -----------------------------------------------------------------------------------------

    async def create(self, plan: Plan) -> RunRecord:
        """Store a new run and start it, or queue it if every slot is taken."""
        async with self._making:
            record = RunRecord(
                id=uuid.uuid4().hex,
                name=plan.name,
                method=plan.method.name,
                params=plan.params.model_dump(),
                status="queued",
                created_at=time.time(),
                group=plan.group,
                total_steps=plan.total_steps,
                colour=self._next_colour(),
            )
            await self._store.add_run(record, plan.data)
            self.active[record.id] = Active(record)
        self._feed.changed(record.id)
        await self._start_waiting()
        return record

    async def create_external(
        self, run_id: str, name: str, params: dict[str, Any], group: str | None
    ) -> tuple[RunRecord, bool]:
        """Store a run whose points come from elsewhere; the same id again gives the run that is there.

        Returns the run, and whether it is new. GoneError if a run of this id was deleted.
        """
        run_id = run_id or uuid.uuid4().hex
        async with self._making:
            with contextlib.suppress(NotFoundError):
                return await self.get(run_id), False
            now = time.time()
            record = RunRecord(
                id=run_id,
                name=name,
                method=EXTERNAL,
                params=params,
                status="running",
                created_at=now,
                started_at=now,
                group=group,
                colour=self._next_colour(),
            )
            await self._store.add_run(record)
            self.active[run_id] = Active(record, launched=True, heard_at=time.monotonic())
        await self._overlay.show(record)
        self._feed.changed(run_id)
        return record, True

    async def get(self, run_id: str) -> RunRecord:
        """The run. NotFoundError, or GoneError if it was deleted."""
        if active := self.active.get(run_id):
            return active.record
        record = await self._store.get_run(run_id)
        if record is None:
            if await self._store.was_deleted(run_id):
                raise GoneError(f"The run {run_id} was deleted.")
            raise NotFoundError(f"There is no run {run_id!r}; GET /api/runs lists those there are.")
        return record

    async def page(
        self, *, status: str | None, group: str | None, limit: int, offset: int
    ) -> tuple[list[RunRecord], int]:
        """Runs newest first, and how many there are in all."""
        stored, total = await self._store.list_runs(status=status, group=group, limit=limit, offset=offset)
        return [self._newest(record) for record in stored], total

    async def some(self, run_ids: set[str]) -> list[RunRecord]:
        """Those of these runs that exist, oldest first."""
        found = []
        for run_id in run_ids:
            with contextlib.suppress(NotFoundError, GoneError):
                found.append(await self.get(run_id))
        return sorted(found, key=lambda record: record.number)

    # --- changing ---------------------------------------------------------------------------------------------------

    async def rename(self, run_id: str, name: str) -> RunRecord:
        """Give a run another name."""
        record = await self.get(run_id)
        await self._store.save_run(dataclasses.replace(record, name=name))
        record.name = name
        self._show(record)
        return record

    async def stop(self, run_id: str) -> RunRecord:
        """Ask a run to end; one that has ended stays as it is."""
        active = self.active.get(run_id)
        if active is None:
            return await self.get(run_id)
        if not active.launched:
            await self._end(active, "stopped")
        elif not active.stop_asked:
            active.stop_asked = True
            if active.record.method != EXTERNAL:
                self._tend(self._kill_after_grace(active))
        return await self.get(run_id)

    async def delete(self, run_id: str) -> None:
        """Stop a run and forget it."""
        record = await self.get(run_id)
        self.active.pop(run_id, None)
        await self._engine.kill(run_id)
        await self._store.delete_run(record)
        await self._overlay.load({key: active.record for key, active in self.active.items()})
        for view in self._views:
            view.removed(run_id)
        self._feed.removed(run_id)
        await self._start_waiting()

    # --- what comes from workers and scripts ------------------------------------------------------------------------

    async def ingest(self, run_id: str, batch: Batch) -> Accepted:
        """Take in a batch: each record once, on disk before the answer. ConflictError if records before it are missing
        or the run has ended, GoneError if it was deleted."""
        active = self.active.get(run_id)
        if active is None:
            record = await self.get(run_id)
            if record.status != "interrupted":
                raise ConflictError(f"This run has ended ({record.status}); it takes no more points.")
            if record.method != EXTERNAL:  # its journal is being read: nothing goes on
                accepted = await self._append(record, batch)
                await self._store.save_run(record)
                return Accepted(accepted=accepted, control=Control(stop=True))
            active = await self._revive(record)
        active.heard_at = time.monotonic()
        record = active.record
        if record.status == "queued":
            record.status, record.started_at = "running", time.time()
            await self._save(record)
            await self._overlay.show(record)
        next_seq = await self._append(record, batch)
        return Accepted(accepted=next_seq, control=Control(stop=active.stop_asked))

    async def finish(self, run_id: str, ending: Ending) -> RunRecord:
        """A run says how it ended; one that has ended stays as it is, unless it was thought lost."""
        active = self.active.get(run_id)
        if active is None:
            record = await self.get(run_id)
            if record.status != "interrupted":
                return record
            active = Active(record)
        await self._end(active, ending.status, ending.error, dict(ending.result))
        return await self.get(run_id)

    def worker_ended(self, run_id: str, code: int) -> None:
        """A worker is gone; if its run has not ended, that is how it ended."""
        active = self.active.get(run_id)
        if active is None or self._closed:
            return
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._tend(self._end_without_worker(active, f"Its worker process {how} before the run was done."))

    async def watch_silence(self) -> None:
        """Interrupt external runs that have been silent for too long; runs for ever."""
        while True:
            await asyncio.sleep(1)
            for active in list(self.active.values()):
                silent = time.monotonic() - active.heard_at
                if active.record.method == EXTERNAL and silent > SILENCE:
                    await self._end(active, "interrupted", f"Nothing was heard of it for {SILENCE:.0f} s.")

    async def close(self) -> None:
        """The board shuts down: what is under way is interrupted. Again is no error."""
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            await self._engine.stop()
            for active in list(self.active.values()):
                await self._end(active, "interrupted", LEFT_BEHIND)

    # --- within -----------------------------------------------------------------------------------------------------

    def _next_colour(self) -> int:
        return self._overlay.next_colour(queue=any(one.record.status == "queued" for one in self.active.values()))

    def _newest(self, stored: RunRecord) -> RunRecord:
        active = self.active.get(stored.id)
        return active.record if active else stored

    async def _append(self, record: RunRecord, batch: Batch) -> int:
        try:
            appended = await self._store.append(record, batch)
        except GapError as gap:
            raise ConflictError(
                f"Records from {gap.wanted} are missing before this batch; send those first.",
                field=("seq",),
                wanted=gap.wanted,
            ) from None
        if appended.new is not None:
            _note_points(record, appended.new)
            for view in self._views:
                view.append(record, appended.new)
            self._feed.changed(record.id)
        return appended.next_seq

    async def _revive(self, record: RunRecord) -> Active:
        record.status, record.ended_at, record.error = "running", None, None
        active = Active(record, launched=True)
        self.active[record.id] = active
        await self._save(record)
        return active

    async def _end(
        self, active: Active, status: Status, error: str | None = None, result: dict[str, Any] | None = None
    ) -> None:
        """Give a run its terminal status: on disk first, then for all to see."""
        if active.ending:
            return
        active.ending = True
        now = time.time()
        record = dataclasses.replace(active.record, status=status, error=error, ended_at=now, result=result or {})
        record.started_at = record.started_at or (now if active.launched else None)
        await self._store.save_run(record)
        self.active.pop(record.id, None)
        self._show(record)
        await self._start_waiting()

    async def _end_without_worker(self, active: Active, error: str) -> None:
        """First what the worker had logged and could not send any more, maybe even how it ended; then its status."""
        await self._leftovers.collect(active.record.id)
        if active.stop_asked:
            await self._end(active, "stopped")
        else:
            await self._end(active, "failed", error)

    async def _save(self, record: RunRecord) -> None:
        await self._store.save_run(record)
        self._show(record)

    def _show(self, record: RunRecord) -> None:
        for view in self._views:
            view.refresh(record)
        self._feed.changed(record.id)

    async def _start_waiting(self) -> None:
        """Launch queued runs, oldest first, while there is room for them."""
        if self._closed:
            return
        for active in sorted(self.active.values(), key=lambda active: active.record.number):
            launched = [other for other in self.active.values() if other.launched and other.record.method != EXTERNAL]
            alike = sum(other.slowed == active.slowed for other in launched)
            room = (self._limits.slowed if active.slowed else self._limits.running) - alike
            if not active.launched and active.record.number and room > 0:
                active.launched = True
                record = active.record
                try:
                    await self._engine.run(self._job(record))
                except OSError as error:
                    await self._end(active, "failed", f"No worker process could be started: {error}.")

    def _job(self, record: RunRecord) -> Job:
        return Job(record.id, record.method, record.params, self._url, str(self._folder))

    async def _kill_after_grace(self, active: Active) -> None:
        await asyncio.sleep(GRACE)
        if active.record.id in self.active:
            await self._engine.kill(active.record.id)

    def _tend(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _note_points(record: RunRecord, batch: Batch) -> None:
    """What a run last said, after these points."""
    record.step = int(batch.rows[-1, 0])
    for column, name in enumerate(batch.names, 1):
        value = _last_logged(batch.rows[:, column])
        if value is not None:
            record.last[name] = value


def _last_logged(values: Floats) -> float | None:
    if not is_missing(values[-1:])[0]:
        return float(values[-1])
    logged = np.flatnonzero(~is_missing(values))
    return float(values[logged[-1]]) if len(logged) else None
