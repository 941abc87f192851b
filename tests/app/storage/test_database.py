"""What becomes of writing when the file cannot be used."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.errors import UnavailableError
from app.storage.data_dir import wait_until_free
from app.storage.database import Database, DatabaseLockedError, Work
from tests.harness.boards import PATIENCE
from tests.harness.waiting import until

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


async def test_work_that_finds_the_disk_full_in_a_batch_says_so_to_all_of_it(database: Database) -> None:
    """SQLite undoes the whole transaction by itself then, and with it the savepoint of each work."""

    def fill(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA cache_size = 1")  # so that pages are written before the end of the transaction
        db.execute("PRAGMA cache_spill = 1")
        for number in range(100):
            put(f"large {number}", LARGE)(db)

    await limit_pages(database, 1000)
    outcomes = await gather_in_one_batch(database, put("a"), fill, put("b"))
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    assert {str(outcome) for outcome in outcomes} == {
        "The database cannot be used just now (database or disk is full). Nothing was changed; make room first, then"
        " try again."
    }
    assert await keys(database) == set()


async def gather_in_one_batch(database: Database, *works: Work[object]) -> list[object]:
    """The values or exceptions of these works, in one transaction."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    waiting = asyncio.create_task(database.write(wait))
    await until(begun.is_set)
    writing = asyncio.gather(*map(database.write, works), return_exceptions=True)
    await asyncio.sleep(0)  # all of them have come
    go_on.set()
    await waiting
    return await writing


