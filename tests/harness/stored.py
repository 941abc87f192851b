"""A small database with everything that a board stores, and what is to be read of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.storage.batch import Batch
from app.storage.database import Database
from app.storage.media import Sent
from app.storage.records import RunRecord
from app.storage.store import Store

DATA = (np.arange(600.0), 2 * np.arange(600.0))
LENGTHS = {1: 3, 2: 1500, 3: 40, 4: 700, 5: 0, 6: 2500, 7: 90}  # of each run, by its number: how many records
BATCH = 500


def record_of(number: int) -> RunRecord:
    """A run as it is stored: those with odd numbers have data, and the note makes that records take several pages."""
    method = "gd" if number % 2 else "external"
    note = {"note": "x" * 700}
    return RunRecord(f"{number:032}", f"run {number}", method, note, "finished", 5.0, number=number, started_at=6.0)


def points_of(number: int, begin: int, end: int) -> Batch:
    """Records of a run; no two are alike."""
    rows = np.random.default_rng([number, begin]).random((end - begin, 3))
    rows[:, 0] = np.arange(begin, end)
    return Batch(begin, ("loss", "w"), rows)


def batches_of(number: int) -> Iterator[Batch]:
    """All records of a run, as they are posted."""
    for begin in range(0, LENGTHS[number], BATCH):
        yield points_of(number, begin, min(begin + BATCH, LENGTHS[number]))


async def fill(path: Path) -> None:
    """Store runs with points and data, of which the third is under way and another one is deleted; and a view."""
    store = Store(Database(path))
    for number in LENGTHS:
        run = record_of(number)
        await store.add_run(run, DATA if number % 2 else None)
        for batch in batches_of(number):
            await store.append(run, batch)
        if number == 3:
            run.status = "running"
            await store.save_run(run)
        if number == 4:
            for place in range(3):
                await store.media.add(run, Sent("a" * 32, place, "note", "text", float(place), 5.0, b"x" * 2000))
    gone = record_of(99)
    await store.add_run(gone)
    await store.append(gone, points_of(99, 0, 400))
    await store.delete_run(gone)  # its pages are free
    await store.put_setting("board", {"smoothing": 7})
    store.close()
