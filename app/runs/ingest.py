"""What comes from workers and scripts: points, changed parameters, and how a run ended."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from app.errors import ConflictError, InvalidError, UnavailableError
from app.runs.active import EXTERNAL, Active, ActiveRuns
from app.runs.best import note_extremes
from app.runs.control import MAX_CHANGES
from app.runs.diagnosis import why_of
from app.runs.names import with_changes
from app.runs.progress import note_points, note_step
from app.runs.sessions import Sessions
from app.runs.validation import live_of_script
from app.schemas.limits import MAX_METRICS
from app.schemas.requests import ChangeIn, Ending, Told
from app.schemas.responses import Accepted, Bounds, Control, Status
from app.storage.batch import Batch
from app.storage.records import RunRecord
from app.storage.store import GapError, Store

SILENCE_S = 30.0  # after which an external run that posts nothing is interrupted
SHOWN_PROGRESS = 200  # parts of a run: it is stored and shown in how many of them are done
LOOK_S = 1.0  # between two looks for such runs


class Ingest:
    """Takes in what runs report: each record once, on disk before the response."""

    def __init__(
        self,
        store: Store,
        active: ActiveRuns,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``sleep`` waits so many seconds, as ``clock`` counts them."""
        self._store = store
        self._active = active
        self._sleep = sleep
        self._clock = clock

    async def add_points(
        self,
        run_id: str,
        *batches: Batch,
        changes: Sequence[ChangeIn] = (),
        told: Told | None = None,
        session: str = "",
        after_gap: bool = False,
        unchecked: bool = False,
    ) -> Accepted:
        """Take in batches that follow each other, and with them the parameters that were changed on the way, and what
        else is said of the run.

        session: that of which the numbers of these records are, and the one that is answered
        after_gap, unchecked: as in Store.append
        ConflictError if records before them are missing or the run has ended, GoneError if it was deleted.
        """
        self._hear(run_id)
        async with self._active.lock(run_id):
            active = self._active.get(run_id)
            if active is None:
                record = await self._active.find(run_id)
                if record.status != "interrupted":
                    stored = await self._store.count(record)
                    raise ConflictError(
                        f"This run has ended ({record.status}); it takes no more points than its {stored}.",
                        accepted=Sessions(record.sessions, stored, session).known,
                        missing=record.missing,
                    )
                if record.method != EXTERNAL:  # its journal is being read: nothing goes on
                    await self._note_start(record, "interrupted")
                    accepted = await self._append(
                        record, batches, changes, told, session, after_gap=after_gap, unchecked=unchecked
                    )
                    await self._store.save_run(record)
                    return Accepted(accepted=accepted, control=Control(stop=True), missing=record.missing)
                active = await self._revive(record)
            self._hear(run_id)  # it may have waited for long
            record = active.record
            await self._note_start(record, "paused" if active.paused else "running")
            accepted = await self._append(
                record, batches, changes, told, session, after_gap=after_gap, unchecked=unchecked
            )
            return Accepted(
                accepted=accepted, control=active.control, missing=[] if record.sessions else record.missing
            )

    async def finish(self, run_id: str, ending: Ending) -> RunRecord:
        """A run says how it ended; one that has ended stays as it is, unless it was thought lost."""
        async with self._active.lock(run_id):
            active = self._active.get(run_id)
            if active is None:
                record = await self._active.find(run_id)
                told_to_stop = record.method != EXTERNAL and ending.status == "stopped"  # a worker without its board
                if record.status != "interrupted" or told_to_stop:
                    return record
                active = Active(record)
            told: dict[str, Any] = {} if ending.summary is None else {"summary": dict(ending.summary)}
            if ending.ended_at is not None:
                told["ended_at"] = min(ending.ended_at, time.time())
            return await self._active.end(active, ending.status, ending.error, dict(ending.result), **told)

    async def watch_silence(self) -> None:
        """Interrupt external runs that have been silent for too long; runs for ever."""
        while True:
            began = self._clock()
            await self._sleep(LOOK_S)
            now = self._clock()
            away_s = now - began - LOOK_S
            if away_s > LOOK_S:  # this process was stopped, or got no processor: it heard nothing, whoever spoke
                for active in self._active:
                    active.heard_at = min(now, active.heard_at + away_s)
            await self.interrupt_silent(now)

    async def interrupt_silent(self, now: float) -> None:
        """Interrupt external runs of which nothing was heard for ``SILENCE_S`` before ``now`` (time.monotonic()). What
        cannot be stored is tried at the next look."""

        async def interrupt(active: Active) -> None:
            async with self._active.lock(active.record.id):
                if active in self._active and is_silent(active):  # still, with the lock
                    await self._active.end(active, "interrupted", f"Nothing was heard of it for {SILENCE_S:.0f} s.")

        def is_silent(active: Active) -> bool:
            return active.record.method == EXTERNAL and now - active.heard_at > SILENCE_S

        outcomes = await asyncio.gather(*map(interrupt, filter(is_silent, self._active)), return_exceptions=True)
        for error in outcomes:
            if error is not None and not isinstance(error, UnavailableError):
                raise error

    def _hear(self, run_id: str) -> None:
        if active := self._active.get(run_id):
            active.heard_at = self._clock()

    async def _note_start(self, record: RunRecord, status: Status) -> None:
        """The first points of a run come in. What cannot be stored has not happened."""
        if record.started_at is None:
            started = dataclasses.replace(record, started_at=time.time(), status=status)
            await self._store.save_run(started)
            record.started_at, record.status = started.started_at, status

    async def _append(
        self,
        record: RunRecord,
        batches: Sequence[Batch],
        changes: Sequence[ChangeIn],
        told: Told | None,
        session: str,
        *,
        after_gap: bool,
        unchecked: bool,
    ) -> int:
        if len(record.last.keys() | {name for batch in batches for name in batch.names}) > MAX_METRICS:
            raise InvalidError(f"A run has at most {MAX_METRICS} metrics; send fewer names.", field=("metrics",))
        changed = await self._changed(record, changes) | (_told(record, told) if told else {})
        sessions: Sessions | None = None
        if session or record.sessions:
            sessions = Sessions(record.sessions, await self._store.count(record), session)
            batches = sessions.place(batches)
            if sessions.all != record.sessions:
                changed["sessions"] = sessions.all
        parts = (part for batch in batches for part in batch.parts())
        for part in parts:  # the first one brings the changes: they are on disk no later than any of its points
            try:
                appended = await self._store.append(record, part, after_gap=after_gap, unchecked=unchecked, **changed)
            except GapError as gap:
                wanted = gap.wanted if sessions is None else sessions.in_session(gap.wanted)
                raise ConflictError(
                    f"Records from {wanted} are missing before this batch; send those first.",
                    field=("seq",),
                    wanted=wanted,
                ) from None
            changed = {}
            for filled in appended.filled:
                note_step(record, float(filled.rows[:, 0].max()))
                note_extremes(record, filled.names, filled.rows)
            if appended.new is not None and note_points(record, appended.new):
                await self._store.save_run(record)
        return appended.next_seq if sessions is None else sessions.in_session(appended.next_seq)

    async def _changed(self, record: RunRecord, changes: Sequence[ChangeIn]) -> dict[str, Any]:
        """The fields of the run's record that have other values with changed parameters."""
        changed: dict[str, Any] = {}
        if new := _unknown(changes, record.changes):
            changed |= {"changes": [*record.changes, *new], "why": await why_of(self._store, record)}
            if record.default_name is not None:
                changed["name"] = with_changes(record.default_name, changed["changes"])
        return changed

    async def _revive(self, record: RunRecord) -> Active:
        """With all that was asked of it: the hold too, so that it goes on with the steps that it has left."""
        record.status, record.ended_at, record.error = "paused" if record.asked.get("hold") else "running", None, None
        await self._store.save_run(record)
        active = Active(record, launched=True, heard_at=self._clock())
        self._active.add(active)
        return active