async def test_a_transaction_that_sqlite_has_undone_by_itself_is_no_success_for_anyone(database: Database) -> None:
    def undo(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")
        raise sqlite3.OperationalError("as on a full disk")

    outcomes = await gather_in_one_batch(database, put("a"), undo, put("b"))
    assert [str(outcome) for outcome in outcomes] == [str(outcomes[0])] * 3
    assert "as on a full disk" in str(outcomes[0])
    assert await keys(database) == set()
    await database.write(put("c"))
    assert await keys(database) == {"c"}


# --- another program holds the file -----------------------------------------------------------------------------------


@contextmanager
def another_program(path: Path, *, exclusive: bool = False) -> Iterator[sqlite3.Connection]:
    """For as long as the block runs another program holds the file: no one else may write, nor read if
    ``exclusive``."""
    other = sqlite3.connect(path, isolation_level=None)
    if exclusive:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT OR REPLACE INTO board VALUES ('other', '')")
    if exclusive:
        other.execute("COMMIT")
    yield other
    other.close()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_file_that_another_program_holds_is_said_to_be_locked(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db", patience_s=0)) as database:
        free = r"database is locked.*Nothing was changed.*once it is free"
        with another_program(tmp_path / "db"), pytest.raises(UnavailableError, match=free):
            await database.write(put("a"))
        await database.write(put("b"))
        assert await keys(database) == {"b"}


async def test_a_short_lock_is_waited_for(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db", patience_s=PATIENCE)) as database:
        with another_program(tmp_path / "db"):
            writing = asyncio.create_task(database.write(put("a")))
            await until(lambda: database._writing._seen_at >= 0)
            assert not writing.done()
        await writing
        assert await keys(database) == {"a"}


def locked(times: int) -> Work[str]:
    """Reading that finds the file locked so many times, as at the moment when another program recovers its log."""
    left = iter(range(times))

    def read(db: sqlite3.Connection) -> str:
        if next(left, None) is not None:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
            raise error
        return str(db.execute("SELECT 'read'").fetchone()[0])

    return read


async def test_what_cannot_be_read_because_of_a_short_lock_is_read_again(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db", patience_s=PATIENCE)) as database:
        assert await database.read(locked(3)) == "read"


async def test_what_cannot_be_read_because_of_a_long_lock_is_said_to_be_locked(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "db", patience_s=0)) as database:
        with pytest.raises(UnavailableError, match="database is locked"):
            await database.read(locked(1))
        assert await database.read(locked(0)) == "read"


async def test_nobody_is_kept_waiting_who_comes_during_a_long_lock(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Database(tmp_path / "db", patience_s=5, clock=clock)) as database:
        with another_program(tmp_path / "db"):
            first = asyncio.create_task(database.write(put("a")))
            await until(lambda: database._writing._seen_at == 0)
            clock.now = 4.9
            await until(lambda: database._writing._seen_at == 4.9)
            assert not first.done()
            clock.now = 5.0
            with pytest.raises(UnavailableError):
                await first
            with pytest.raises(UnavailableError):  # at once: the clock stands still
                await database.write(put("b"))
        await database.write(put("c"))
        clock.now = 6.0
        with another_program(tmp_path / "db"):  # another lock
            last = asyncio.create_task(database.write(put("d")))
            await until(lambda: database._writing._seen_at == 6.0)
            assert not last.done()
        await last
        assert await keys(database) == {"c", "d"}


async def test_a_lock_after_a_time_in_which_nobody_asked_is_another_one(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Database(tmp_path / "db", patience_s=5, clock=clock)) as database:
        with another_program(tmp_path / "db"):
            first = asyncio.create_task(database.write(put("a")))
            await until(lambda: database._writing._seen_at == 0)
            clock.now = 5.0
            with pytest.raises(UnavailableError):
                await first
            clock.now = 1000.0
            second = asyncio.create_task(database.write(put("b")))
            await until(lambda: database._writing._seen_at == 1000.0)
            assert not second.done()
        await second


async def test_a_database_that_is_locked_is_closed_at_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "db", patience_s=1e9)
    with another_program(tmp_path / "db"):
        writing = asyncio.create_task(database.write(put("a")))
        await until(lambda: database._writing._seen_at >= 0)
        database.close()
        with pytest.raises(UnavailableError):
            await writing


async def test_a_lock_is_in_the_log_once_a_minute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with (
        closing(Database(tmp_path / "db", patience_s=0, clock=clock)) as database,
        another_program(tmp_path / "db"),
    ):
        for now in (0, 1, 59, 60):
            clock.now = now
            with pytest.raises(UnavailableError):
                await database.write(put("a"))
    assert caplog.text.count("the database cannot be used: database is locked") == 2


@pytest.mark.parametrize("exclusive", [False, True], ids=["not written", "not even read"])
def test_a_database_that_is_locked_cannot_be_opened_now(tmp_path: Path, *, exclusive: bool) -> None:
    Database(tmp_path / "db").close()
    with another_program(tmp_path / "db", exclusive=exclusive), pytest.raises(DatabaseLockedError, match="Ctrl-C"):
        Database(tmp_path / "db")


def test_whoever_opens_a_database_that_is_locked_waits_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Database(tmp_path / "db").close()
    with another_program(tmp_path / "db") as other:
        waits = iter([lambda: None, lambda: None, other.close])
        wait_until_free(lambda: Database(tmp_path / "db").close(), sleep=lambda _: next(waits)())
    assert next(waits, None) is None
    assert caplog.text.count("is being used by another program; waiting until it is free, Ctrl-C ends this.") == 1


# --- one work and the others ------------------------------------------------------------------------------------------


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


async def test_closing_waits_for_what_is_being_read(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    reading, go_on = threading.Event(), threading.Event()

    def read(db: sqlite3.Connection) -> int:
        reading.set()
        go_on.wait(PATIENCE)
        return int(db.execute("SELECT 1").fetchone()[0])

    answer = asyncio.create_task(database.read(read))
    await asyncio.to_thread(reading.wait, PATIENCE)
    answer.cancel()  # the request was given up; its thread goes on
    closing = threading.Thread(target=database.close)
    closing.start()
    await until(lambda: database._closed and not database._writer.is_alive())
    assert closing.is_alive()
    go_on.set()
    await asyncio.to_thread(closing.join, PATIENCE)
    assert not closing.is_alive()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        await database.read(lambda db: db.execute("SELECT 1").fetchone())


async def test_a_long_read_is_ended_when_the_database_is_closed(tmp_path: Path) -> None:
    database = Database(tmp_path / "db")
    reading = threading.Event()

    def count(db: sqlite3.Connection) -> object:
        reading.set()
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        return db.execute(endless).fetchone()

    answer = asyncio.create_task(database.read(count))
    await asyncio.to_thread(reading.wait, PATIENCE)
    await asyncio.to_thread(database.close)
    with pytest.raises(UnavailableError, match="interrupted"):
        await answer
