"""What becomes of writing when the file cannot be used."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import UnavailableError
from app.storage.database import Database, Work

pytestmark = pytest.mark.anyio

LARGE = b"x" * (1 << 20)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "db")
    yield database
    database.close()


def put(key: str, value: str | bytes = "") -> Work[object]:
    """Work that stores a value."""
    return lambda db: db.execute("INSERT INTO board VALUES (?, ?)", (key, value))


async def keys(database: Database) -> set[str]:
    """The keys of all values that are stored."""
    return await database.read(lambda db: {key for (key,) in db.execute("SELECT key FROM board")})


async def limit_pages(database: Database, count: int) -> None:
    """Let the file have no more than so many pages, as a full disk does; at least those that it has."""
    await database.write(lambda db: db.execute(f"PRAGMA max_page_count = {count}").fetchone())


async def test_what_is_written_can_be_read_at_once(database: Database) -> None:
    await database.write(put("a"))
    assert await keys(database) == {"a"}


async def test_on_a_full_disk_nothing_is_stored_and_the_words_say_why(database: Database) -> None:
    await limit_pages(database, 1)
    with pytest.raises(UnavailableError, match=r"disk is full.*make room first"):
        await database.write(put("a", LARGE))
    assert await keys(database) == set()


async def test_once_there_is_room_again_writing_goes_on(database: Database) -> None:
    await limit_pages(database, 1)
    with pytest.raises(UnavailableError):
        await database.write(put("a", LARGE))
    await limit_pages(database, 1_000_000)
    await database.write(put("a", LARGE))
    assert await keys(database) == {"a"}


async def test_a_file_that_another_program_holds_is_said_to_be_locked(database: Database, tmp_path: Path) -> None:
    await database.write(lambda db: db.execute("PRAGMA busy_timeout = 0").fetchone())
    other = sqlite3.connect(tmp_path / "db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="database is locked"):
        await database.write(put("a"))
    other.close()
    await database.write(put("b"))
    assert await keys(database) == {"b"}


async def test_work_that_fails_undoes_only_itself(database: Database) -> None:
    def fail(db: sqlite3.Connection) -> None:
        put("half done")(db)
        raise ValueError("as it may")

    works = (database.write(work) for work in (put("a"), fail, put("b")))
    _, failed, _ = await asyncio.gather(*works, return_exceptions=True)
    assert isinstance(failed, ValueError)
    assert await keys(database) == {"a", "b"}


async def test_what_waits_to_be_written_is_written_before_the_file_is_closed(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    writing = asyncio.gather(*(database.write(put(f"{number}")) for number in range(100)))
    await asyncio.sleep(0)  # all of them have come
    database.close()
    await writing
    again = Database(tmp_path / "db")
    assert len(await keys(again)) == 100
    again.close()
