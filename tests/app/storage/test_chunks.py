"""Records come back as they were logged, whole or in part, however they came in."""

from __future__ import annotations

import sqlite3

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.storage import chunks
from app.storage.batch import Batch
from app.storage.chunks import BUCKET_RECORDS

NAMES = [("loss",), ("loss", "w"), ("acc",)]


def table() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.executescript(chunks.TABLE)
    return db


def batch(seq: int, count: int, names: tuple[str, ...] = ("loss", "w")) -> Batch:
    rows = np.random.default_rng(seq).normal(size=(count, 1 + len(names)))
    rows[:, 0] = np.arange(seq, seq + count)
    return Batch(seq, names, rows)


@given(st.lists(st.tuples(st.integers(1, 700), st.sampled_from(NAMES)), max_size=30), st.integers(0, 5000))
def test_records_come_back_as_they_came_in(sent: list[tuple[int, tuple[str, ...]]], start: int) -> None:
    db, expected, seq, arrived = table(), [], 0, {}
    for count, names in sent:
        new = batch(seq, count, names)
        chunks.append(db, 1, new, 1000.0 + seq)
        expected += [(names, *row) for row in new.rows.tolist()]
        seq += count
        arrived[seq - 1] = 1000.0 + seq - count
    read = [(one.names, *row) for one in chunks.batches(db, 1, start, -np.inf, np.inf) for row in one.rows.tolist()]
    assert read == expected[start:]
    found = chunks.read(db, 1, 100, 900, 10**6)
    assert [row[0] for some in found.records for row in some.rows.tolist()] == [
        step for _, step, *_ in expected if 100 <= step <= 900
    ]
    assert found.total == sum(len(some) for some in found.records)
    assert all(time == arrived[step] for step, time in chunks.times(db, 1))
    assert list(chunks.metric_names(db, 1)) == list(dict.fromkeys(name for _, names in sent for name in names))


def test_a_long_run_of_small_batches_has_few_pieces() -> None:
    db = table()
    for seq in range(0, 20_000, 10):
        chunks.append(db, 1, batch(seq, 10), float(seq))
    assert db.execute("SELECT count(*) FROM points").fetchone()[0] <= 16
    seconds = [time for _, time in chunks.times(db, 1)]
    assert seconds == sorted(seconds)
    assert len(seconds) > 100


def test_what_a_screen_shows_of_many_records_is_read_from_few() -> None:
    db = table()
    big = batch(0, 200_000)
    big.rows[123_456, 1] = 50.0
    big.rows[77_777, 2] = np.nan
    for part in big.parts():
        chunks.append(db, 1, part, 0.0)
    found = chunks.read(db, 1, -np.inf, np.inf, 2000)
    assert found.total == 200_000
    assert 2000 < sum(len(some) for some in found.records) < 200_000 * 4 / BUCKET_RECORDS + 100
    for some in found.records:
        assert np.array_equal(big.rows[some.numbers], some.rows)
    assert max(some.rows[:, 1].max() for some in found.records) == 50.0
    assert chunks.read(db, 1, 1000, 1100, 2000).total == 101


def test_steps_may_come_in_any_order() -> None:
    db = table()
    for seq, steps in enumerate([[5, 1, 9], [0, 0, 7]]):
        rows = np.column_stack([steps, np.arange(3.0)]).astype(float)
        chunks.append(db, 1, Batch(3 * seq, ("loss",), rows), 0.0)
    found = chunks.read(db, 1, 1, 7, 100)
    assert [row[0] for some in found.records for row in some.rows.tolist()] == [5, 1, 7]


def test_a_step_of_minus_zero_is_no_damage() -> None:
    db = table()
    chunks.append(db, 1, Batch(0, ("loss",), np.array([[-0.0, 1.0], [-0.0, 2.0]])), 0.0)
    assert [len(chunk) for chunk in chunks.batches(db, 1, 0)] == [2]
