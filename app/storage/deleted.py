"""How runs are deleted: marked at first, so that nobody finds them and they can be restored; then forgotten."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

from app.storage.records import COLUMNS, DELETED, RunRecord

KEPT = f"status != '{DELETED}'"  # a condition on rows of runs
_CHANGE = "UPDATE runs SET record = ?, crc32 = ?, status = ?, run_group = ?, data_hash = ? WHERE number = ?"
UPDATE = f"{_CHANGE} AND {KEPT}"  # what was deleted stays so


def row_of(record: RunRecord) -> tuple[Any, ...]:
    """What ``UPDATE`` takes."""
    return *record.to_row(), record.number


def mark(db: sqlite3.Connection, record: RunRecord) -> None:
    """Delete a run, whose record says when, for everyone; its points and its data stay."""
    db.execute(UPDATE, row_of(record))
    db.execute("INSERT OR IGNORE INTO deleted VALUES (?)", (record.id,))


def marked(db: sqlite3.Connection) -> list[RunRecord]:
    """The runs that are marked."""
    rows = db.execute(f"SELECT {COLUMNS} FROM runs WHERE status = ?", (DELETED,))  # noqa: S608
    return [RunRecord.from_row(row) for row in rows]


def restore(db: sqlite3.Connection, record: RunRecord) -> bool:
    """Store a marked run as this record has it; False if it is not marked any more."""
    restored = db.execute(f"{_CHANGE} AND status = ?", (*row_of(record), DELETED)).rowcount > 0
    if restored:
        db.execute("DELETE FROM deleted WHERE id = ?", (record.id,))
    return restored


def forget(db: sqlite3.Connection, record: RunRecord, tables: Collection[str]) -> None:
    """Delete a run's row for good, and what is its own in those of the tables points, media and datasets
    that are named."""
    db.execute("DELETE FROM runs WHERE number = :number", vars(record))
    db.execute("INSERT OR IGNORE INTO deleted VALUES (:id)", vars(record))
    unused = "hash = :data_hash AND NOT EXISTS (SELECT 1 FROM runs WHERE data_hash = :data_hash)"
    for table, which in (("points", "run = :number"), ("media", "run = :number"), ("datasets", unused)):
        if table in tables:
            db.execute(f"DELETE FROM {table} WHERE {which}", vars(record))  # noqa: S608
