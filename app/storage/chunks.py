"""A run's points on disk: chunks of consecutive records, few of them however small the batches were that brought them.

Beside its records a chunk keeps those that hold the extremes of every bucket, so that a screen's worth of a million
records is read from a few thousand; and the range of its steps, so that a part of a run is found at once.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from app.storage.batch import MAX_PART_BYTES, Batch, Point, Records, from_blob
from app.storage.downsampling import extremes_of_buckets

TABLE = """
CREATE TABLE points (
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,  -- number of the chunk's first record
    count INTEGER NOT NULL,  -- of its records
    names TEXT NOT NULL,     -- JSON list of its metrics
    low REAL NOT NULL,       -- the smallest step
    high REAL NOT NULL,      -- the largest
    times TEXT NOT NULL,     -- JSON list of [step, when it came in: seconds since 1970]
    extremes BLOB,           -- records with the extremes of each bucket, each after its place in the chunk; or NULL
    rows BLOB NOT NULL,      -- records of 1 + len(names) little-endian float64
    PRIMARY KEY (run, first)
);
"""
BUCKET_RECORDS = 64
MAX_TIMES = 64  # kept of one chunk

type Times = list[tuple[float, float]]  # steps, and when they came in: seconds since 1970


@dataclass(frozen=True)
class RangeOfRecords:
    """What was read of a range of steps: how many records lie in it, and those of them that were asked for."""

    total: int
    records: list[Records]


def append(db: sqlite3.Connection, run: int, batch: Batch, now: float) -> None:
    """Add records, which came in at ``now``, after those that are there.

    As in a binary counter, a chunk is merged with the one before it if that is no longer than itself: so a record is
    written a few times at most, and the chunks of a long run stay few.
    """
    times: Times = [(float(batch.rows[-1, 0]), now)]
    while (last := _last(db, run)) is not None:
        first, count, names = last
        fits = 8 * batch.rows.shape[1] * (count + len(batch)) <= MAX_PART_BYTES
        follows = first + count == batch.seq  # otherwise records between them are missing
        if count > len(batch) or not fits or not follows or tuple(json.loads(names)) != batch.names:
            break
        blob, earlier = db.execute(
            "SELECT rows, times FROM points WHERE run = ? AND first = ?", (run, first)
        ).fetchone()
        before = from_blob(first, batch.names, blob)
        batch = Batch(first, batch.names, np.concatenate([before.rows, batch.rows]))
        times = [*json.loads(earlier), *times]
        db.execute("DELETE FROM points WHERE run = ? AND first = ?", (run, first))
    _insert(db, run, batch, times)


def insert(db: sqlite3.Connection, run: int, batch: Batch) -> None:
    """Add records whose place between others is empty. When they were made is not known: they have no times."""
    _insert(db, run, batch, [])


def read(db: sqlite3.Connection, run: int, low: float, high: float, enough: int) -> RangeOfRecords:
    """The records with steps from ``low`` to ``high``; where there are more than ``enough`` of them per metric, those
    that hold the extremes of each bucket are."""
    query = "SELECT first, count, names, low, high FROM points WHERE run = ? AND high >= ? AND low <= ? ORDER BY first"
    found = db.execute(query, (run, low, high)).fetchall()
    within = sum(count for _, count, _, lowest, highest in found if low <= lowest and highest <= high)
    total, records = 0, []
    for first, count, text, lowest, highest in found:
        names = tuple(json.loads(text))
        whole = low <= lowest and highest <= high
        coarse = whole and within > enough * BUCKET_RECORDS / (2 * max(1, len(names)))
        some = _some(db, run, first, names, coarse=coarse)
        if not whole:
            inside = (some.rows[:, 0] >= low) & (some.rows[:, 0] <= high)
            some = Records(some.numbers[inside], names, some.rows[inside])
        total += count if whole else len(some)
        records.append(some)
    return RangeOfRecords(total, records)


def batches(
    db: sqlite3.Connection, run: int, start: int, low: float = -math.inf, high: float = math.inf
) -> Iterator[Batch]:
    """The chunks from record ``start`` on that have steps from ``low`` to ``high``, each read when it is asked for."""
    query = (
        "SELECT first, names, rows FROM points"
        " WHERE run = ? AND first + count > ? AND high >= ? AND low <= ? ORDER BY first"
    )
    for first, names, rows in db.execute(query, (run, start, low, high)):
        yield from_blob(first, json.loads(names), rows).after(start)


def last(db: sqlite3.Connection, run: int) -> Batch | None:
    """The newest chunk, or None if there is none."""
    query = "SELECT first, names, rows FROM points WHERE run = ? ORDER BY first DESC LIMIT 1"
    row = db.execute(query, (run,)).fetchone()
    return from_blob(row[0], json.loads(row[1]), row[2]) if row else None


def point_at(db: sqlite3.Connection, run: int, step: float) -> Point | None:
    """The newest record that is no later than this step, if steps ascend; None if there is none."""
    query = "SELECT first, names, rows FROM points WHERE run = ? AND low <= ? ORDER BY first DESC LIMIT 1"
    row = db.execute(query, (run, step)).fetchone()
    if row is None:
        return None
    chunk = from_blob(row[0], json.loads(row[1]), row[2])
    return chunk.point(int(np.searchsorted(chunk.rows[:, 0], step, "right")) - 1)


def metric_names(db: sqlite3.Connection, run: int) -> list[str]:
    """Every metric that the run has logged, in the order of first appearance."""
    rows = db.execute("SELECT names FROM points WHERE run = ? GROUP BY names ORDER BY min(first)", (run,))
    return list(dict.fromkeys(name for row in rows for name in json.loads(row[0])))


def times(db: sqlite3.Connection, run: int) -> Times:
    """Some steps and when they came in, in the order in which they did."""
    rows = db.execute("SELECT times FROM points WHERE run = ? ORDER BY first", (run,))
    return [(step, time) for row in rows for step, time in json.loads(row[0])]


def _insert(db: sqlite3.Connection, run: int, batch: Batch, times: Times) -> None:
    steps = batch.rows[:, 0]
    low, high = float(steps.min()), float(steps.max())
    head = (run, batch.seq, len(batch), json.dumps(batch.names), low, high, json.dumps(_thinned(times)))
    db.execute("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*head, _extremes(batch), batch.blob()))


def _last(db: sqlite3.Connection, run: int) -> tuple[int, int, str] | None:
    query = "SELECT first, count, names FROM points WHERE run = ? ORDER BY first DESC LIMIT 1"
    found: tuple[int, int, str] | None = db.execute(query, (run,)).fetchone()
    return found


def _some(db: sqlite3.Connection, run: int, first: int, names: tuple[str, ...], *, coarse: bool) -> Records:
    column = "coalesce(extremes, rows), extremes IS NOT NULL" if coarse else "rows, 0"
    query = f"SELECT {column} FROM points WHERE run = ? AND first = ?"  # noqa: S608  (one of the two above)
    blob, sparse = db.execute(query, (run, first)).fetchone()
    table = np.frombuffer(blob, "<f8").reshape(-1, 1 + len(names) + sparse)
    if sparse:
        return Records(first + table[:, 0].astype(np.intp), names, table[:, 1:])
    return Records(np.arange(first, first + len(table)), names, table)


def _extremes(batch: Batch) -> bytes | None:
    """What ``extremes`` holds; None where that would be little less than all records."""
    if not batch.names or len(batch) < 4 * BUCKET_RECORDS or 8 * len(batch.names) > BUCKET_RECORDS:
        return None
    places = extremes_of_buckets(batch.rows[:, 1:], BUCKET_RECORDS)
    return np.column_stack([places, batch.rows[places]]).astype("<f8", copy=False).tobytes()


def _thinned(times: Times) -> Times:
    return times if len(times) <= MAX_TIMES else times[:: math.ceil(len(times) / MAX_TIMES)]
