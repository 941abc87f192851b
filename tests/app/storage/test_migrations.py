"""Databases of older Lossboards: taken over, after a copy is made."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.storage import chunks, copies, migrations
from app.storage.database import Database
from app.storage.faults import DatabaseError
from app.storage.store import Store
from tests.harness.stored import LENGTHS, batches_of, record_of

pytestmark = pytest.mark.anyio


def make_older(path: Path) -> None:
    """Make a database what the Lossboard before checksums would have made of it."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            "PRAGMA journal_mode = DELETE; DROP TABLE media;"
            "ALTER TABLE points DROP COLUMN crc32; ALTER TABLE runs DROP COLUMN crc32;"
            "UPDATE points SET extremes = substr(extremes, 1, length(extremes) - 4); PRAGMA user_version = 2"
        )


def version_of(path: Path) -> int:
    """The format of a database."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


async def check_everything(path: Path) -> None:
    """All runs are read as they were stored."""
    store = Store(Database(path))
    for number in LENGTHS:
        run = await store.get_run(record_of(number).id)
        assert run is not None
        await store.check_points(run)
        read = [row for batch in await store.some_batches(run, 0, 1000) for row in batch.rows.tolist()]
        assert read == [row for batch in batches_of(number) for row in batch.rows.tolist()]
        assert (await store.read_range(run, enough=2)).total == LENGTHS[number]
    store.close()


async def test_a_database_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "db"
    Database(path).close()
    rows = np.array([[0, 1.5], [1, 2.5]])
    with closing(sqlite3.connect(path)) as old:
        old.executescript(
            "DROP TABLE media; DROP TABLE points;"
            " CREATE TABLE points (run INTEGER NOT NULL, first INTEGER NOT NULL, names TEXT NOT NULL,"
            " received_at REAL NOT NULL, rows BLOB NOT NULL, PRIMARY KEY (run, first));"
            " ALTER TABLE runs DROP COLUMN crc32; PRAGMA user_version = 1"
        )
        old.execute("INSERT INTO points VALUES (1, 0, ?, 1234.5, ?)", (json.dumps(["loss"]), rows.tobytes()))
        old.commit()
    database = Database(path)
    found = await database.read(lambda db: chunks.read(db, 1, 0, 0, 100))
    assert found.total == 1
    assert await database.read(lambda db: chunks.times(db, 1)) == [(0, 1234.5)]
    assert await database.read(lambda db: chunks.last(db, 1).rows.tolist()) == rows.tolist()  # type: ignore[union-attr]
    database.close()
    assert version_of(tmp_path / "db.version-1") == 1


async def test_a_database_without_checksums_is_taken_over(copied: Path) -> None:
    make_older(copied)
    await check_everything(copied)
    assert version_of(copied) == migrations.SCHEMA_VERSION
    kept = copied.with_name("db.version-2")
    assert version_of(kept) == 2
    await check_everything(kept)  # it is a whole database


def test_of_a_new_database_no_copy_is_made(tmp_path: Path) -> None:
    Database(tmp_path / "db").close()
    assert [path.name for path in tmp_path.iterdir()] == ["db"]


async def test_a_change_that_is_interrupted_leaves_the_old_one_and_one_copy(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_older(copied)
    with monkeypatch.context() as patch:
        patch.setitem(migrations._CHANGES, 2, "ALTER TABLE runs ADD COLUMN crc32 INTEGER; SELECT no_such_column;")
        for _ in range(2):
            with pytest.raises(DatabaseError, match="no_such_column"):
                Database(copied)
            assert version_of(copied) == 2
    await check_everything(copied)
    assert sorted(path.name for path in copied.parent.iterdir()) == ["db", "db.version-2"]


def test_another_copy_of_that_name_is_not_replaced(copied: Path) -> None:
    make_older(copied)
    copied.with_name("db.version-2").write_text("another")
    Database(copied).close()
    assert copied.with_name("db.version-2").read_text() == "another"
    assert version_of(copied.with_name("db.version-2-2")) == 2


def test_without_room_for_a_copy_nothing_is_changed(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_older(copied)

    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copies, "sync", fail)
    with pytest.raises(DatabaseError, match=r"No space left.*Nothing was changed.*Make room") as refused:
        Database(copied)
    assert "--data-dir" in str(refused.value)
    assert version_of(copied) == 2
    assert [path.name for path in copied.parent.iterdir()] == ["db"]


async def test_a_database_without_media_is_taken_over(tmp_path: Path, copied: Path) -> None:
    with closing(sqlite3.connect(copied)) as db:
        db.executescript("PRAGMA journal_mode = DELETE; DROP TABLE media; PRAGMA user_version = 3")
    await check_everything(copied)
    assert version_of(copied) == migrations.SCHEMA_VERSION
    assert version_of(tmp_path / "db.version-3") == 3
