"""Backups: made of a database that is in use, checked, and put back."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.backup import backup, look, restore
from app.storage.check import check
from app.storage.database import Database
from app.storage.faults import DatabaseError
from app.storage.migrations import SCHEMA_VERSION
from app.storage.store import Store
from tests.harness import damage
from tests.harness.damage import damage_page, leaves_of
from tests.harness.stored import LENGTHS, points_of, record_of


def names(folder: Path) -> set[str]:
    """All files in a folder but those that SQLite keeps beside a database that was opened."""
    return {path.name for path in folder.iterdir() if not path.name.endswith(("-wal", "-shm"))}


@pytest.mark.anyio
async def test_a_backup_of_a_database_that_is_written_to_is_one_state(copied: Path, tmp_path: Path) -> None:
    store = Store(Database(copied))
    run = record_of(2)
    making = asyncio.create_task(asyncio.to_thread(backup, copied, tmp_path / "file", replace=False))
    seq = LENGTHS[2]
    while not making.done():
        seq = (await store.append(run, points_of(2, seq, seq + 50))).next_seq
    assert await making == len(LENGTHS)
    store.close()
    assert list(check(tmp_path / "file")) == []
    with closing(sqlite3.connect(tmp_path / "file")) as db:
        (kept,) = db.execute("SELECT next_seq FROM runs WHERE number = 2").fetchone()
    assert LENGTHS[2] <= kept <= seq
    assert names(tmp_path) == {"db", "file"}


@pytest.mark.parametrize(
    ("target", "words"), [("", "is a folder"), ("x/y", "no folder"), ("there", "--force"), ("db", "--force")]
)
def test_where_no_backup_can_be_made(copied: Path, tmp_path: Path, target: str, words: str) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(DatabaseError, match=words):
        backup(copied, tmp_path / target, replace=False)
    assert (tmp_path / "there").read_text() == "mine"
    assert names(tmp_path) == {"db", "there"}


def test_a_file_is_replaced_if_that_is_asked_for_but_not_the_database(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    assert backup(copied, tmp_path / "there", replace=True) == len(LENGTHS)
    assert look(tmp_path / "there") == len(LENGTHS)
    with pytest.raises(DatabaseError, match="is the database itself"):
        backup(copied, copied, replace=True)


def test_of_a_damaged_database_no_backup_is_made(copied: Path, tmp_path: Path) -> None:
    damage_page(copied, leaves_of(copied, "points")[0], damage.all_of_it)
    with pytest.raises(DatabaseError, match=r"No backup is made: the copy is damaged .*lossboard check"):
        backup(copied, tmp_path / "file", replace=False)
    assert names(tmp_path) == {"db"}


def test_a_backup_is_put_back_and_what_was_there_is_kept(copied: Path, tmp_path: Path) -> None:
    backup(copied, tmp_path / "file", replace=False)
    with closing(sqlite3.connect(copied)) as db:
        db.executescript("DELETE FROM runs WHERE number > 2")
    kept = restore(copied, tmp_path / "file")
    assert kept is not None
    assert (look(copied), look(kept)) == (len(LENGTHS), 2)
    assert list(check(copied)) == []
    assert names(tmp_path) == {"db", "file", kept.name}


def test_what_is_only_in_the_log_is_kept_as_well(copied: Path, tmp_path: Path) -> None:
    backup(copied, tmp_path / "file", replace=False)
    with closing(sqlite3.connect(copied)) as db:
        db.executescript("PRAGMA journal_mode = WAL; DELETE FROM runs WHERE number > 2")
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("db", "db-wal"):  # as a board leaves them that is killed
            shutil.copy(tmp_path / name, killed / name)
    kept = restore(killed / "db", tmp_path / "file")
    assert kept is not None
    assert (look(killed / "db"), look(kept)) == (len(LENGTHS), 2)
    assert names(killed) == {"db", kept.name}


def test_a_backup_is_put_where_nothing_is(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert restore(tmp_path / "new" / "db", copied) is None
    assert look(tmp_path / "new" / "db") == len(LENGTHS)


def test_a_database_that_another_program_has_open_is_not_replaced(copied: Path, tmp_path: Path) -> None:
    backup(copied, tmp_path / "file", replace=False)
    database = Database(copied)
    with pytest.raises(DatabaseError, match=r"locked.*Nothing was changed"):
        restore(copied, tmp_path / "file")
    database.close()
    assert names(tmp_path) == {"db", "file"}


def test_files_that_are_no_backups(copied: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 1000)
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.executescript("CREATE TABLE runs (x)")
    shutil.copy(copied, tmp_path / "newer")
    with closing(sqlite3.connect(tmp_path / "newer")) as db:
        db.executescript(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    damage_page(copied, leaves_of(copied, "runs")[0], damage.all_of_it)
    refused = {"none": "no file", "": "a folder", "text": "cannot be read", "other": "no database of Lossboard"}
    refused |= {"newer": "newer Lossboard", "db": "is damaged"}
    for name, words in refused.items():
        with pytest.raises(DatabaseError, match=words):
            look(tmp_path / name)
