"""The one embedded database: its file, its tables, and the single thread that writes to it."""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import DamagedError, UnavailableError
from app.storage.copies import decode
from app.storage.faults import DatabaseError, is_damage
from app.storage.migrations import migrate
from app.storage.rebuild import damage_that_stops, rebuild_at_start

log = logging.getLogger("lossboard.database")

DATABASE_FILE = "lossboard.sqlite3"
PATIENCE_S = 5.0  # that writing or reading waits for another program that holds the file; then it fails until that ends
POLL_S = 0.2  # between two looks whether the file is free
MAX_BATCH = 1000  # works in one transaction
LOG_INTERVAL_S = 60.0  # between two warnings of the same words

type Work[T] = Callable[[sqlite3.Connection], T]
type Queued = tuple[Work[object], Future[object]]


class DatabaseLockedError(DatabaseError):
    """Another program holds the database: it can be used once that program lets go of it."""


def is_locked(error: BaseException | None) -> bool:
    """Whether this is SQLite's way to say that another program holds the file."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Database:
    """One SQLite file in WAL mode. Everything that waits to be written is committed together, synchronous=FULL.

    ``write`` returns when its work is on disk. ``read`` runs beside the writer in a connection of its own.
    UnavailableError where the file cannot be used just now, as on a full disk, or if another program holds it for
    longer than ``patience_s``: whoever comes later then is not kept waiting. DamagedError where it is damaged.
    """

    def __init__(
        self, path: Path, *, patience_s: float = PATIENCE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open or make the file. Raises DatabaseError if it cannot be used, DatabaseLockedError if it is locked."""
        self._path = path
        self._local = threading.local()
        self._readers: list[_Reader] = []
        self._poll_s = min(patience_s, POLL_S)
        self._writing, self._reading = _Stall(patience_s, clock), _Stall(patience_s, clock)
        self._closed = False
        self._warned = _Warnings(clock)
        try:
            connection = self._open()
        except sqlite3.Error as error:
            if is_locked(error):
                raise DatabaseLockedError(waiting_for(path)) from error
            raise DatabaseError(
                f"The database {path} cannot be opened: {error}. {_advice(error)} another folder with --data-dir."
            ) from error
        self._queue: queue.SimpleQueue[Queued | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, args=(connection,), name="database-writer", daemon=True)
        self._writer.start()

    async def write[T](self, work: Work[T]) -> T:
        """Run ``work`` in the writer thread and return its value once it is on disk. Its exceptions pass through."""
        future: Future[T] = Future()
        self._queue.put((work, future))  # type: ignore[arg-type]
        with self._in_words():
            return await asyncio.wrap_future(future)

    async def read[T](self, work: Work[T]) -> T:
        """Run ``work`` in a thread with a reading connection, again if another program held the file meanwhile."""
        with self._in_words():
            return await asyncio.to_thread(self._read, work)

    def close(self) -> None:
        """Write what is queued, unless another program holds the file, end what is being read, then close the file."""
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        for reader in self._readers:
            while not reader.lock.acquire(timeout=0.1):
                reader.connection.interrupt()  # again, as what is not begun yet is not ended by it
            reader.connection.close()
            reader.lock.release()

    def _open(self) -> sqlite3.Connection:
        """The writing connection, once the file is one to work on."""
        connection = self._connect()
        try:
            connection.execute("BEGIN IMMEDIATE")  # or another program writes
            connection.execute("ROLLBACK")
            migrate(connection, self._path)
            damage = damage_that_stops(connection)
        except BaseException:
            connection.close()
            raise
        if not damage:
            return connection
        connection.close()
        rebuild_at_start(self._path, damage)
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._poll_s, isolation_level=None, check_same_thread=False)
        connection.text_factory = decode
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = FAST").fetchone()  # or to delete would take as much room again
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _read[T](self, work: Work[T]) -> T:
        while True:
            try:
                value = self._read_once(work)
            except sqlite3.OperationalError as error:
                if self._closed or not is_locked(error) or self._reading.is_too_long():
                    raise
            else:
                self._reading.is_over()
                return value

    def _read_once[T](self, work: Work[T]) -> T:
        reader: _Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = _Reader(self._connect())
            self._readers.append(reader)
        with reader.lock:
            connection = reader.connection
            if self._closed:
                connection.close()
            connection.execute("BEGIN")  # what work reads, it reads in one state
            try:
                return work(connection)
            finally:
                with suppress(sqlite3.DatabaseError):  # some errors end it; damage that work has met is told here again
                    connection.execute("ROLLBACK")

    def _write_all(self, connection: sqlite3.Connection) -> None:
        waiting: list[Queued] = []
        while waiting or not self._closed or not self._queue.empty():
            if not waiting and (first := self._queue.get()):
                waiting.append(first)
            while not self._queue.empty() and len(waiting) < MAX_BATCH:
                if item := self._queue.get():
                    waiting.append(item)
            if waiting and self._write(connection, waiting):
                waiting = []
        connection.close()

    def _write(self, connection: sqlite3.Connection, waiting: list[Queued]) -> bool:
        """One transaction for all that waits. False if another program held the file, and may let go of it soon."""
        try:
            if connection.in_transaction:  # the last one could not even be undone
                connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not self._closed and is_locked(error) and not self._writing.is_too_long():
                return False
            for _, future in _begun(waiting):
                future.set_exception(error)
        else:
            self._writing.is_over()
            _commit(connection, _begun(waiting))
        return True

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                self._warned.warn(error)
                raise DamagedError(_words_of_damage(error)) from error
            if not isinstance(error, sqlite3.OperationalError):
                raise
            self._warned.warn(error)
            raise UnavailableError(_words_of(error)) from error


