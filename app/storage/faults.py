"""What can be wrong with a database: it cannot be used, or what it holds is damaged.

Damage shows in many forms: SQLite finds a page malformed, a text is no UTF-8 or no JSON, a BLOB has not the length that
its row says, a number is a text. Here all of them become one exception.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

# Primary result codes of SQLite that say nothing of what is stored: locks, memory, files, disks; and its words for what
# has no code of its own.
_PASSING = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}
_WORDS = (
    "no such table",
    "no such column",
    "no such index",
    "unsupported file format",
    "malformed",
    "Could not decode",
)


class DatabaseError(Exception):
    """The database cannot be used; the text says why and what to do."""


class CorruptError(Exception):
    """What is stored cannot be what was once stored; the text says what is wrong with it."""


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error of SQLite is about what is stored: it will be the same at the next try."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return False
    if code == sqlite3.SQLITE_ERROR:
        return str(error).startswith(_WORDS)
    return code == sqlite3.SQLITE_IOERR_READ or code & 0xFF not in _PASSING


@contextmanager
def damage_found() -> Iterator[None]:
    """Raise CorruptError for damage in whatever form it shows in this block, which reads what is stored."""
    try:
        yield
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        raise CorruptError(str(error)) from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise CorruptError(f"{type(error).__name__}: {error}") from error
