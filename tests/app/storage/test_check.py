"""What `lossboard check` finds in a database, and what becomes of it when it is rebuilt."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.backup import repair
from app.storage.check import check
from app.storage.faults import DatabaseError
from app.storage.records import COLUMNS, RunRecord
from tests.harness import damage
from tests.harness.damage import damage_page, leaves_of, pages_of
from tests.harness.stored import LENGTHS, record_of

UNUSED = f"INSERT INTO datasets VALUES ('{hashlib.sha256(bytes(16)).hexdigest()}', zeroblob(16))"  # noqa: S608


def change(path: Path, *statements: str) -> None:
    """Change a database behind Lossboard's back."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(";".join(statements))


def found(path: Path) -> list[str]:
    """What is found, one sentence or two each."""
    return [str(finding) for finding in check(path)]


def one(path: Path) -> str:
    """The only thing that is found."""
    (finding,) = found(path)
    return finding


def records(path: Path) -> list[RunRecord]:
    """All runs in a database."""
    with closing(sqlite3.connect(path)) as db:
        return [RunRecord.from_row(row) for row in db.execute(f"SELECT {COLUMNS} FROM runs ORDER BY number")]  # noqa: S608


def test_a_sound_database_gives_nothing_to_say(sound: Path) -> None:
    assert found(sound) == []


@pytest.mark.parametrize("kind", [damage.all_of_it, damage.its_head, damage.zeros], ids=lambda kind: kind.__name__)
def test_damage_on_every_page_is_found_unless_it_is_free(tmp_path: Path, sound: Path, kind: damage.Damage) -> None:
    with closing(sqlite3.connect(sound)) as db:
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
    unnoticed = 0
    for number in pages_of(sound):
        shutil.copy(sound, tmp_path / "db")
        damage_page(tmp_path / "db", number, kind)
        try:
            unnoticed += not found(tmp_path / "db")
        except DatabaseError as error:
            assert number == 1, error  # noqa: PT017  (which has the format's number)
    assert unnoticed <= free


def test_damaged_pages_are_told_with_their_table(copied: Path) -> None:
    damage_page(copied, leaves_of(copied, "points")[1], damage.all_of_it)
    sentences = found(copied)
    assert any("Pages of points are damaged" in one for one in sentences), sentences
    assert any("Run run" in one and "cannot be read" in one for one in sentences)
    assert all("lossboard restore FILE" in one for one in sentences)


def test_points_with_a_wrong_checksum(copied: Path) -> None:
    change(copied, "UPDATE points SET rows = zeroblob(length(rows)) WHERE run = 1")
    sentences = " ".join(found(copied))
    assert f"({record_of(1).id}) has points that cannot be read: the checksum of the records from 0 on" in sentences


def test_points_from_before_there_were_checksums_are_not_checked(copied: Path) -> None:
    change(copied, "UPDATE points SET crc32 = NULL")
    assert found(copied) == []


def test_records_that_are_missing_unless_that_is_known(copied: Path) -> None:
    change(copied, "DELETE FROM points WHERE run = 4 AND first = 0")
    with closing(sqlite3.connect(copied)) as db:
        (first,) = db.execute("SELECT min(first) FROM points WHERE run = 4").fetchone()
        assert f"lacks records 0 to {first - 1}" in one(copied)
        run = record_of(4)
        run.missing = [[0, first]]
        db.execute("UPDATE runs SET record = ?, crc32 = NULL WHERE number = 4", (run.to_json(),))
        db.commit()
    assert found(copied) == []


def test_the_number_of_the_next_record(copied: Path) -> None:
    change(copied, "UPDATE runs SET next_seq = 30 WHERE number = 3")
    assert "has 40 records, and record 30 is said to be the next" in one(copied)
    change(copied, "UPDATE runs SET next_seq = 41 WHERE number = 3")
    assert "lacks record 40" in one(copied)


def test_what_belongs_to_nothing(copied: Path) -> None:
    change(
        copied,
        "INSERT INTO points SELECT 55, first, count, names, low, high, times, extremes, rows, NULL FROM points"
        " WHERE run = 3",
        UNUSED,
        "INSERT INTO deleted SELECT id FROM runs WHERE number = 2",
    )
    sentences = " ".join(found(copied))
    assert "There are points of run #55, which are not there" in sentences
    assert "There are data of no run (1)" in sentences
    assert "is said to be deleted, and is there" in sentences


def test_records_and_data_and_a_view_that_cannot_be_read(copied: Path) -> None:
    change(
        copied,
        "UPDATE runs SET record = '{' WHERE number = 2",
        "UPDATE datasets SET xy = 'garbled'",
        "UPDATE board SET value = '[5]'",
    )
    sentences = " ".join(found(copied))
    assert f"({record_of(2).id}) is marked as damaged: What is stored of it" in sentences
    assert "Data, those of runs #1, #3, #5, #7, cannot be read" in sentences
    assert "The stored view cannot be read" in sentences


def test_a_journal_that_could_not_be_sent_whole(copied: Path) -> None:
    journal = copied.parent / "journals" / "abc"
    journal.mkdir(parents=True)
    (journal / "damaged").write_text("its head is zeroed")
    assert f"{journal} is damaged and was not sent whole: its head is zeroed." in one(copied)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("nothing" * 1000)
    assert "cannot be opened" in one(tmp_path / "db")


def test_repair_keeps_all_that_can_be_read_and_notes_the_rest(copied: Path) -> None:
    damage_page(copied, leaves_of(copied, "points")[1], damage.all_of_it)
    rebuilt = repair(copied)
    assert rebuilt.kept.exists()
    marked = [run for run in records(copied) if run.damage]
    assert 1 <= len(marked) < len(LENGTHS)
    assert all(run.missing and "lost" in (run.damage or "") for run in marked)
    assert len(rebuilt.lost) == len(marked)
    assert len(found(copied)) == len(marked)  # it says so, and that is all


def test_repair_of_a_sound_database_changes_nothing(copied: Path) -> None:
    before = records(copied)
    assert repair(copied).lost == []
    assert records(copied) == before
    assert found(copied) == []


def test_repair_makes_do_without_what_belongs_to_nothing(copied: Path) -> None:
    change(copied, "DELETE FROM runs WHERE number = 1", UNUSED)
    assert len(found(copied)) == 2
    assert repair(copied).lost == []
    assert found(copied) == []
