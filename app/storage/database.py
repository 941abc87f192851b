"""The one embedded database: its file, its tables, and the single thread that writes to it."""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from app.errors import UnavailableError
from app.storage import chunks

log = logging.getLogger("lossboard.database")

DATABASE_FILE = "lossboard.sqlite3"
SCHEMA_VERSION = 2
_SCHEMA = f"""
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their making; never used twice
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,                      -- the RunRecord as JSON
    status TEXT NOT NULL,
    run_group TEXT,
    data_hash TEXT,
    next_seq INTEGER NOT NULL DEFAULT 0        -- the number of the next record to come
);
CREATE INDEX runs_by_status ON runs(status);
CREATE INDEX runs_by_group ON runs(run_group);
CREATE INDEX runs_by_data ON runs(data_hash);
CREATE TABLE datasets (hash TEXT PRIMARY KEY, xy BLOB NOT NULL);  -- all x, then all y, float64
CREATE TABLE deleted (id TEXT PRIMARY KEY);
CREATE TABLE board (key TEXT PRIMARY KEY, value TEXT NOT NULL);
{chunks.TABLE}"""
_FROM_1 = f"""
ALTER TABLE points RENAME TO old_points;
{chunks.TABLE}
INSERT INTO points SELECT run, first, length(rows) / (8 * (1 + json_array_length(names))), names, -9e999, 9e999,
    json_array(json_array(first, received_at)), NULL, rows FROM old_points;
DROP TABLE old_points;
"""  # noqa: S608  (no value comes from outside)

type Work[T] = Callable[[sqlite3.Connection], T]


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what to do."""


class Database:
    """One SQLite file in WAL mode. Everything that waits to be written is committed together, synchronous=FULL.

    ``write`` returns when its work is on disk. ``read`` runs beside the writer in a connection of its own.
    UnavailableError where the file cannot be used just now, as on a full disk.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises DatabaseError if it cannot be used."""
        self._path = path
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        try:
            connection = self._connect()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise DatabaseError(
                    f"{path} was written by a newer Lossboard (its format is {version}, this one knows"
                    f" {SCHEMA_VERSION}). Update Lossboard, or choose another folder with --data-dir."
                )
            if version < SCHEMA_VERSION:
                change = _FROM_1 if version else _SCHEMA
                connection.executescript(f"BEGIN; {change} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            for table in ("runs", "board"):  # what a start reads; to check every point would take as long as to read it
                (found,) = connection.execute(f"PRAGMA quick_check('{table}')").fetchone()
                if found != "ok":
                    raise sqlite3.DatabaseError(f"it is damaged ({found.strip().splitlines()[-1]})")
        except sqlite3.Error as error:
            raise DatabaseError(
                f"The database {path} cannot be opened: {error}. Choose another folder with --data-dir."
            ) from error
        self._queue: queue.SimpleQueue[tuple[Work[object], Future[object]] | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, args=(connection,), name="database-writer", daemon=True)
        self._writer.start()

    async def write[T](self, work: Work[T]) -> T:
        """Run ``work`` in the writer thread and return its value once it is on disk. Its exceptions pass through."""
        future: Future[T] = Future()
        self._queue.put((work, future))  # type: ignore[arg-type]
        with _in_words():
            return await asyncio.wrap_future(future)

    async def read[T](self, work: Work[T]) -> T:
        """Run ``work`` in a thread with a reading connection."""
        with _in_words():
            return await asyncio.to_thread(self._read, work)

    def close(self) -> None:
        """Write what is queued, then close the file."""
        self._queue.put(None)
        self._writer.join()
        for connection in self._readers:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    def _read[T](self, work: Work[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._readers.append(connection)
        connection.execute("BEGIN")  # what work reads, it reads in one state
        try:
            return work(connection)
        finally:
            connection.execute("COMMIT")

    def _write_all(self, connection: sqlite3.Connection) -> None:
        closing = False
        while not closing:
            batch = [self._queue.get()]
            while not self._queue.empty() and len(batch) < 1000:
                batch.append(self._queue.get())
            closing = None in batch
            # A future that is marked running can no longer be cancelled by an asker who went away.
            _commit(connection, [item for item in batch if item and item[1].set_running_or_notify_cancel()])
        connection.close()


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        log.warning("the database cannot be used: %s", error)
        words = f"The database cannot be used just now ({error}). Try again; if its disk is full, make room first."
        raise UnavailableError(words) from error


def _commit(connection: sqlite3.Connection, batch: list[tuple[Work[object], Future[object]]]) -> None:
    """One transaction for the whole batch; work that fails undoes only itself."""
    outcomes: list[tuple[Future[object], object, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for work, future in batch:
            connection.execute("SAVEPOINT work")
            try:
                outcomes.append((future, work(connection), None))
            except Exception as error:
                connection.execute("ROLLBACK TO work")
                outcomes.append((future, None, error))
            connection.execute("RELEASE work")
        connection.execute("COMMIT")
    except sqlite3.Error as error:  # a full disk, say: nothing of this batch is stored, and each asker hears it
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        outcomes = [(future, None, error) for _, future in batch]
    for future, value, failure in outcomes:
        if failure is None:
            future.set_result(value)
        else:
            future.set_exception(failure)
