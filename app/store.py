"""Runs, their points and their data on disk: the truth, of which every picture is a view."""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import json
import sqlite3
import time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from app.columns import Batch, Floats, Point, from_blob
from app.database import Database
from app.errors import GoneError

type Status = Literal["queued", "running", "paused", "finished", "stopped", "diverged", "failed", "interrupted"]
TERMINAL = frozenset({"finished", "stopped", "diverged", "failed", "interrupted"})
STATUSES: tuple[str, ...] = get_args(Status.__value__)


@dataclass
class RunRecord:
    """What is known of a run, apart from its points. Times are seconds since 1970."""

    id: str
    name: str
    method: str
    params: dict[str, Any]
    status: Status
    created_at: float
    number: int = 0
    colour: int = 0
    group: str | None = None
    total_steps: int | None = None
    data_hash: str | None = None
    step: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last: dict[str, float] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    why: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL


@dataclass(frozen=True)
class Appended:
    """What became of a batch: the next sequence number wanted, and the records that were new."""

    next_seq: int
    new: Batch | None


class GapError(Exception):
    """Records are missing before this batch; ``wanted`` is the number to send next."""

    def __init__(self, wanted: int) -> None:
        super().__init__(f"records from {wanted} are missing")
        self.wanted = wanted


class Store:
    """Everything the board remembers. Writing returns once it is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_run(self, record: RunRecord, data: tuple[Floats, Floats] | None = None) -> None:
        """Store a new run and the x and y it runs on (once, whoever else uses them); the record gets its number."""
        blob = b"" if data is None else np.concatenate(data).astype("<f8").tobytes()

        def work(db: sqlite3.Connection) -> None:
            if data is not None:
                record.data_hash = hashlib.sha256(blob).hexdigest()
                db.execute("INSERT OR IGNORE INTO datasets VALUES (?, ?)", (record.data_hash, blob))
            cursor = db.execute(
                "INSERT INTO runs (id, record, status, run_group) VALUES (?, '', ?, ?)",
                (record.id, record.status, record.group),
            )
            record.number = cursor.lastrowid or 0
            _save(db, record)

        await self._database.write(work)

    async def save_run(self, record: RunRecord) -> None:
        """Store what changed in a run."""
        await self._database.write(lambda db: _save(db, record))

    async def get_run(self, run_id: str) -> RunRecord | None:
        """The run, or None."""

        def work(db: sqlite3.Connection) -> RunRecord | None:
            row = db.execute("SELECT record FROM runs WHERE id = ?", (run_id,)).fetchone()
            return _load(row[0]) if row else None

        return await self._database.read(work)

    async def list_runs(
        self, *, status: str | None = None, group: str | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[RunRecord], int]:
        """Newest first, and how many there are in all."""
        where, values = ["1"], []
        for column, value in (("status", status), ("run_group", group)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        condition = " AND ".join(where)

        def work(db: sqlite3.Connection) -> tuple[list[RunRecord], int]:
            total = db.execute(f"SELECT count(*) FROM runs WHERE {condition}", values).fetchone()[0]  # noqa: S608
            rows = db.execute(
                f"SELECT record FROM runs WHERE {condition} ORDER BY number DESC LIMIT ? OFFSET ?",  # noqa: S608
                (*values, limit, offset),
            )
            return [_load(row[0]) for row in rows], total

        return await self._database.read(work)

    async def latest_started(self, limit: int) -> list[RunRecord]:
        """The newest runs that do not wait in the queue, newest first."""

        def work(db: sqlite3.Connection) -> list[RunRecord]:
            query = "SELECT record FROM runs WHERE status != 'queued' ORDER BY number DESC LIMIT ?"
            return [_load(row[0]) for row in db.execute(query, (limit,))]

        return await self._database.read(work)

    async def unfinished_runs(self) -> list[RunRecord]:
        """Runs that have no terminal status: after a restart, those that the last board left behind."""

        def work(db: sqlite3.Connection) -> list[RunRecord]:
            rows = db.execute("SELECT record FROM runs WHERE status IN ('queued', 'running', 'paused')")
            return [_load(row[0]) for row in rows]

        return await self._database.read(work)

    async def delete_run(self, record: RunRecord) -> None:
        """Forget a run, its points, and its data if no other run has the same."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM points WHERE run = ?", (record.number,))
            db.execute("DELETE FROM runs WHERE number = ?", (record.number,))
            db.execute("INSERT OR IGNORE INTO deleted VALUES (?)", (record.id,))
            db.execute(
                "DELETE FROM datasets WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE data_hash = ?1)",
                (record.data_hash,),
            )

        await self._database.write(work)

    async def was_deleted(self, run_id: str) -> bool:
        """Whether a run of this id was deleted."""
        query = "SELECT 1 FROM deleted WHERE id = ?"
        return await self._database.read(lambda db: db.execute(query, (run_id,)).fetchone() is not None)

    async def append(self, record: RunRecord, batch: Batch) -> Appended:
        """Store the records of a batch that are new, with the run's state after them. GapError if some are missing.

        The sequence number is checked and advanced in the transaction that stores the records, so two posts of one
        batch at the same time store it once.
        """

        def work(db: sqlite3.Connection) -> Appended:
            row = db.execute("SELECT next_seq FROM runs WHERE number = ?", (record.number,)).fetchone()
            if row is None:  # it was deleted while this batch was on its way
                raise GoneError(f"The run {record.id} was deleted.")
            wanted: int = row[0]
            if batch.seq > wanted:
                raise GapError(wanted)
            new = batch.after(wanted)
            if not len(new):
                return Appended(wanted, None)
            db.execute(
                "INSERT INTO points VALUES (?, ?, ?, ?, ?)",
                (record.number, new.seq, json.dumps(new.names), time.time(), new.blob()),
            )
            wanted = new.seq + len(new)
            db.execute("UPDATE runs SET next_seq = ? WHERE number = ?", (wanted, record.number))
            return Appended(wanted, new)

        return await self._database.write(work)

    async def batches(self, record: RunRecord) -> list[Batch]:
        """Every point of a run, in the order of their sequence numbers."""

        def work(db: sqlite3.Connection) -> list[Batch]:
            rows = db.execute("SELECT first, names, rows FROM points WHERE run = ? ORDER BY first", (record.number,))
            return [from_blob(first, json.loads(names), blob) for first, names, blob in rows]

        return await self._database.read(work)

    async def some_batches(self, record: RunRecord, start: int, at_most: int) -> list[Batch]:
        """The stored batches from record ``start`` on, at most so many: for reading a long run in constant memory."""

        def work(db: sqlite3.Connection) -> list[Batch]:
            rows = db.execute(
                "SELECT first, names, rows FROM points WHERE run = ? AND first >= ? ORDER BY first LIMIT ?",
                (record.number, start, at_most),
            )
            return [from_blob(first, json.loads(names), blob) for first, names, blob in rows]

        return await self._database.read(work)

    async def last_batch(self, record: RunRecord) -> Batch | None:
        """The newest stored points of a run, or None if there are none."""

        def work(db: sqlite3.Connection) -> Batch | None:
            query = "SELECT first, names, rows FROM points WHERE run = ? ORDER BY first DESC LIMIT 1"
            row = db.execute(query, (record.number,)).fetchone()
            return from_blob(row[0], json.loads(row[1]), row[2]) if row else None

        return await self._database.read(work)

    async def point_at(self, record: RunRecord, step: float) -> Point | None:
        """The run's newest record that is no later than this step; None if there is none.

        Steps must ascend. Built-in methods number them as their records, so that one batch is read; for the steps of
        a script a few more are, the first one of each half, quarter and so on.
        """

        def read(db: sqlite3.Connection, first: int) -> Batch:
            query = "SELECT names, rows FROM points WHERE run = ? AND first = ?"
            names, blob = db.execute(query, (record.number, first)).fetchone()
            return from_blob(first, json.loads(names), blob)

        def work(db: sqlite3.Connection) -> Point | None:
            query = "SELECT max(first) FROM points WHERE run = ? AND first <= ?"
            (likely,) = db.execute(query, (record.number, max(0.0, step))).fetchone()
            if likely is None:
                return None
            batch = read(db, likely)
            place = int(step) - likely
            if 0 <= place < len(batch) and batch.rows[place, 0] == step:
                return batch.point(place)
            rows = db.execute("SELECT first FROM points WHERE run = ? ORDER BY first", (record.number,))
            firsts = [row[0] for row in rows]
            at = bisect.bisect_right(firsts, step, key=lambda first: read(db, first).rows[0, 0]) - 1
            if at < 0:
                return None
            batch = read(db, firsts[at])
            return batch.point(int(np.searchsorted(batch.rows[:, 0], step, "right")) - 1)

        return await self._database.read(work)

    async def metric_names(self, record: RunRecord) -> list[str]:
        """Every metric that the run has logged, in the order of first appearance."""

        def work(db: sqlite3.Connection) -> list[str]:
            rows = db.execute(
                "SELECT names FROM points WHERE run = ? GROUP BY names ORDER BY min(first)", (record.number,)
            )
            return list(dict.fromkeys(name for row in rows for name in json.loads(row[0])))

        return await self._database.read(work)

    async def get_data(self, data_hash: str) -> tuple[Floats, Floats]:
        """The x and y stored under this hash."""

        def work(db: sqlite3.Connection) -> tuple[Floats, Floats]:
            row = db.execute("SELECT xy FROM datasets WHERE hash = ?", (data_hash,)).fetchone()
            if row is None:
                raise GoneError("This data was deleted with the last run that had it.")
            x, y = np.frombuffer(row[0], "<f8").reshape(2, -1)
            return x, y

        return await self._database.read(work)

    async def get_setting(self, key: str) -> Any:
        """A value of the board's own (which axes, say), or None."""

        def work(db: sqlite3.Connection) -> Any:
            row = db.execute("SELECT value FROM board WHERE key = ?", (key,)).fetchone()
            return json.loads(row[0]) if row else None

        return await self._database.read(work)

    async def put_setting(self, key: str, value: Any) -> None:
        """Remember a value of the board's own."""
        query = "INSERT OR REPLACE INTO board VALUES (?, ?)"
        await self._database.write(lambda db: db.execute(query, (key, json.dumps(value))))

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._database.close()


def _save(db: sqlite3.Connection, record: RunRecord) -> None:
    db.execute(
        "UPDATE runs SET record = ?, status = ?, run_group = ?, data_hash = ? WHERE number = ?",
        (json.dumps(dataclasses.asdict(record)), record.status, record.group, record.data_hash, record.number),
    )


def _load(text: str) -> RunRecord:
    return RunRecord(**json.loads(text))
