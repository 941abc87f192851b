"""What a look at everything in a data folder finds: damage, what is missing, and what belongs to nothing."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.schemas.view import View
from app.storage import chunks, media
from app.storage.copies import open_read_only
from app.storage.datasets import decode_data
from app.storage.faults import CorruptError, DatabaseError, damage_found, is_damage
from app.storage.migrations import SCHEMA_VERSION
from app.storage.rebuild import INDEXES
from app.storage.records import COLUMNS, RunRecord

MOST_PROBLEMS = 20  # that SQLite is asked for

REPAIR = "`lossboard check --repair` makes a new database of all that can be read"
RESTORE = "`lossboard restore FILE` puts a backup in its place"
DELETE = "Delete the run on the page"
KEEP = "Nothing need be done"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, and what can be done, in sentences."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}."


def check(path: Path) -> Iterator[Finding]:
    """Look at everything in a database, also while a board uses it, and at the journals beside it. What is found is
    told as it is found. DatabaseError if it cannot be read just now, or is of another version."""
    try:
        connection = open_read_only(path)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise DatabaseError(f"The database {path} cannot be read just now: {error}.") from error
        yield Finding(f"The database {path} cannot be opened: {error}.", _or(RESTORE))
        return
    try:
        connection.execute("BEGIN")  # all of it as it is at this moment
        yield from _Check(connection).all()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise DatabaseError(f"The database {path} cannot be read just now: {error}.") from error
        yield Finding(f"Not everything could be looked at: {error}.", _or(REPAIR, RESTORE))
    finally:
        connection.close()
    yield from _journals(path.parent)


class _Check:
    """One look at one database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def all(self) -> Iterator[Finding]:
        """Everything that is found."""
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            age = "an older" if version < SCHEMA_VERSION else "a newer"
            raise DatabaseError(
                f"The database is of {age} Lossboard (its format is {version}, this one's {SCHEMA_VERSION})."
                f" {'Start a board on it, which brings it up to date' if age == 'an older' else 'Update Lossboard'}."
            )
        yield from self._pages()
        yield from self._settings()
        yield from self._datasets()
        for number in self._list("SELECT number FROM runs ORDER BY number"):
            yield from self._run(number)
        yield from self._orphans()

    def _pages(self) -> Iterator[Finding]:
        """What SQLite itself finds."""
        if problems := self._problems(f"PRAGMA integrity_check({MOST_PROBLEMS})"):
            tables = [table for table in INDEXES if self._problems(f"PRAGMA integrity_check('{table}')")]
            where = f" of {' and '.join(tables)}" if tables else ""
            others = len(problems) - 1
            more = f", and {'at least ' if others + 1 >= MOST_PROBLEMS else ''}{others} more" if others else ""
            what = f"Pages{where} are damaged (SQLite says: {problems[0]}{more})."
            yield Finding(what, _or(REPAIR, RESTORE))

    def _problems(self, pragma: str) -> list[str]:
        """The lines that a check of SQLite answers; [] if all is well."""
        problems: list[str] = []
        try:
            with damage_found():
                for (text,) in self._db.execute(pragma):
                    problems += [line for line in text.splitlines() if line != "ok" and not line.startswith("***")]
        except CorruptError as error:
            problems.append(str(error))
        return problems

    def _settings(self) -> Iterator[Finding]:
        try:
            with damage_found():
                for (value,) in self._db.execute("SELECT value FROM board WHERE key = 'board'"):
                    View.model_validate(json.loads(value))
        except (CorruptError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            yield Finding(f"The stored view cannot be read ({reason}).", f"{KEEP}: a board shows what of it is valid")

    def _datasets(self) -> Iterator[Finding]:
        for number in self._list("SELECT rowid FROM datasets"):
            row = None
            try:
                with damage_found():
                    row = self._db.execute("SELECT hash, xy FROM datasets WHERE rowid = ?", (number,)).fetchone()
                    decode_data(*row)
            except CorruptError as error:
                users = self._list("SELECT number FROM runs WHERE data_hash = ?", row[0]) if row else []
                whose = f", those of {_runs(users)}," if users else ""
                yield Finding(f"Data{whose} cannot be read ({error}).", _or(DELETE, RESTORE))

    def _run(self, number: int) -> Iterator[Finding]:
        record = None
        try:
            with damage_found():
                query = f"SELECT {COLUMNS}, next_seq FROM runs WHERE number = ?"  # noqa: S608
                *row, next_seq = self._db.execute(query, (number,)).fetchone()
                record = RunRecord.from_row(row)
                yield from self._what_belongs_to(record, next_seq)
                yield from self._media(record)
        except CorruptError as error:
            name = f"Run {record.name} ({record.id})" if record else f"Run {number}"
            yield Finding(f"{name} cannot be read: {error}.", _or(DELETE, REPAIR, RESTORE))

    def _what_belongs_to(self, record: RunRecord, next_seq: int) -> Iterator[Finding]:
        name = f"Run {record.name} ({record.id})"
        if record.damage:
            yield Finding(f"{name} is marked as damaged: {record.damage}", _or(DELETE, REPAIR, RESTORE))
        if self._list("SELECT 1 FROM deleted WHERE id = ?", record.id):
            yield Finding(f"{name} is said to be deleted, and is there.", _or(DELETE))
        has_data = record.data_hash is None or self._list("SELECT 1 FROM datasets WHERE hash = ?", record.data_hash)
        if not has_data:
            yield Finding(f"{name} lacks its data.", _or(DELETE, RESTORE))
        found = []
        for first in self._list("SELECT first FROM points WHERE run = ? ORDER BY first", record.number):
            try:
                with damage_found():
                    query = "SELECT * FROM points WHERE run = ? AND first = ?"
                    chunk = chunks.check(self._db.execute(query, (record.number, first)).fetchone())
                    found.append((first, first + len(chunk)))
            except CorruptError as error:
                yield Finding(f"{name} has points that cannot be read: {error}.", _or(DELETE, REPAIR, RESTORE))
        if any(after > first for (_, after), (first, _) in itertools.pairwise(found)):
            yield Finding(f"{name} has some points twice.", _or(DELETE, REPAIR, RESTORE))
        end = max((after for _, after in found), default=0)
        for first, after in chunks.gaps(found, max(end, next_seq), record.missing):
            words = f"records {first} to {after - 1}" if after - first > 1 else f"record {first}"
            yield Finding(f"{name} lacks {words}.", _or(DELETE, REPAIR, RESTORE))
        if next_seq < end:
            what = f"{name} has {end} records, and record {next_seq} is said to be the next."
            yield Finding(what, _or(DELETE, REPAIR, RESTORE))

    def _media(self, record: RunRecord) -> Iterator[Finding]:
        for number in self._list("SELECT number FROM media WHERE run = ? ORDER BY number", record.number):
            try:
                with damage_found():
                    media.check(self._db.execute("SELECT * FROM media WHERE number = ?", (number,)).fetchone())
            except CorruptError as error:
                what = f"Run {record.name} ({record.id}) has media that cannot be read: {error}."
                yield Finding(what, _or(DELETE, REPAIR, RESTORE))

    def _orphans(self) -> Iterator[Finding]:
        lost = self._list("SELECT DISTINCT run FROM points WHERE run NOT IN (SELECT number FROM runs)")
        if lost:
            yield Finding(f"There are points of {_runs(lost)}, which are not there.", f"{KEEP}; {REPAIR}, without them")
        used = "SELECT data_hash FROM runs WHERE data_hash IS NOT NULL"
        unused = self._list(f"SELECT hash FROM datasets WHERE hash NOT IN ({used})")  # noqa: S608
        if unused:
            yield Finding(f"There are data of no run ({len(unused)}).", f"{KEEP}; {REPAIR}, without them")

    def _list(self, query: str, *values: object) -> list[Any]:
        """The first column of all that a query finds until damage ends it."""
        found: list[Any] = []
        try:
            with damage_found():
                found.extend(row[0] for row in self._db.execute(query, values))
        except CorruptError:  # which the look at all pages has found
            pass
        return found


def _journals(folder: Path) -> Iterator[Finding]:
    """The journals of which not everything could be sent."""
    for note in sorted((folder / "journals").glob("*/damaged")):
        reason = note.read_text(encoding="utf-8", errors="replace").strip()[:500] if note.is_file() else ""
        what = f"The journal in {note.parent} is damaged and was not sent whole" + (f": {reason}" if reason else ".")
        yield Finding(
            what if what.endswith(".") else f"{what}.", "Keep it, or remove the folder if you can do without it"
        )


def _runs(numbers: list[Any]) -> str:
    return ("run " if len(numbers) == 1 else "runs ") + ", ".join(f"#{number}" for number in numbers[:20])


def _or(*remedies: str) -> str:
    return ", or ".join([remedies[0][0].upper() + remedies[0][1:], *(one[0].lower() + one[1:] for one in remedies[1:])])
