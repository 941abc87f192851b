"""Runs, their points and their data on disk: the truth, of which every chart is a view."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import math
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import DamagedError, GoneError, UnavailableError
from app.events import Subscribers
from app.storage import chunks, deleted
from app.storage.batch import Batch, Floats, Point
from app.storage.chunks import RangeOfRecords, Times
from app.storage.database import Database, Work, is_full
from app.storage.datasets import decode_data, encode_data, hash_of
from app.storage.deleted import KEPT, UPDATE, row_of
from app.storage.faults import CorruptError, damage_found
from app.storage.media_store import MediaStore
from app.storage.rebuild import REBUILD
from app.storage.records import (
    COLUMNS,
    MAX_RANGES,
    PointsAdded,
    RunDeleted,
    RunEvent,
    RunRecord,
    RunSaved,
    with_range,
    without_range,
)

log = logging.getLogger("lossboard.store")

ADVICE = "`lossboard check` tells more, and what can be done."


@dataclass(frozen=True)
class Appended:
    """What became of a batch: the next sequence number wanted, the records that were new, and those among them that
    had been missing."""

    next_seq: int
    new: Batch | None
    filled: Sequence[Batch] = ()


class GapError(Exception):
    """Records are missing before this batch; ``wanted`` is the number to send next."""

    def __init__(self, wanted: int) -> None:
        super().__init__(f"records from {wanted} are missing")
        self.wanted = wanted


class Store:
    """Everything the board remembers. Writing returns once it is on disk; then subscribers are told what changed.

    Of a run that is damaged, reading raises DamagedError; its record says so from then on.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._damage: dict[str, str] = {}  # found since the start, by run id
        self._subscribers = Subscribers[RunEvent]()
        self.subscribe = self._subscribers.subscribe
        self.media = MediaStore(database, self._subscribers.notify)

    async def add_run(self, record: RunRecord, data: tuple[Floats, Floats] | None = None) -> None:
        """Store a new run and the x and y it runs on (once, whoever else uses them); the record gets its number."""
        await self.add_runs([record], data)

    async def add_runs(self, records: Sequence[RunRecord], data: tuple[Floats, Floats] | None = None) -> None:
        """Store new runs on the same data, all of them or none; each gets its number."""
        blob = b"" if data is None else encode_data(data)

        def work(db: sqlite3.Connection) -> None:
            data_hash = None if data is None else hash_of(blob)
            if data_hash:
                db.execute("INSERT OR IGNORE INTO datasets VALUES (?, ?)", (data_hash, blob))
            for record in records:
                cursor = db.execute(
                    "INSERT INTO runs (id, record, status, run_group) VALUES (?, '', ?, ?)",
                    (record.id, record.status, record.group),
                )
                record.number, record.data_hash = cursor.lastrowid or 0, data_hash
                db.execute(UPDATE, row_of(record))

        await self._database.write(work)
        for record in records:
            self._subscribers.notify(RunSaved(record))

    async def save_run(self, record: RunRecord) -> None:
        """Store what changed in a run, as it is now; nothing, if it was deleted meanwhile."""
        record.damage = record.damage or self._damage.get(record.id)
        row = row_of(record)  # before anyone changes it again
        if await self._database.write(lambda db: db.execute(UPDATE, row).rowcount):
            self._subscribers.notify(RunSaved(record))

    async def settle(self) -> None:
        """Return once everything that was to be written until now can be read."""
        await self._database.write(lambda _: None)

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""

        def work(db: sqlite3.Connection) -> RunRecord | None:
            row = db.execute(f"SELECT {COLUMNS} FROM runs WHERE id = ? AND {KEPT}", (run_id,)).fetchone()  # noqa: S608
            return RunRecord.from_row(row) if row else None

        return await self._database.read(work)

    async def list_runs(
        self, *, status: str | None = None, group: str | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[RunRecord], int]:
        """Newest first, and how many there are in all."""
        where, values = [KEPT], []
        for column, value in (("status", status), ("run_group", group)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        condition = " AND ".join(where)

        def work(db: sqlite3.Connection) -> tuple[list[RunRecord], int]:
            total = db.execute(f"SELECT count(*) FROM runs WHERE {condition}", values).fetchone()[0]  # noqa: S608
            rows = db.execute(
                f"SELECT {COLUMNS} FROM runs WHERE {condition} ORDER BY number DESC LIMIT ? OFFSET ?",  # noqa: S608
                (*values, limit, offset),
            )
            return [RunRecord.from_row(row) for row in rows], total

        return await self._database.read(work)

    async def runs_after(self, number: int, limit: int) -> list[RunRecord]:
        """The oldest runs that have a larger number."""

        def work(db: sqlite3.Connection) -> list[RunRecord]:
            query = f"SELECT {COLUMNS} FROM runs WHERE number > ? AND {KEPT} ORDER BY number LIMIT ?"  # noqa: S608
            return [RunRecord.from_row(row) for row in db.execute(query, (number, limit))]

        return await self._database.read(work)

    async def next_number(self) -> int:
        """The number that the next new run will have."""

        def work(db: sqlite3.Connection) -> int:
            row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'runs'").fetchone()
            return 1 + (row[0] if row else 0)

        return await self._database.read(work)

    async def latest_started(self, limit: int) -> list[RunRecord]:
        """The newest runs that do not wait in the queue, newest first."""

        def work(db: sqlite3.Connection) -> list[RunRecord]:
            query = f"SELECT {COLUMNS} FROM runs WHERE status != 'queued' AND {KEPT} ORDER BY number DESC LIMIT ?"  # noqa: S608
            return [RunRecord.from_row(row) for row in db.execute(query, (limit,))]

        return await self._database.read(work)

    async def first_run_on(self, data: tuple[Floats, Floats]) -> RunRecord | None:
        """The oldest run on this data, or None."""
        blob = encode_data(data)

        def work(db: sqlite3.Connection) -> RunRecord | None:
            query = f"SELECT {COLUMNS} FROM runs WHERE data_hash = ? AND {KEPT} ORDER BY number LIMIT 1"  # noqa: S608
            row = db.execute(query, (hash_of(blob),)).fetchone()
            return RunRecord.from_row(row) if row else None

        return await self._database.read(work)

    async def unfinished_runs(self) -> list[RunRecord]:
        """Runs that have no terminal status: after a restart, those that the last board left behind."""

        def work(db: sqlite3.Connection) -> list[RunRecord]:
            query = f"SELECT {COLUMNS} FROM runs WHERE status IN ('queued', 'running', 'paused')"  # noqa: S608
            rows = db.execute(query)
            return [RunRecord.from_row(row) for row in rows]

        return await self._database.read(work)

    async def mark_deleted(self, record: RunRecord) -> None:
        """Delete a run for everyone, and keep what is stored of it until it is restored or forgotten. ``record`` says
        when. UnavailableError, and nothing has happened, where that cannot be stored."""
        with _in_words_of_deleting():
            await self._database.write(lambda db: deleted.mark(db, record))
        self._subscribers.notify(RunDeleted(record))

    async def marked_deleted(self) -> list[RunRecord]:
        """The runs that are deleted and not forgotten yet."""
        return await self._database.read(deleted.marked)

    async def restore_run(self, marked: RunRecord) -> RunRecord:
        """Have back a run that is marked as deleted. GoneError if it is forgotten."""
        record = dataclasses.replace(marked, deleted_at=None)
        if not await self._database.write(lambda db: deleted.restore(db, record)):
            raise GoneError(f"The run {record.id} was deleted.")
        self._subscribers.notify(RunSaved(record, restored=True))
        return record

    async def delete_run(self, record: RunRecord) -> None:
        """Forget a run, its points, and its data if no other run has the same; UnavailableError, and nothing of it is
        forgotten, where that cannot be stored. What of them is damaged stays, without a run: to delete it could free
        what belongs to others."""
        sound = await self._sound_tables(record)
        with _in_words_of_deleting():
            await self._write_around_damage(
                lambda db: deleted.forget(db, record, sound), lambda db: deleted.forget(db, record, ())
            )
        self._damage.pop(record.id, None)
        if record.deleted_at is None:  # else it was told when it was marked
            self._subscribers.notify(RunDeleted(record))

    async def was_deleted(self, run_id: str) -> bool:
        """Whether a run of this id was deleted."""
        query = "SELECT 1 FROM deleted WHERE id = ?"
        return await self._database.read(lambda db: db.execute(query, (run_id,)).fetchone() is not None)

    async def append(
        self, record: RunRecord, batch: Batch, *, after_gap: bool = False, unchecked: bool = False, **changed: Any
    ) -> Appended:
        """Store the records of a batch that are new, and fields of the run's record that have other values with them.
        GapError if some records before the batch are missing; then nothing is stored.

        after_gap: those that are missing never come; the run notes which, and no error is raised
        unchecked: the run notes that no checksum has vouched for these records

        Records that had been missing take their place. The sequence number is checked and advanced in the transaction
        that stores the records, so two posts of one batch at the same time store it once.
        """
        record.damage = record.damage or self._damage.get(record.id)
        before = dataclasses.replace(record)  # before anyone changes it again

        def work(db: sqlite3.Connection, *, merge: bool = True) -> Appended:
            row = db.execute(f"SELECT next_seq FROM runs WHERE number = ? AND {KEPT}", (record.number,)).fetchone()  # noqa: S608
            if row is None:  # it was deleted while this batch was on its way
                raise GoneError(f"The run {record.id} was deleted.")
            wanted: int = row[0]
            if batch.seq > wanted and not (after_gap and len(before.missing) < MAX_RANGES):
                raise GapError(wanted)
            new = batch.after(wanted)
            filled = [found for first, last in before.missing if len(found := batch.between(first, last))]
            changed.update(_ranges(before, wanted, new, filled, unchecked=unchecked))
            if changed:
                db.execute(UPDATE, row_of(dataclasses.replace(before, **changed)))
            return _store_records(db, record.number, wanted, new, filled, merge=merge)

        async with self._noticing(record, "points"):
            appended = await self._write_around_damage(work, lambda db: work(db, merge=False))
        if changed:
            for name, value in changed.items():
                setattr(record, name, value)
            self._subscribers.notify(RunSaved(record))
        for found in appended.filled:
            self._subscribers.notify(PointsAdded(record, found, fills_gap=True))
        if appended.new is not None:
            self._subscribers.notify(PointsAdded(record, appended.new))
        return appended

    async def read_range(
        self, record: RunRecord, low: float = -math.inf, high: float = math.inf, enough: int = sys.maxsize
    ) -> RangeOfRecords:
        """The records of a run with steps from ``low`` to ``high``, all of them or, where there are many more than
        ``enough``, at least those with the extremes."""
        return await self._read_points(record, lambda db: chunks.read(db, record.number, low, high, enough))

    async def some_batches(
        self, record: RunRecord, start: int, at_most: int, low: float = -math.inf, high: float = math.inf
    ) -> list[Batch]:
        """The chunks from record ``start`` on that hold steps from ``low`` to ``high``, at most so many: for reading a
        long run in constant memory."""
        return await self._read_points(
            record, lambda db: list(itertools.islice(chunks.batches(db, record.number, start, low, high), at_most))
        )

    async def count(self, record: RunRecord) -> int:
        """How many records a run has."""
        query = "SELECT next_seq FROM runs WHERE number = ?"
        return await self._read_points(
            record, lambda db: int((db.execute(query, (record.number,)).fetchone() or (0,))[0])
        )

    async def last_batch(self, record: RunRecord) -> Batch | None:
        """The newest stored points of a run, or None if there are none."""
        return await self._read_points(record, lambda db: chunks.last(db, record.number))

    async def largest_step(self, record: RunRecord) -> float:
        """The largest step that a run has logged; -inf if it has logged none."""
        return await self._read_points(record, lambda db: chunks.largest_step(db, record.number))

    async def point_at(self, record: RunRecord, step: float) -> Point | None:
        """The newest record that is no later than this step; None if there is none. Steps must ascend."""
        return await self._read_points(record, lambda db: chunks.point_at(db, record.number, step))

    async def metric_names(self, record: RunRecord) -> list[str]:
        """Every metric that the run has logged, in the order of first appearance."""
        return await self._read_points(record, lambda db: chunks.metric_names(db, record.number))

    async def times(self, record: RunRecord) -> Times:
        """Some steps and when they came in, in the order in which they did."""
        return await self._read_points(record, lambda db: chunks.times(db, record.number))

    async def check_points(self, record: RunRecord, *, whole: bool = True) -> None:
        """Read the points of a run and its data for nothing but to see whether they can be read; not ``whole``: what
        the heads of the chunks tell, which takes no time. DamagedError."""

        def work(db: sqlite3.Connection) -> None:
            row = db.execute("SELECT next_seq FROM runs WHERE number = ?", (record.number,)).fetchone()
            if row is None:  # it was deleted meanwhile
                return
            lacking = chunks.gaps(chunks.ranges(db, record.number), row[0], record.missing)
            if lacking:
                raise CorruptError(f"records {lacking[0][0]} to {lacking[0][1] - 1} are not there")
            for _ in chunks.batches(db, record.number, 0) if whole else ():
                pass

        await self._read_points(record, work)

    async def look_for_damage(self) -> None:
        """Look at every run, briefly, and mark those that are damaged."""
        offset = 0
        try:
            while runs := (await self.list_runs(limit=100, offset=offset))[0]:
                for record in runs:
                    if record.damage is not None:
                        log.warning("run %s (%s) is damaged: %s", record.name, record.id, record.damage)
                    with contextlib.suppress(DamagedError):
                        await self.check_points(record, whole=False)
                offset += len(runs)
        except UnavailableError as error:
            log.warning("not all runs could be looked at for damage: %s", error)

    async def get_data(self, record: RunRecord) -> tuple[Floats, Floats]:
        """The x and y that a run runs on."""

        def work(db: sqlite3.Connection) -> tuple[Floats, Floats] | None:
            row = db.execute("SELECT xy FROM datasets WHERE hash = ?", (record.data_hash,)).fetchone()
            if row is None and not db.execute("SELECT 1 FROM runs WHERE number = ?", (record.number,)).fetchone():
                return None
            return decode_data(record.data_hash, row[0] if row else b"")

        async with self._noticing(record, "data"):
            data = await self._database.read(_noticing_damage(work))
        if data is None:
            raise GoneError("This data was deleted with the last run that had it.")
        return data

    async def get_setting(self, key: str) -> Any:
        """A value of the board's own (which axes, say), or None; None, too, if it is damaged."""

        def work(db: sqlite3.Connection) -> Any:
            row = db.execute("SELECT value FROM board WHERE key = ?", (key,)).fetchone()
            return json.loads(row[0]) if row else None

        try:
            return await self._database.read(_noticing_damage(work))
        except CorruptError as error:
            log.warning("the setting %r cannot be read (%s); it has its default again", key, error)
            return None

    async def put_setting(self, key: str, value: Any) -> None:
        """Remember a value of the board's own."""
        query = "INSERT OR REPLACE INTO board VALUES (?, ?)"
        await self._database.write(lambda db: db.execute(query, (key, json.dumps(value))))

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._database.close()

    async def _sound_tables(self, record: RunRecord) -> set[str]:
        """The tables in which what belongs to a run can be read."""
        sound = set()
        with contextlib.suppress(DamagedError):
            await self.check_points(record)
            sound.add("points")
        with contextlib.suppress(DamagedError):
            await self.media.check(record)
            sound.add("media")
        with contextlib.suppress(DamagedError):
            if record.data_hash:
                await self.get_data(record)
            sound.add("datasets")
        return sound

    async def _write_around_damage[T](self, work: Work[T], less: Work[T]) -> T:
        """Do ``work``; or ``less``, should that meet damage, maybe a neighbour's. If that cannot be done either, the
        database is to be rebuilt when the board starts again."""
        try:
            return await self._database.write(_noticing_damage(work))
        except (DamagedError, CorruptError) as error:
            log.warning("what is to be stored meets damage: %s", error)
        try:
            return await self._database.write(_noticing_damage(less))
        except (DamagedError, CorruptError) as error:
            with contextlib.suppress(DamagedError):
                await self.put_setting(REBUILD, str(error))
            raise

    async def _read_points[T](self, record: RunRecord, work: Work[T]) -> T:
        async with self._noticing(record, "points"):
            return await self._database.read(_noticing_damage(work))

    @contextlib.asynccontextmanager
    async def _noticing(self, record: RunRecord, what: str) -> AsyncIterator[None]:
        """Damage that is found in this block is that of a run: from then on its record says so."""
        try:
            yield
        except CorruptError as error:
            damage = f"Its {what} cannot be read ({error}); {ADVICE}"
            if record.damage is None and record.id not in self._damage:
                log.warning("run %s (%s) is damaged: %s", record.name, record.id, damage)
                record.damage = self._damage[record.id] = damage
                await self._mark(record, damage)
            raise DamagedError(f"The run {record.name} ({record.id}) is damaged. {damage}") from error

    async def _mark(self, record: RunRecord, damage: str) -> None:
        """Store that a run is damaged, and tell it."""

        def work(db: sqlite3.Connection) -> None:
            row = db.execute(f"SELECT {COLUMNS} FROM runs WHERE number = ?", (record.number,)).fetchone()  # noqa: S608
            stored = RunRecord.from_row(row) if row else None
            if stored and stored.damage is None:
                stored.damage = damage
                db.execute(UPDATE, row_of(stored))

        try:
            await self._database.write(_noticing_damage(work))
        except (UnavailableError, CorruptError) as error:
            log.info("the damage of run %s cannot be noted: %s", record.id, error)
        self._subscribers.notify(RunSaved(record))


@contextlib.contextmanager
def _in_words_of_deleting() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        if is_full(error.__cause__):
            words = "The disk is full, and to delete takes a little room, too. Nothing was deleted; make room,"
            raise UnavailableError(f"{words} then delete again.") from error
        raise


def _noticing_damage[T](work: Work[T]) -> Work[T]:
    def noticing(db: sqlite3.Connection) -> T:
        with damage_found():
            return work(db)

    return noticing


def _store_records(
    db: sqlite3.Connection, run: int, wanted: int, new: Batch, filled: Sequence[Batch], *, merge: bool
) -> Appended:
    for found in filled:
        chunks.insert(db, run, found)
    if not len(new):
        return Appended(wanted, None, filled)
    now = time.time()
    chunks.append(db, run, new, now if new.at is None else min(new.at, now), merge=merge)
    wanted = new.seq + len(new)
    db.execute("UPDATE runs SET next_seq = ? WHERE number = ?", (wanted, run))
    return Appended(wanted, new, filled)


def _ranges(record: RunRecord, wanted: int, new: Batch, filled: Sequence[Batch], *, unchecked: bool) -> dict[str, Any]:
    """What a run's record notes of new records, where record ``wanted`` was the next one to come, and of those that had
    been missing."""
    noted: dict[str, Any] = {}
    for found in filled:
        noted["missing"] = without_range(noted.get("missing", record.missing), found.seq, found.seq + len(found))
    if len(new) and new.seq > wanted:
        noted["missing"] = with_range(record.missing, wanted, new.seq)
    if len(new) and unchecked:
        noted["unchecked"] = with_range(record.unchecked, new.seq, new.seq + len(new))
    return noted