@dataclass(frozen=True)
class _Reader:
    """A connection of one thread. Whoever uses or closes it holds the lock: to close it under a reader, whose request
    may have been given up long before, would end the process."""

    connection: sqlite3.Connection
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Stall:
    """Since when another program has held the file, as far as those who wait for it have seen."""

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self._patience_s = patience_s
        self._clock = clock
        self._since = self._seen_at = -math.inf

    def is_too_long(self) -> bool:
        """It is held now: whether it has been for longer than anyone is kept waiting."""
        now = self._clock()
        if now - self._seen_at > 2 * PATIENCE_S:  # nobody asked for so long: that may have been another time
            self._since = now
        self._seen_at = now
        return now - self._since >= self._patience_s

    def is_over(self) -> None:
        """The file could be used."""
        self._seen_at = -math.inf


class _Warnings:
    """What is wrong with the file, in the log: once, and again if it stays so."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._said_at: dict[str, float] = {}

    def warn(self, error: sqlite3.Error) -> None:
        words, now = str(error), self._clock()
        if now - self._said_at.get(words, -math.inf) >= LOG_INTERVAL_S:
            self._said_at[words] = now
            log.warning("the database cannot be used: %s", words)


def is_full(error: BaseException | None) -> bool:
    """Whether this is SQLite's way to say that there is no room on the disk."""
    return _code(error) == sqlite3.SQLITE_FULL


def waiting_for(path: Path) -> str:
    """What to say while a board that starts waits for its database."""
    return f"The database {path} is being used by another program; waiting until it is free, Ctrl-C ends this."


def _code(error: BaseException | None) -> int | None:
    """SQLite's primary code of an error."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _words_of(error: sqlite3.Error) -> str:
    what = f"The database cannot be used just now ({error}). Nothing was changed"
    if is_locked(error):
        return f"{what}: another program holds it. Try again once it is free."
    if is_full(error):
        return f"{what}; make room first, then try again."
    return f"{what}. Try again; if its disk is full, make room first."


def _words_of_damage(error: sqlite3.Error) -> str:
    return f"The database is damaged ({error}). `lossboard check` tells more, and what can be done."


def _advice(error: sqlite3.Error) -> str:
    if isinstance(error, sqlite3.OperationalError) or not is_damage(error):
        return "Choose"
    return "`lossboard check` tells more; put a backup in its place with `lossboard restore`, or choose"


def _begun(items: Iterable[Queued]) -> list[Queued]:
    """Those that can no longer be cancelled by an asker who went away, as they are marked as running."""
    return [item for item in items if item[1].set_running_or_notify_cancel()]


def _commit(connection: sqlite3.Connection, batch: list[Queued]) -> None:
    """All work of the batch, in the transaction that has begun; work that fails undoes only itself."""
    outcomes: list[tuple[Future[object], object, BaseException | None]] = []
    try:
        for work, future in batch:
            connection.execute("SAVEPOINT work")
            try:
                outcomes.append((future, work(connection), None))
            except Exception as error:
                if not connection.in_transaction:  # SQLite has undone all of it already, as on a full disk
                    raise
                outcomes.append((future, None, error))
                connection.execute("ROLLBACK TO work")
            connection.execute("RELEASE work")
        connection.execute("COMMIT")
    except Exception as error:  # nothing of this batch is stored, and each asker hears why
        own = {id(future): failure for future, _, failure in outcomes}
        outcomes = [(future, None, own.get(id(future)) or error) for _, future in batch]
        if connection.in_transaction:
            with suppress(sqlite3.Error):  # it is tried again before the next transaction
                connection.execute("ROLLBACK")
        if len(batch) > 1 and isinstance(error, sqlite3.Error) and is_damage(error):
            _commit_one_by_one(connection, batch)
            return
    for future, value, failure in outcomes:
        if failure is None:
            future.set_result(value)
        else:
            future.set_exception(failure)


def _commit_one_by_one(connection: sqlite3.Connection, batch: list[Queued]) -> None:
    """Each work in a transaction of its own: damage that one of them meets, SQLite tells to all in the transaction."""
    for item in batch:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            item[1].set_exception(error)
        else:
            _commit(connection, [item])
