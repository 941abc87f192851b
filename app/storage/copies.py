"""Whole databases: copied while they are used, looked at, and put in another's place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path

from app.storage.faults import is_damage

STEP_PAGES = 1000  # copied at once
_BESIDE = ("-wal", "-shm", "-journal")  # files that SQLite keeps beside a database


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, also beside a board that runs. sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=10, isolation_level=None)
    connection.text_factory = decode
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:  # in a folder that may not be written, where there is no log to be read either
        connection.close()
        if path.with_name(f"{path.name}-wal").exists():
            raise
        connection = sqlite3.connect(f"{address}&immutable=1", uri=True, isolation_level=None)
        connection.text_factory = decode
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return connection


def decode(text: bytes) -> str:
    """A text of the database. One that is no UTF-8 is damaged, and no reason not to read the others."""
    return text.decode(errors="replace")


def copy_database(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database, as it is at this moment, into one new file; whoever writes to it meanwhile need not wait.
    What is at ``target`` is replaced once the copy is complete and on disk. sqlite3.Error, OSError."""
    partial = target.with_name(f"{target.name}.partial-{os.getpid()}")
    remove(partial)
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # as private as the database
        with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copied:
            source.execute("BEGIN")  # what is copied is one state; in a log that goes on growing
            try:
                source.execute("SELECT count(*) FROM sqlite_master").fetchone()
                source.backup(copied, pages=STEP_PAGES)
            finally:
                if source.in_transaction:
                    source.execute("ROLLBACK")
            copied.execute("PRAGMA journal_mode = DELETE").fetchone()  # one file
        sync(partial)
        partial.replace(target)
        sync(target.parent)
    finally:
        remove(partial)


def put_in_place(new: Path, path: Path, kept: Path) -> None:
    """Put a complete database in the place of the one at ``path``, which is kept as ``kept``. No other program may have
    it open. sqlite3.Error, OSError."""
    if path.exists():
        _fold_log(path)
        for suffix in ("", "-wal"):  # there is a log only if it is damaged
            old, copy = (file.with_name(f"{file.name}{suffix}") for file in (path, kept))
            if old.exists():
                _link(old, copy)
        sync(kept)
        for suffix in _BESIDE:
            path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
    sync(new)
    new.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Remove a database with all that lies beside it, if it is there."""
    for suffix in ("", *_BESIDE):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk."""
    if path.is_dir() and os.name == "nt":  # where that cannot be asked for
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fold_log(path: Path) -> None:
    """Put what is in the write-ahead log into the database itself, and remove the log; a damaged one stays."""
    with contextlib.closing(sqlite3.connect(path, timeout=2, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise


def _link(old: Path, copy: Path) -> None:
    try:
        os.link(old, copy)
    except OSError:  # a file system without links
        shutil.copy2(old, copy)
        sync(copy)
