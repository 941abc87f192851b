"""Media of runs on disk: each once, and of one name at most ``MAX_KEPT``.

Of a name with more, every second one of the older half is given up: what is new is kept whole, what is old in parts.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import zlib
from collections.abc import Callable, Iterator

from app.errors import ConflictError, DamagedError, GoneError, NotFoundError
from app.schemas.responses import MediaKind
from app.storage.database import Database
from app.storage.faults import CorruptError, damage_found
from app.storage.media import MAX_KEPT, MAX_NAMES, MediaOfName, Medium, Sent, check
from app.storage.records import MediaAdded, RunEvent, RunRecord

_COLUMNS = "number, name, kind, step, ordinal, logged_at, size"


class MediaStore:
    """What runs have logged besides numbers. Storing returns once it is on disk; then subscribers are told."""

    def __init__(self, database: Database, notify: Callable[[RunEvent], None]) -> None:
        self._database = database
        self._notify = notify

    async def add(self, record: RunRecord, sent: Sent) -> int:
        """Store one, unless it is there; the place of the next one wanted of its session. ConflictError if others
        before it are missing, or the run has too many names; GoneError."""

        def work(db: sqlite3.Connection) -> bool:
            if db.execute("SELECT 1 FROM runs WHERE number = ?", (record.number,)).fetchone() is None:
                raise GoneError(f"The run {record.id} was deleted.")
            wanted = _next_place(db, record.number, sent.session)
            if sent.place > wanted:
                raise ConflictError(f"Number {wanted} is missing before this; send that first.", wanted=wanted)
            if sent.place == wanted:
                _insert(db, record.number, sent)
            return sent.place == wanted

        if await self._database.write(work):
            self._notify(MediaAdded(record))
        return sent.place + 1

    async def names(self, record: RunRecord) -> list[MediaOfName]:
        """The names of a run, in the order of first appearance."""
        return await self._database.read(lambda db: _names(db, record.number))

    async def of_name(self, record: RunRecord, name: str, limit: int, offset: int = 0) -> list[Medium]:
        """Those of a name that are kept, newest first."""
        query = f"SELECT {_COLUMNS} FROM media WHERE run = ? AND name = ? ORDER BY number DESC LIMIT ? OFFSET ?"  # noqa: S608
        values = (record.number, name, limit, offset)
        return await self._database.read(lambda db: [Medium(*row) for row in db.execute(query, values)])

    async def at(self, record: RunRecord, step: float = math.inf) -> list[Medium]:
        """Of each name the newest that is kept and was logged no later than a step, in the order of first
        appearance."""
        query = (
            f"SELECT {_COLUMNS} FROM media WHERE run = ? AND name = ? AND step <= ?"  # noqa: S608
            " ORDER BY step DESC, number DESC LIMIT 1"
        )

        def work(db: sqlite3.Connection) -> list[Medium]:
            found = [db.execute(query, (record.number, one.name, step)).fetchone() for one in _names(db, record.number)]
            return [Medium(*row) for row in found if row]

        return await self._database.read(work)

    async def check(self, record: RunRecord) -> None:
        """Read all that a run has for nothing but to see whether it can be read. DamagedError."""

        def work(db: sqlite3.Connection) -> None:
            with damage_found():
                for row in db.execute("SELECT * FROM media WHERE run = ?", (record.number,)):
                    check(row)

        with _in_words(record):
            await self._database.read(work)

    async def content(self, record: RunRecord, number: int) -> tuple[MediaKind, bytes]:
        """The kind and the content of one. NotFoundError, DamagedError."""
        query = "SELECT * FROM media WHERE run = ? AND number = ?"
        row = await self._database.read(lambda db: db.execute(query, (record.number, number)).fetchone())
        if row is None:
            raise NotFoundError(f"The run {record.id} has no number {number} among its media; it may be thinned out.")
        with _in_words(record):
            check(row)
        return row[5], row[-2]


@contextlib.contextmanager
def _in_words(record: RunRecord) -> Iterator[None]:
    try:
        yield
    except CorruptError as error:
        raise DamagedError(f"The run {record.name} ({record.id}) is damaged: {error}.") from error


def _next_place(db: sqlite3.Connection, run: int, session: str) -> int:
    query = "SELECT coalesce(max(place) + 1, 0) FROM media WHERE run = ? AND session = ?"
    (place,) = db.execute(query, (run, session)).fetchone()
    return int(place)


def _names(db: sqlite3.Connection, run: int) -> list[MediaOfName]:
    query = "SELECT name, kind, max(ordinal) + 1, count(*) FROM media WHERE run = ? GROUP BY name ORDER BY min(number)"
    return [MediaOfName(*row) for row in db.execute(query, (run,))]


def _insert(db: sqlite3.Connection, run: int, sent: Sent) -> None:
    query = "SELECT coalesce(max(ordinal) + 1, 0), count(*) FROM media WHERE run = ? AND name = ?"
    ordinal, kept = db.execute(query, (run, sent.name)).fetchone()
    if not kept and len(_names(db, run)) >= MAX_NAMES:
        raise ConflictError(f"A run has at most {MAX_NAMES} names of media; send one of those.", field=("name",))
    head = (run, sent.session, sent.place, sent.name, sent.kind, sent.step, ordinal, sent.logged_at)
    db.execute(
        "INSERT INTO media (run, session, place, name, kind, step, ordinal, logged_at, size, content, crc32)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*head, len(sent.content), sent.content, zlib.crc32(sent.content)),
    )
    if kept >= MAX_KEPT:
        _thin(db, run, sent.name)


def _thin(db: sqlite3.Connection, run: int, name: str) -> None:
    """Give up every second one of the older half, but not the newest of a session, whose place counts on."""
    query = "SELECT number, session, place FROM media WHERE run = ? AND name = ? ORDER BY number LIMIT ?"
    older = db.execute(query, (run, name, MAX_KEPT // 2)).fetchall()
    db.executemany(
        "DELETE FROM media WHERE number = ?",
        [(number,) for number, session, place in older[1::2] if place < _next_place(db, run, session) - 1],
    )