def _told(record: RunRecord, told: Told) -> dict[str, Any]:
    """The fields of a run's record that have other values with what its script says of it; how far it is only now and
    then, as that is stored each time."""
    changed: dict[str, Any] = {}
    if told.summary is not None and dict(told.summary) != record.summary:
        changed["summary"] = dict(told.summary)
    if record.method != EXTERNAL:  # the rest is known of our own methods
        return changed
    if told.progress is not None:
        done, total = told.progress
        shown = None if record.done_steps is None else record.done_steps * SHOWN_PROGRESS // max(1, total)
        if total != record.total_steps or done * SHOWN_PROGRESS // max(1, total) != shown:
            changed |= {"done_steps": done, "total_steps": total}
    if new := {name: value for name, value in told.params.items() if name not in record.params}:
        changed["params"] = record.params | new
    live = _live(record, told.live)
    return changed if live == record.live else changed | {"live": live}


def _live(record: RunRecord, told: dict[str, Bounds]) -> dict[str, Bounds] | None:
    """What may be changed in a script's run where it says so of further parameters."""
    if record.live is not None:
        return told | record.live
    if not any(None not in bounds for bounds in told.values()):
        return None  # all numbers may be changed already
    return dict.fromkeys(live_of_script(record), (None, None)) | told  # for a slider: then the others are named as well


def _unknown(told: Iterable[ChangeIn], known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the changes that a post tells of which the run does not have, as its record has them."""
    new: list[dict[str, Any]] = []
    for one in told:
        step = int(one.step) if one.step.is_integer() else one.step
        change = {"step": step, "params": one.params}
        there = len(known) + len(new)
        is_known = change in [*known, *new] if one.number is None else one.number < there
        if not is_known and there < MAX_CHANGES:
            new.append(change)
    return new
