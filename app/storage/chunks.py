"""A run's points on disk: chunks of consecutive records, few of them however small the batches were that brought them.

Beside its records a chunk keeps those that hold the extremes of every bucket, so that a screen's worth of a million
records is read from a few thousand; and the range of its steps, so that a part of a run is found at once.
Checksums tell whether both are what was stored: CorruptError where they are not.
"""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.storage.batch import MAX_PART_BYTES, Batch, Point, Records, from_blob
from app.storage.downsampling import extremes_of_buckets
from app.storage.faults import CorruptError, damage_found

TABLE = """
CREATE TABLE points (
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,  -- number of the chunk's first record
    count INTEGER NOT NULL,  -- of its records
    names TEXT NOT NULL,     -- JSON list of its metrics
    low REAL NOT NULL,       -- the smallest step
    high REAL NOT NULL,      -- the largest
    times TEXT NOT NULL,     -- JSON list of [step, when it came in: seconds since 1970]
    extremes BLOB,           -- records with the extremes of each bucket, each after its place in the chunk, then their
                             -- CRC-32, which those of older Lossboards lack; or NULL
    rows BLOB NOT NULL,      -- records of 1 + len(names) little-endian float64
    crc32 INTEGER,           -- of all but times and extremes; NULL: stored before there were checksums
    PRIMARY KEY (run, first)
);
"""
BUCKET_RECORDS = 64
MAX_TIMES = 64  # kept of one chunk
_CHUNK = "run, first, count, names, low, high, rows, crc32"

type Times = list[tuple[float, float]]  # steps, and when they came in: seconds since 1970


@dataclass(frozen=True)
class RangeOfRecords:
    """What was read of a range of steps: how many records lie in it, and those of them that were asked for."""

    total: int
    records: list[Records]


def append(db: sqlite3.Connection, run: int, batch: Batch, now: float, *, merge: bool = True) -> None:
    """Add records, which came in at ``now``, after those that are there.

    As in a binary counter, a chunk is merged with the one before it if that is no longer than itself: so a record is
    written a few times at most, and the chunks of a long run stay few; not to ``merge`` leaves those before it alone.
    """
    times: Times = [(float(batch.rows[-1, 0]), now)]
    if merge:
        batch, times = _merged(db, run, batch, times)
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
        names = _names(text)
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
    query = f"SELECT {_CHUNK} FROM points WHERE run = ? AND first + count > ? AND high >= ? AND low <= ? ORDER BY first"  # noqa: S608
    for row in db.execute(query, (run, start, low, high)):
        yield _decoded(*row).after(start)


def last(db: sqlite3.Connection, run: int) -> Batch | None:
    """The newest chunk, or None if there is none."""
    query = f"SELECT {_CHUNK} FROM points WHERE run = ? ORDER BY first DESC LIMIT 1"  # noqa: S608
    row = db.execute(query, (run,)).fetchone()
    return _decoded(*row) if row else None


def largest_step(db: sqlite3.Connection, run: int) -> float:
    """The largest step of a run; -inf if it has none. Chunks of an older Lossboard do not tell theirs, and are read."""
    query = "SELECT max(high) FROM points WHERE run = ? AND high < 9e999"
    largest = db.execute(query, (run,)).fetchone()[0]
    unknown = f"SELECT {_CHUNK} FROM points WHERE run = ? AND high = 9e999"  # noqa: S608
    steps = [float(_decoded(*row).rows[:, 0].max()) for row in db.execute(unknown, (run,))]
    return max([-math.inf if largest is None else float(largest), *steps])


def point_at(db: sqlite3.Connection, run: int, step: float) -> Point | None:
    """The newest record that is no later than this step, if steps ascend; None if there is none."""
    query = f"SELECT {_CHUNK} FROM points WHERE run = ? AND low <= ? ORDER BY first DESC LIMIT 1"  # noqa: S608
    row = db.execute(query, (run, step)).fetchone()
    if row is None:
        return None
    chunk = _decoded(*row)
    return chunk.point(int(np.searchsorted(chunk.rows[:, 0], step, "right")) - 1)


def metric_names(db: sqlite3.Connection, run: int) -> list[str]:
    """Every metric that the run has logged, in the order of first appearance."""
    rows = db.execute("SELECT names FROM points WHERE run = ? GROUP BY names ORDER BY min(first)", (run,))
    return list(dict.fromkeys(name for row in rows for name in _names(row[0])))


def times(db: sqlite3.Connection, run: int) -> Times:
    """Some steps and when they came in, in the order in which they did."""
    rows = db.execute("SELECT times FROM points WHERE run = ? ORDER BY first", (run,))
    return [known for row in rows for known in _times(row[0])]


def ranges(db: sqlite3.Connection, run: int) -> list[tuple[int, int]]:
    """The ranges [begin, end) of record numbers that the chunks of a run hold, in order; read from their heads alone,
    which takes no time, and checked against each other."""
    query = (
        "SELECT first, count, names, low, high, times, length(extremes), length(rows) FROM points"
        " WHERE run = ? ORDER BY first"
    )
    found = []
    for first, count, text, low, high, times, extremes, length in db.execute(query, (run,)):
        names = _names(text)
        if length != 8 * count * (1 + len(names)) or low > high or not (extremes is None or extremes > 0):
            raise CorruptError(f"the records from {first} on have another length than was stored")
        _times(times)
        found.append((first, first + count))
    return found


def gaps(found: Iterable[tuple[int, int]], end: int, missing: Iterable[Iterable[int]] = ()) -> list[tuple[int, int]]:
    """The ranges of record numbers below ``end`` that neither the ranges ``found`` hold nor ``missing`` names."""
    number, lacking = 0, []
    for first, after in sorted([*found, *((first, after) for first, after in missing), (end, end)]):
        if first > number:
            lacking.append((number, first))
        number = max(number, after)
    return lacking


