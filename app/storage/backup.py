"""Backups of a board's database, made while it runs; and while it does not, one put back, or a damaged one repaired."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from pathlib import Path

from app.storage.copies import copy_database, open_read_only, put_in_place, remove
from app.storage.faults import DatabaseError
from app.storage.migrations import SCHEMA_VERSION
from app.storage.rebuild import DATE, Rebuilt, rebuild


def backup(path: Path, target: Path, *, replace: bool) -> int:
    """Copy the database at ``path``, as it is at this moment, into the file ``target``; how many runs are in it.
    DatabaseError says why that cannot be done, and what to do; then nothing is at ``target`` that was not there."""
    if not path.is_file():
        raise DatabaseError(f"There is no database {path}. Name its folder with --data-dir.")
    if target.is_dir():
        raise DatabaseError(f"{target} is a folder; name a file in it.")
    if not target.parent.is_dir():
        raise DatabaseError(f"There is no folder {target.parent}; make it first, or name another.")
    if target.exists() and not replace:
        raise DatabaseError(f"{target} is there already; name another file, or replace it with --force.")
    if target.exists() and target.samefile(path):
        raise DatabaseError(f"{target} is the database itself; name another file.")
    made = target.with_name(f"{target.name}.checking")
    try:
        with contextlib.closing(open_read_only(path)) as source:
            copy_database(source, made)
        runs = _check(made, "the copy")
        made.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"The backup cannot be made: {_reason(error)}.") from error
    except DatabaseError as error:
        raise DatabaseError(f"No backup is made: {error} `lossboard check` tells more.") from error
    finally:
        remove(made)
    return runs


def look(file: Path) -> int:
    """See whether a file is a sound database of this Lossboard or an older one; how many runs are in it.
    DatabaseError."""
    if file.is_dir():
        raise DatabaseError(f"{file} is a folder; name the file of a backup.")
    if not file.exists():
        raise DatabaseError(f"There is no file {file}.")
    return _check(file, str(file))


def restore(path: Path, file: Path) -> Path | None:
    """Put a backup in the place of the database at ``path``, which no other program may have open. The name under which
    the present one is kept; None if there was none. DatabaseError; then the present one is as it was."""
    new = path.with_name(f"{path.name}.restoring")
    kept = path.with_name(f"{path.name}.before-{time.strftime(DATE)}") if path.exists() else None
    if path.exists() and file.samefile(path):
        raise DatabaseError(f"{file} is the present database; name the file of a backup.")
    try:
        with contextlib.closing(open_read_only(file)) as source:
            copy_database(source, new)
        put_in_place(new, path, kept or path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"The backup cannot be put in place: {_reason(error)}. Nothing was changed.") from error
    finally:
        remove(new)
    return kept


def repair(path: Path) -> Rebuilt:
    """Make a sound database of all that can be read of the one at ``path``, which no other program may have open.
    DatabaseError; then it is as it was."""
    try:
        return rebuild(path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"The database cannot be repaired: {_reason(error)}. Nothing was changed.") from error


def _check(file: Path, name: str) -> int:
    try:
        with contextlib.closing(open_read_only(file)) as db:
            tables = {table for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if not {"runs", "points"} <= tables:
                raise DatabaseError(f"{name} is no database of Lossboard.")
            if version > SCHEMA_VERSION:
                raise DatabaseError(
                    f"{name} was written by a newer Lossboard (its format is {version}, this one knows"
                    f" {SCHEMA_VERSION}); update Lossboard."
                )
            (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise DatabaseError(f"{name} is damaged ({found.strip().splitlines()[-1]}).")
            (runs,) = db.execute("SELECT count(*) FROM runs").fetchone()
    except sqlite3.DatabaseError as error:
        raise DatabaseError(f"{name} cannot be read as a database ({error}).") from error
    return int(runs)


def _reason(error: OSError | sqlite3.Error) -> str:
    if isinstance(error, OSError):
        code = error.errno or errno.EIO
        return f"{os.strerror(code)} ({error.filename})" if error.filename else os.strerror(code)
    return str(error)
