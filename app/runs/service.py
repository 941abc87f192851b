"""A run's life: made, queued, started, fed with points, stopped, ended, deleted."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol
from weakref import WeakValueDictionary

from app.charts.colours import shades
from app.charts.latest import Overlay
from app.errors import ConflictError, GoneError, InvalidError, NotFoundError, UnavailableError
from app.events import Feed
from app.runs.active import EXTERNAL, Active
from app.runs.diagnosis import why_of
from app.runs.progress import note_points
from app.runs.scheduler import Launcher
from app.runs.validation import Plan, check_change
from app.schemas.requests import ChangeIn, Ending
from app.schemas.responses import Accepted, Control
from app.storage.batch import MAX_METRICS, Batch
from app.storage.store import GapError, RunRecord, Status, Store

log = logging.getLogger("lossboard.runs")

SILENCE = 30.0  # seconds after which an external run that says nothing is interrupted
LEFT_BEHIND = "The board ended while this run was under way."
MAX_CHANGES = 1000  # recorded of one run: everyone who looks at it is told all of them


class View(Protocol):
    """Something that shows runs."""

    def append(self, run: RunRecord, batch: Batch) -> None:
        """A run has new points."""

    def refresh(self, run: RunRecord) -> None:
        """A run has another state."""

    def removed(self, run_id: str) -> None:
        """A run was deleted."""


class Runs:
    """All runs, and the rules of what may happen to them when."""

    def __init__(
        self,
        store: Store,
        overlay: Overlay,
        feed: Feed,
        launcher: Launcher,
        views: Sequence[View],
    ) -> None:
        self.active: dict[str, Active] = {}
        self._store = store
        self._overlay = overlay
        self._feed = feed
        self._launcher = launcher
        self._views = views
        self._making = asyncio.Lock()  # one new run at a time: each takes a colour that no other has
        self._turns = WeakValueDictionary[str, asyncio.Lock]()
        self._closing = asyncio.Lock()
        self._closed = False

    async def recover(self) -> None:
        """At the start: runs that the last board left behind are interrupted, with all of their stored points."""
        await self._launcher.start(self.active, self._give_up)
        for record in await self._store.unfinished_runs():
            if last := await self._store.last_batch(record):
                note_points(record, last)
            record.status, record.ended_at, record.error = "interrupted", time.time(), LEFT_BEHIND
            await self._store.save_run(record)
        await self._overlay.load()

    # --- making and finding -----------------------------------------------------------------------------------------

    async def create(self, plan: Plan) -> RunRecord:
        """Store a new run and start it, or queue it if every slot is taken."""
        async with self._making:
            record = _record(plan, plan.group, colour=self._next_colour())
            await self._store.add_run(record, plan.data)
            self.active[record.id] = Active(record)
        self._feed.changed(record.id)
        await self._launcher.launch()
        return record

    async def create_race(self, plans: Sequence[Plan]) -> tuple[str, list[RunRecord]]:
        """Store the runs of a race, on the same data, and start as many as may run; the name of their group, and the
        runs. ConflictError if there are other runs in that group."""
        async with self._making:
            group = plans[0].group or await self._unused_group()
            if await self._is_used(group):
                raise ConflictError("There are runs of this group; send another name.", field=("group",))
            places = shades([value for plan in plans for value in plan.varied.values()])
            records = [_record(plan, group, shade=place) for plan, place in zip(plans, places, strict=True)]
            await self._store.add_runs(records, plans[0].data)
            self.active |= {record.id: Active(record) for record in records}
        for record in records:
            self._feed.changed(record.id)
        await self._launcher.launch()
        return group, records

    async def create_external(
        self, run_id: str, name: str, params: dict[str, Any], group: str | None
    ) -> tuple[RunRecord, bool]:
        """Store a run whose points come from elsewhere; the same id again gives the run that is there.

        Returns the run, and whether it is new. GoneError if a run of this id was deleted.
        """
        run_id = run_id or uuid.uuid4().hex
        async with self._turn(run_id), self._making:
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
            await self._overlay.show(record, self._newest())
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
        if status is not None:  # which may have just changed: what was shown is found
            await self._store.settle()
        newest_of = self._newest()
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

    # --- changing ---------------------------------------------------------------------------------------------------

    async def rename(self, run_id: str, name: str) -> RunRecord:
        """Give a run another name."""
        async with self._turn(run_id):
            record = await self.get(run_id)
            await self._store.save_run(dataclasses.replace(record, name=name))
            record.name = name
            self._show(record)
            return record

    async def pause(self, run_id: str) -> RunRecord:
        """Hold a run; one that waits in the queue waits on until it is resumed. ConflictError if it has ended."""
        async with self._steering(run_id, "paused") as active:
            active.pause()
        return active.record

    async def resume(self, run_id: str) -> RunRecord:
        """Let a run go on; one that is not held does. ConflictError if it has ended."""
        async with self._steering(run_id, "resumed") as active:
            if active.paused:
                active.resume()
        return active.record

    async def step(self, run_id: str, steps: int) -> RunRecord:
        """Let a run take so many steps, then hold it. ConflictError if it has ended."""
        async with self._steering(run_id, "stepped") as active:
            active.step(steps)
        return active.record

    async def change(self, run_id: str, values: dict[str, Any]) -> RunRecord:
        """Ask a run for other parameters; they hold from a coming step on. InvalidError if they may not be changed, or
        not to this; ConflictError if the run has ended."""
        async with self._steering(run_id, "changed") as active:
            if len(active.record.changes) >= MAX_CHANGES:
                raise ConflictError(f"This run was changed {MAX_CHANGES} times; that is as often as is recorded.")
            active.change(check_change(active.record, values))
        return active.record

    async def note_change(self, run_id: str, change: ChangeIn) -> RunRecord:
        """A run says from which step on changed parameters hold."""
        async with self._turn(run_id):
            active = self.active.get(run_id)
            if active is None:
                return await self.get(run_id)
            active.confirm(change.params)
            active.record.why = await why_of(self._store, active.record)
            await self._record_change(active.record, change.step, change.params)
            return active.record

    async def stop(self, run_id: str) -> RunRecord:
        """Ask a run to end; one that has ended stays as it is."""
        async with self._turn(run_id):
            active = self.active.get(run_id)
            if active is None:
                return await self.get(run_id)
            asked, active.stop_asked = active.stop_asked, True
            if not active.launched:
                return await self._end(active, "stopped")
            if not asked and active.record.method != EXTERNAL:
                self._launcher.kill_after_grace(run_id)
            return active.record

    async def delete(self, run_id: str) -> None:
        """Stop a run and forget it."""
        async with self._turn(run_id):
            record = await self.get(run_id)
            if active := self.active.get(run_id):
                active.stop_asked = True  # should it wait in the queue, nothing starts it now
            await self._launcher.kill(run_id)
            await self._store.delete_run(record)
            self.active.pop(run_id, None)
            for view in self._views:
                view.removed(run_id)
            await self._overlay.load(self._newest())  # an older run takes its place
        self._feed.removed(run_id)
        await self._launcher.launch()

    # --- what comes from workers and scripts ------------------------------------------------------------------------

    async def ingest(self, run_id: str, batch: Batch) -> Accepted:
        """Take in a batch: each record once, on disk before the answer. ConflictError if records before it are missing
        or the run has ended, GoneError if it was deleted."""
        async with self._turn(run_id):
            active = self.active.get(run_id)
            if active is None:
                record = await self.get(run_id)
                if record.status != "interrupted":
                    raise ConflictError(f"This run has ended ({record.status}); it takes no more points.")
                if record.method != EXTERNAL:  # its journal is being read: nothing goes on
                    await self._note_start(record, "interrupted")
                    accepted = await self._append(record, batch)
                    await self._save(record)
                    return Accepted(accepted=accepted, control=Control(stop=True))
                active = await self._revive(record)
            active.heard_at = time.monotonic()
            record = active.record
            await self._note_start(record, "paused" if active.paused else "running")
            if record.method == EXTERNAL and (silent := active.tell()):
                await self._record_change(record, 0 if record.step is None else record.step + 1, silent)
            next_seq = await self._append(record, batch)
            return Accepted(accepted=next_seq, control=active.control)

    async def finish(self, run_id: str, ending: Ending) -> RunRecord:
        """A run says how it ended; one that has ended stays as it is, unless it was thought lost."""
        async with self._turn(run_id):
            active = self.active.get(run_id)
            if active is None:
                record = await self.get(run_id)
                told_to_stop = record.method != EXTERNAL and ending.status == "stopped"  # a worker without its board
                if record.status != "interrupted" or told_to_stop:
                    return record
                active = Active(record)
            return await self._end(active, ending.status, ending.error, dict(ending.result))

    async def watch_silence(self) -> None:
        """Interrupt external runs that have been silent for too long; runs for ever."""
        while True:
            await asyncio.sleep(1)
            for active in list(self.active.values()):
                silent = time.monotonic() - active.heard_at
                if active.record.method == EXTERNAL and silent > SILENCE:
                    await self._give_up(active, "interrupted", f"Nothing was heard of it for {SILENCE:.0f} s.")

    async def close(self) -> None:
        """The board shuts down: what is under way is interrupted. Again is no error."""
        async with self._closing:
            if self._closed:
                return
            self._closed = True
            await self._launcher.stop()
            for active in list(self.active.values()):
                await self._give_up(active, "interrupted", LEFT_BEHIND)

    # --- within -----------------------------------------------------------------------------------------------------

    def _turn(self, run_id: str) -> asyncio.Lock:
        """Held by whoever changes a run: what one stores, no other undoes. Nobody who holds one waits for another's."""
        return self._turns.setdefault(run_id, asyncio.Lock())

    async def _unused_group(self) -> str:
        number = await self._store.next_number()  # that of the race's first run, unless somebody has used that name
        while await self._is_used(f"race {number}"):
            number += 1
        return f"race {number}"

    async def _is_used(self, group: str) -> bool:
        return (await self._store.list_runs(group=group, limit=1))[1] > 0

    def _next_colour(self) -> int:
        return self._overlay.next_colour(queue=any(one.record.status == "queued" for one in self.active.values()))

    def _newest(self) -> Callable[[RunRecord], RunRecord]:
        """Called before runs are read from the store: what then gives the record of each as it is now, also if it
        starts or ends meanwhile."""
        known = self.active.copy()

        def newest(stored: RunRecord) -> RunRecord:
            active = self.active.get(stored.id) or known.get(stored.id)
            return active.record if active else stored

        return newest

    async def _note_start(self, record: RunRecord, status: Status) -> None:
        """The first points of a run come in: from now on it is shown. What cannot be stored has not happened."""
        if record.started_at is None:
            started = dataclasses.replace(record, started_at=time.time(), status=status)
            await self._store.save_run(started)
            record.started_at, record.status = started.started_at, status
            self._show(record)
            await self._overlay.show(record, self._newest())

    async def _append(self, record: RunRecord, batch: Batch) -> int:
        if len(record.last.keys() | batch.names) > MAX_METRICS:
            raise InvalidError(f"A run has at most {MAX_METRICS} metrics; send fewer names.", field=("metrics",))
        for part in batch.parts():
            try:
                appended = await self._store.append(record, part)
            except GapError as gap:
                raise ConflictError(
                    f"Records from {gap.wanted} are missing before this batch; send those first.",
                    field=("seq",),
                    wanted=gap.wanted,
                ) from None
            if appended.new is not None:
                if note_points(record, appended.new):
                    await self._store.save_run(record)
                for view in self._views:
                    view.append(record, appended.new)
                self._feed.changed(record.id)
        return appended.next_seq

    @contextlib.asynccontextmanager
    async def _steering(self, run_id: str, doing: str) -> AsyncIterator[Active]:
        """A run of which something else is asked: stored at the end, and what there may be room for now is started.
        ConflictError if it has ended, or soon will have."""
        async with self._turn(run_id):
            active = self.active.get(run_id)
            if active is None:
                how = (await self.get(run_id)).status
                raise ConflictError(f"This run has ended ({how}); it can no longer be {doing}. Start another one.")
            if active.stop_asked:
                raise ConflictError(f"This run was asked to stop; it can no longer be {doing}.")
            yield active
            await self._save(active.record)
        await self._launcher.launch()

    async def _record_change(self, record: RunRecord, step: float, params: dict[str, Any]) -> None:
        known = {name: value for change in record.changes for name, value in change["params"].items()}
        new = {name: value for name, value in params.items() if name not in known or known[name] != value}
        if new and len(record.changes) < MAX_CHANGES:  # and not told again
            record.changes = [*record.changes, {"step": int(step) if float(step).is_integer() else step, "params": new}]
            await self._save(record)

    async def _revive(self, record: RunRecord) -> Active:
        record.status, record.ended_at, record.error = "running", None, None
        active = Active(record, launched=True, heard_at=time.monotonic())
        self.active[record.id] = active
        await self._save(record)
        return active

    async def _end(
        self, active: Active, status: Status, error: str | None = None, result: dict[str, Any] | None = None
    ) -> RunRecord:
        """Give a run, whose turn it is, its terminal status: on disk first, then for all to see."""
        now = time.time()
        record = dataclasses.replace(active.record, status=status, error=error, ended_at=now, result=result or {})
        record.started_at = record.started_at or (now if active.launched else None)
        if status == "diverged":
            record.why = await why_of(self._store, record)
        await self._store.save_run(record)
        active.record = record
        self.active.pop(record.id, None)
        self._show(record)
        self._launcher.launch_soon()
        return record

    async def _give_up(self, active: Active, status: Status, error: str | None = None) -> None:
        """End a run that has not ended by itself."""
        async with self._turn(active.record.id):
            if self.active.get(active.record.id) is active:
                try:
                    await self._end(active, status, error)
                except UnavailableError as failure:  # on a full disk it stays as it is; the next board interrupts it
                    log.warning("the end of run %s could not be stored: %s", active.record.id, failure)

    async def _save(self, record: RunRecord) -> None:
        await self._store.save_run(record)
        self._show(record)

    def _show(self, record: RunRecord) -> None:
        for view in self._views:
            view.refresh(record)
        self._feed.changed(record.id)


def _record(plan: Plan, group: str | None, **colour: Any) -> RunRecord:
    """A new run, as planned."""
    return RunRecord(
        id=uuid.uuid4().hex,
        name=plan.name,
        method=plan.method.name,
        params=plan.params.model_dump(),
        status="queued",
        created_at=time.time(),
        group=group,
        total_steps=plan.total_steps,
        varied=plan.varied,
        why=plan.why,
        **colour,
    )