def check(row: Sequence[Any]) -> Batch:
    """The records of a row of the table, all of which is checked. CorruptError."""
    run, first, count, text, low, high, times, extremes, blob, crc = row
    if not isinstance(run, int):
        raise CorruptError("some records are of no run")
    chunk = _decoded(run, first, count, text, low, high, blob, crc)
    steps = chunk.rows[:, 0]
    if not len(chunk) or (low, high) not in ((-math.inf, math.inf), (steps.min(), steps.max())):
        raise CorruptError(f"the records from {first} on have other steps than was stored")
    _times(times)
    if extremes is not None:
        _sparse(first, len(chunk), chunk.names, extremes)
    return chunk


def _merged(db: sqlite3.Connection, run: int, batch: Batch, times: Times) -> tuple[Batch, Times]:
    """A batch with the chunks before it that are no longer than itself, which are deleted."""
    while (last := _last(db, run)) is not None:
        first, count, names = last
        fits = 8 * batch.rows.shape[1] * (count + len(batch)) <= MAX_PART_BYTES
        if count > len(batch) or not fits or first + count != batch.seq or names != json.dumps(batch.names):
            break
        try:
            with damage_found():
                query = f"SELECT times, {_CHUNK} FROM points WHERE run = ? AND first = ?"  # noqa: S608
                text, *row = db.execute(query, (run, first)).fetchone()
                earlier, before = _times(text), _decoded(*row)
        except CorruptError:  # it stays as it is, and apart
            break
        batch = Batch(first, batch.names, np.concatenate([before.rows, batch.rows]))
        times = [*earlier, *times]
        db.execute("DELETE FROM points WHERE run = ? AND first = ?", (run, first))
    return batch, times


def _insert(db: sqlite3.Connection, run: int, batch: Batch, times: Times) -> None:
    steps = batch.rows[:, 0]
    low, high = 0.0 + float(steps.min()), 0.0 + float(steps.max())  # never -0.0, which SQLite does not keep
    head, blob = (run, batch.seq, len(batch), json.dumps(batch.names), low, high), batch.blob()
    row = (*head, json.dumps(_thinned(times)), _extremes(batch), blob, _checksum(head, blob))
    db.execute("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def _last(db: sqlite3.Connection, run: int) -> tuple[int, int, str] | None:
    query = "SELECT first, count, names FROM points WHERE run = ? ORDER BY first DESC LIMIT 1"
    found: tuple[int, int, str] | None = db.execute(query, (run,)).fetchone()
    return found


def _some(db: sqlite3.Connection, run: int, first: int, names: tuple[str, ...], *, coarse: bool) -> Records:
    if coarse:
        query = "SELECT extremes, count FROM points WHERE run = ? AND first = ?"
        blob, count = db.execute(query, (run, first)).fetchone()
        if blob is not None:
            return _sparse(first, count, names, blob)
    query = f"SELECT {_CHUNK} FROM points WHERE run = ? AND first = ?"  # noqa: S608
    chunk = _decoded(*db.execute(query, (run, first)).fetchone())
    return Records(np.arange(first, first + len(chunk)), names, chunk.rows)


def _decoded(*row: Any) -> Batch:
    """A chunk of the columns ``_CHUNK``."""
    *head, blob, crc = row
    first, count, text = head[1:4]
    if crc is not None and _checksum(head, blob) != crc:
        raise CorruptError(f"the checksum of the records from {first} on is wrong")
    batch = from_blob(first, _names(text), blob)
    if len(batch) != count:
        raise CorruptError(f"the records from {first} on should be {count}, and are {len(batch)}")
    return batch


def _times(text: str) -> Times:
    return [(float(step), float(time)) for step, time in json.loads(text)]


def _names(text: str) -> tuple[str, ...]:
    names = json.loads(text)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CorruptError("the names of metrics are no list of names")
    return tuple(names)


def _checksum(head: Iterable[Any], rows: bytes) -> int:
    """The CRC-32 of a chunk's columns from run to high, and of its rows."""
    return zlib.crc32(rows, zlib.crc32(json.dumps([*head]).encode()))


def _sparse(first: int, count: int, names: tuple[str, ...], blob: bytes) -> Records:
    """The records in ``extremes``."""
    size = len(blob) - len(blob) % 8
    if size < len(blob) and zlib.crc32(blob[:size]).to_bytes(4, "little") != blob[size:]:
        raise CorruptError(f"the checksum of the extremes from record {first} on is wrong")
    table = np.frombuffer(blob[:size], "<f8").reshape(-1, 2 + len(names))
    if not ((table[:, 0] >= 0) & (table[:, 0] < count)).all():
        raise CorruptError(f"the extremes from record {first} on are of other records")
    return Records(first + table[:, 0].astype(np.intp), names, table[:, 1:])


def _extremes(batch: Batch) -> bytes | None:
    """What ``extremes`` holds; None where that would be little less than all records."""
    if not batch.names or len(batch) < 4 * BUCKET_RECORDS or 8 * len(batch.names) > BUCKET_RECORDS:
        return None
    places = extremes_of_buckets(batch.rows[:, 1:], BUCKET_RECORDS)
    table = np.column_stack([places, batch.rows[places]]).astype("<f8", copy=False).tobytes()
    return table + zlib.crc32(table).to_bytes(4, "little")


def _thinned(times: Times) -> Times:
    return times if len(times) <= MAX_TIMES else times[:: math.ceil(len(times) / MAX_TIMES)]
