"""Runs: made, found, edited, deleted; and what becomes of all of them when the board starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from app.charts.colours import race_colours
from app.charts.latest import LatestRuns
from app.errors import ConflictError, DamagedError, GoneError, NotFoundError, UnavailableError
from app.runs.active import EXTERNAL, Active, ActiveRuns
from app.runs.best import note_extremes
from app.runs.names import default_name
from app.runs.progress import note_points, note_step
from app.runs.scheduler import Scheduler
from app.runs.validation import Plan
from app.storage.records import RunRecord
from app.storage.store import Store

log = logging.getLogger("lossboard.runs")

INTERRUPTED = "The board ended while this run was under way."
RESTORABLE_S = 10.0  # that a deleted run can be restored, also by the next board
LOOK_S = 1.0  # between two looks for runs to forget, while there are any


class RunService:
    """All runs: stored before they are started, and read as they are now."""

    def __init__(
        self,
        store: Store,
        active: ActiveRuns,
        scheduler: Scheduler,
        latest: LatestRuns,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``sleep`` waits so many seconds; ``clock`` tells the seconds since 1970."""
        self._sleep = sleep
        self._clock = clock
        self._deleted = asyncio.Event()  # there may be runs to forget
        self._deleted.set()
        self._unforgettable: set[str] = set()  # deleted runs of which damaged pages cannot be freed
        self._store = store
        self._active = active
        self._scheduler = scheduler
        self._latest = latest
        self._making = asyncio.Lock()  # one new run at a time: each takes a colour that no other has
        self._closing = asyncio.Lock()
        self._closed = False

    async def recover(self) -> None:
        """At the start: runs that the last board left behind are interrupted, with all of their stored points.

        UnavailableError if that cannot be stored just now: it may be called again.
        """
        left_behind = await self._store.unfinished_runs()
        for record in left_behind:
            with contextlib.suppress(DamagedError):  # which its record says from now on
                if last := await self._store.last_batch(record):
                    note_points(record, last)
                    for some in (await self._store.read_range(record, enough=1)).records:
                        note_extremes(record, some.names, some.rows)
                    note_step(record, await self._store.largest_step(record))
            record.status, record.ended_at, record.error = "interrupted", time.time(), INTERRUPTED
        await asyncio.gather(*map(self._save_interrupted, left_behind))
        await self._scheduler.start()

    async def _save_interrupted(self, record: RunRecord) -> None:
        try:
            await self._store.save_run(record)
        except DamagedError as error:
            log.warning("that run %s was interrupted cannot be stored: %s", record.id, error)

    async def create(self, plan: Plan) -> RunRecord:
        """Store a new run and start it, or queue it if every slot is taken."""
        async with self._making:
            record = _record(plan, plan.group, await self._data_number(plan), colour=self._next_colour())
            await self._store.add_run(record, plan.data)
            self._active.add(Active(record))
        await self._scheduler.launch()
        return record

    async def create_race(self, plans: Sequence[Plan]) -> tuple[str, list[RunRecord]]:
        """Store the runs of a race, on the same data, and start as many as may run; the name of their group, and the
        runs. ConflictError if there are other runs in that group."""
        async with self._making:
            group = plans[0].group or await self._unused_group()
            if await self._is_used(group):
                raise ConflictError("There are runs of this group; send another name.", field=("group",))
            number = await self._data_number(plans[0])
            colours = race_colours([value for plan in plans for value in plan.varied.values()])
            records = [_record(plan, group, number, **colour) for plan, colour in zip(plans, colours, strict=True)]
            await self._store.add_runs(records, plans[0].data)
            for record in records:
                self._active.add(Active(record))
        await self._scheduler.launch()
        return group, records

    async def create_external(
        self,
        run_id: str,
        name: str,
        params: dict[str, Any],
        group: str | None = None,
        started_at: float | None = None,
        *,
        resume: bool = False,
        **told: Any,
    ) -> tuple[RunRecord, bool]:
        """Store a run whose points come from elsewhere; the same id again gives the run that is there.

        started_at: when its script began, if that was before
        resume: should it have ended, it goes on
        told: other fields of its record that a script gives: tags, notes, live

        Returns the run, and whether it is new. GoneError if a run of this id was deleted.
        """
        run_id = run_id or uuid.uuid4().hex
        async with self._active.lock(run_id), self._making:
            with contextlib.suppress(NotFoundError):
                record = await self.get(run_id)
                if resume and record.method == EXTERNAL and not self._active.get(run_id):
                    await self._resume(record)
                return record, False
            now = time.time()
            record = RunRecord(
                id=run_id,
                name=name,
                method=EXTERNAL,
                params=params,
                status="running",
                created_at=now,
                started_at=now if started_at is None else min(started_at, now),
                group=group,
                colour=self._next_colour(),
                **told,
            )
            await self._store.add_run(record)
            self._active.add(Active(record, launched=True, heard_at=time.monotonic()))
        return record, True

    async def _resume(self, record: RunRecord) -> None:
        """A run of a script that has ended goes on; a stop that was asked of it is over."""
        going_on: dict[str, Any] = {"status": "running", "ended_at": None, "error": None}
        going_on["asked"] = {
            name: value for name, value in record.asked.items() if name in ("params", "asked", "revision")
        }
        await self._store.save_run(dataclasses.replace(record, **going_on))
        for name, value in going_on.items():
            setattr(record, name, value)
        self._active.add(Active(record, launched=True, heard_at=time.monotonic()))

    async def get(self, run_id: str) -> RunRecord:
        """The run. NotFoundError, or GoneError if it was deleted."""
        return await self._active.find(run_id)

    async def page(
        self, *, status: str | None, group: str | None, limit: int, offset: int
    ) -> tuple[list[RunRecord], int]:
        """Runs newest first, and how many there are in all."""
        if status is not None:  # which may have just changed: what was shown is found
            with contextlib.suppress(UnavailableError):  # nothing can be stored: what is, can still be read
                await self._store.settle()
        newest_of = self._active.newest()
        stored, total = await self._store.list_runs(status=status, group=group, limit=limit, offset=offset)
        newest = [newest_of(record) for record in stored]
        still = [record for record in newest if status in (None, record.status)]
        return still, total - len(newest) + len(still)

    async def some(self, run_ids: set[str]) -> list[RunRecord]:
        """Those of these runs that exist, oldest first."""
        found = []
        for run_id in run_ids:
            with contextlib.suppress(NotFoundError, GoneError):
                found.append(await self.get(run_id))
        return sorted(found, key=lambda record: record.number)

    async def those_left(self, run_ids: Iterable[str]) -> list[str]:
        """Those of these runs that were not deleted. NotFoundError for one that there never was."""
        left = []
        for run_id in run_ids:
            with contextlib.suppress(GoneError):
                left.append((await self.get(run_id)).id)
        return left

    async def edit(self, run_id: str, **noted: Any) -> RunRecord:
        """Change what people call and note of a run: name, group, tags, notes, pinned."""
        if "name" in noted:
            noted["default_name"] = None
        async with self._active.lock(run_id):
            record = await self.get(run_id)
            await self._store.save_run(dataclasses.replace(record, **noted))
            for field, value in noted.items():
                setattr(record, field, value)
            return record

    async def delete(self, run_id: str) -> None:
        """Stop a run and delete it: nobody finds it any more. It can be restored for ``RESTORABLE_S``."""
        now = self._clock()
        try:
            async with self._active.lock(run_id):
                deleted = dataclasses.replace(await self.get(run_id), deleted_at=now)
                if active := self._active.get(run_id):
                    deleted.status, deleted.ended_at = "stopped", now  # restored, it does not go on
                    with active.being_deleted():  # should it wait in the queue, it is not started now
                        await self._store.mark_deleted(deleted)
                    self._active.remove(run_id)
                    await self._scheduler.kill(run_id)
                else:
                    await self._store.mark_deleted(deleted)
        finally:
            self._deleted.set()
            await self._scheduler.launch()

    async def restore(self, run_ids: Iterable[str]) -> list[RunRecord]:
        """Have back runs that were deleted less than ``RESTORABLE_S`` ago; those that were not deleted stay as they
        are. GoneError for the first that is forgotten, when all others are back."""
        marked = {record.id: record for record in await self._store.marked_deleted() if not self._is_over(record)}

        async def restore_one(run_id: str) -> RunRecord:
            async with self._active.lock(run_id):
                return await (self._store.restore_run(marked[run_id]) if run_id in marked else self.get(run_id))

        outcomes = await asyncio.gather(*map(restore_one, run_ids), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, RunRecord)]

    async def forget_deleted(self) -> None:
        """Forget deleted runs, each when it can no longer be restored; runs for ever."""
        while True:
            await self._deleted.wait()
            self._deleted.clear()
            try:
                are_left = await self._forget_those_over()
            except UnavailableError as error:
                log.info("deleted runs cannot be forgotten just now: %s", error)
                are_left = True
            if are_left:
                self._deleted.set()
            await self._sleep(LOOK_S)

    async def _forget_those_over(self) -> bool:
        """Forget the deleted runs that can no longer be restored; whether there are others."""
        marked = [record for record in await self._store.marked_deleted() if record.id not in self._unforgettable]
        over = [record for record in marked if self._is_over(record)]
        for record in over:
            try:
                async with self._active.lock(record.id):
                    await self._store.delete_run(record)
            except DamagedError as error:
                log.warning("what is stored of the deleted run %s stays on disk: %s", record.id, error)
                self._unforgettable.add(record.id)  # until the database is rebuilt, when the board starts again
        return len(over) < len(marked)

    def _is_over(self, marked: RunRecord) -> bool:
        return not 0 <= self._clock() - (marked.deleted_at or 0) < RESTORABLE_S

    async def close(self) -> None:
        """The board shuts down: what is under way is interrupted. Again is no error."""
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            await self._scheduler.stop()
            await self._active.interrupt_all(INTERRUPTED)

    async def _data_number(self, plan: Plan) -> int:
        """The number of the run that was the first on this data; of a new run, if none was."""
        first = await self._store.first_run_on(plan.data)
        if first is None:
            return await self._store.next_number()
        return first.data_number or first.number

    async def _unused_group(self) -> str:
        number = await self._store.next_number()  # that of the race's first run, unless that name is used
        while await self._is_used(f"race {number}"):
            number += 1
        return f"race {number}"

    async def _is_used(self, group: str) -> bool:
        return (await self._store.list_runs(group=group, limit=1))[1] > 0

    def _next_colour(self) -> int:
        return self._latest.next_colour(queue=any(active.record.status == "queued" for active in self._active))


def _record(plan: Plan, group: str | None, data_number: int, **colour: Any) -> RunRecord:
    """A new run, as planned."""
    named_by_us = plan.default_name or default_name(plan.method, plan.params, plan.data, data_number)
    return RunRecord(
        id=uuid.uuid4().hex,
        name=plan.name or named_by_us,
        default_name=None if plan.name else named_by_us,
        method=plan.method.name,
        params=plan.params.model_dump(),
        status="queued",
        created_at=time.time(),
        group=group,
        tags=plan.tags,
        notes=plan.notes,
        total_steps=plan.total_steps,
        varied=plan.varied,
        why=plan.why,
        data_number=data_number,
        samples=len(plan.data[0]),
        cost_scale=plan.cost_scale,
        first_loss=plan.first_loss,
        **colour,
    )
