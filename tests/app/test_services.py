"""A board that starts while its database cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.errors import UnavailableError
from app.services import StartError, when_free
from app.storage.database import DatabaseLockedError
from app.storage.faults import DatabaseError

pytestmark = pytest.mark.anyio


def sqlites(code: int, words: str) -> UnavailableError:
    """What using the store raises if SQLite raises this."""
    error = UnavailableError(f"It cannot be used ({words}).")
    error.__cause__ = sqlite3.OperationalError(words)
    error.__cause__.sqlite_errorcode = code
    return error


class Use:
    """Something that raises these, one after the other, and succeeds then."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "used"


async def at_once(_: float) -> None:
    """Stands for asyncio.sleep."""


async def test_a_board_that_starts_waits_while_its_database_is_locked_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    locked = sqlites(sqlite3.SQLITE_BUSY, "database is locked")
    use = Use(DatabaseLockedError(), locked, locked)
    assert await when_free(Path("db"), use, at_once) == "used"
    assert [record.message for record in caplog.records] == [
        "The database db is being used by another program; waiting until it is free, Ctrl-C ends this."
    ]


@pytest.mark.parametrize(
    "error", [DatabaseError("It is damaged."), sqlites(sqlite3.SQLITE_FULL, "disk is full")], ids=["damaged", "full"]
)
async def test_a_board_whose_database_cannot_be_used_does_not_start_and_says_why(error: Exception) -> None:
    with pytest.raises(StartError, match=str(error).replace("(", r"\(").replace(")", r"\)")):
        await when_free(Path("db"), Use(error), at_once)
