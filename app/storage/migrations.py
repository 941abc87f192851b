"""The tables of the database, and how those of an older Lossboard become today's, after a copy is made."""

from __future__ import annotations

import filecmp
import itertools
import sqlite3
from pathlib import Path

from app.storage import chunks, media
from app.storage.copies import copy_database
from app.storage.faults import DatabaseError

SCHEMA_VERSION = 4
SCHEMA = f"""
CREATE TABLE runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,  -- in the order of their making; never used twice
    id TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,                      -- the RunRecord as JSON
    status TEXT NOT NULL,
    run_group TEXT,
    data_hash TEXT,
    next_seq INTEGER NOT NULL DEFAULT 0,       -- the number of the next record to come
    crc32 INTEGER                              -- of record; NULL: stored before there were checksums
);
CREATE INDEX runs_by_status ON runs(status);
CREATE INDEX runs_by_group ON runs(run_group);
CREATE INDEX runs_by_data ON runs(data_hash);
CREATE TABLE datasets (hash TEXT PRIMARY KEY, xy BLOB NOT NULL);  -- all x, then all y, float64
CREATE TABLE deleted (id TEXT PRIMARY KEY);
CREATE TABLE board (key TEXT PRIMARY KEY, value TEXT NOT NULL);
{chunks.TABLE}
{media.TABLE}
PRAGMA user_version = {SCHEMA_VERSION};
"""
_CHANGES = {  # by the version from which they lead to today's
    0: SCHEMA,
    1: f"""
ALTER TABLE points RENAME TO old_points;
{chunks.TABLE}
INSERT INTO points SELECT run, first, length(rows) / (8 * (1 + json_array_length(names))), names, -9e999, 9e999,
    json_array(json_array(first, received_at)), NULL, rows, NULL FROM old_points;
DROP TABLE old_points;
ALTER TABLE runs ADD COLUMN crc32 INTEGER;
{media.TABLE}
PRAGMA user_version = {SCHEMA_VERSION};
""",  # noqa: S608  (no value comes from outside)
    2: f"""
ALTER TABLE points ADD COLUMN crc32 INTEGER;
ALTER TABLE runs ADD COLUMN crc32 INTEGER;
{media.TABLE}
PRAGMA user_version = {SCHEMA_VERSION};
""",
    3: f"""
{media.TABLE}
PRAGMA user_version = {SCHEMA_VERSION};
""",
}


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Give the database at ``path`` today's tables, all at once or not at all; one of an older Lossboard is copied
    before. DatabaseError if it is of a newer one, or cannot be copied; sqlite3.Error."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise DatabaseError(
            f"{path} was written by a newer Lossboard (its format is {version}, this one knows {SCHEMA_VERSION})."
            " Update Lossboard, or choose another folder with --data-dir."
        )
    if version not in (*_CHANGES, SCHEMA_VERSION):
        raise sqlite3.DatabaseError(f"its format, {version}, is none of Lossboard's")
    if version < SCHEMA_VERSION:
        if version:
            _keep_copy(connection, path, version)
        connection.executescript(f"BEGIN IMMEDIATE; {_CHANGES[version]} COMMIT;")


def _keep_copy(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """A copy beside the database, unless an earlier start has made it and was interrupted then."""
    first = path.with_name(f"{path.name}.version-{version}")
    others = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    copied = path.with_name(f"{path.name}.copying")
    try:
        copy_database(connection, copied)
        kept = next(one for one in itertools.chain([first], others) if not one.exists() or _is_same(one, copied))
        copied.replace(kept)
    except (OSError, sqlite3.Error) as error:
        copied.unlink(missing_ok=True)
        raise DatabaseError(
            f"{path} was written by an older Lossboard. Before it is changed to today's format a copy is made, and"
            f" that cannot be done: {error}. Nothing was changed. Make room for {path.stat().st_size / 1e6:.0f} MB, or"
            " choose another folder with --data-dir."
        ) from error


def _is_same(one: Path, other: Path) -> bool:
    return filecmp.cmp(one, other, shallow=False)
