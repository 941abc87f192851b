"""A damaged database: whether a board can work on it, and how a sound one is made of all that can be read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.storage import chunks, media
from app.storage.copies import decode, put_in_place, remove
from app.storage.faults import CorruptError, DatabaseError, damage_found
from app.storage.migrations import SCHEMA
from app.storage.records import COLUMNS, RunRecord

log = logging.getLogger("lossboard.database")

MAX_TRIED = 2_000_000  # rows of a table that are tried one by one, whether anything names them or not
REBUILD = "rebuild"  # the key of the setting which says that something could not be stored, because of damage
DATE = "%Y-%m-%d-%H%M%S"  # in names of files
INDEXES = {  # of each table, the index by name, and its first column
    "runs": {
        "sqlite_autoindex_runs_1": "id",
        "runs_by_status": "status",
        "runs_by_group": "run_group",
        "runs_by_data": "data_hash",
    },
    "datasets": {"sqlite_autoindex_datasets_1": "hash"},
    "deleted": {"sqlite_autoindex_deleted_1": "id"},
    "board": {"sqlite_autoindex_board_1": "key"},
    "points": {"sqlite_autoindex_points_1": "run"},
    "media": {"media_by_run": "run", "media_by_name": "run"},
}
FOUND_EARLIER = ("Its points cannot be read", "Its data cannot be read")  # what a new look may tell otherwise


@dataclass
class Rebuilt:
    """What became of a damaged database: the name under which it is kept, and what is lost, in sentences."""

    kept: Path
    lost: list[str] = field(default_factory=list)


def damage_that_stops(connection: sqlite3.Connection) -> str | None:
    """What is damaged of that without which no board can work: the lists of runs and settings, and the places where
    new points go. To check all points would take as long as to read them."""
    for table in ("runs", "deleted", "board"):
        try:
            with damage_found():
                (found,) = connection.execute(f"PRAGMA integrity_check('{table}')").fetchone()
        except CorruptError as error:
            found = str(error)
        if found != "ok":
            return f"{table}: {found.strip().splitlines()[-1]}"
    noted = connection.execute("SELECT value FROM board WHERE key = ?", (REBUILD,)).fetchone()
    return str(noted[0]) if noted else _damage_to_writing(connection)


def rebuild_at_start(path: Path, damage: str) -> None:
    """Rebuild a database on which no board can work, and say so. DatabaseError if that cannot be done."""
    try:
        rebuilt = rebuild(path)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(
            f"The database {path} is damaged ({damage}), and what can be read of it cannot be copied into a new one:"
            f" {error}. Make room, or put a backup in its place with `lossboard restore`, or choose another folder with"
            " --data-dir."
        ) from error
    log.warning(
        "the database was damaged (%s); all that can be read of it is in a new one now, and the damaged one is kept as"
        " %s. %s `lossboard check` tells more.",
        damage,
        rebuilt.kept,
        " ".join(rebuilt.lost) or "Nothing is lost.",
    )


def rebuild(path: Path) -> Rebuilt:
    """Make a sound database of all that can be read of the one at ``path``, and put it in its place; no other program
    may have it open. What cannot be read is noted in the runs it belongs to. sqlite3.Error, OSError."""
    rebuilt = Rebuilt(path.with_name(f"{path.name}.damaged-{time.strftime(DATE)}"))
    new = path.with_name(f"{path.name}.rebuilding")
    remove(new)
    try:
        with (
            contextlib.closing(sqlite3.connect(path, isolation_level=None)) as source,
            contextlib.closing(sqlite3.connect(new, isolation_level=None)) as target,
        ):
            source.text_factory = decode
            target.executescript(f"BEGIN; {SCHEMA}")
            _Rebuilding(source, target, rebuilt).all()
            target.execute("COMMIT")
        put_in_place(new, path, rebuilt.kept)
    finally:
        remove(new)
    return rebuilt


class _Rebuilding:
    """One database that is copied into another, as far as it can be read."""

    def __init__(self, source: sqlite3.Connection, target: sqlite3.Connection, rebuilt: Rebuilt) -> None:
        self._source = source
        self._target = target
        self._lost = rebuilt.lost
        self._unreadable: dict[int, list[str]] = {}  # what was found in the points of a run

    def all(self) -> None:
        """Copy everything."""
        self._copy_names("deleted", "id")
        self._copy_settings()
        self._copy_datasets()
        ends = self._copy_points()
        self._copy_media()
        self._copy_runs(ends)

    def _copy_names(self, table: str, column: str) -> None:
        names = {name for (name,) in self._rows(table, column) if isinstance(name, str)}
        names |= {
            name for _, name in self._index(f"sqlite_autoindex_{table}_1", table, column) if isinstance(name, str)
        }
        self._target.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", [(name,) for name in sorted(names)])  # noqa: S608

    def _copy_settings(self) -> None:
        for key, value in self._rows("board", "key, value"):
            try:
                with damage_found():
                    json.loads(value)
                    if key != REBUILD:
                        self._target.execute("INSERT OR IGNORE INTO board VALUES (?, ?)", (key, value))
            except CorruptError:
                self._lost.append(f"The setting {key!r} is lost.")

    def _copy_datasets(self) -> None:
        for data_hash, blob in self._rows("datasets", "hash, xy"):
            if isinstance(blob, bytes) and hashlib.sha256(blob).hexdigest() == data_hash:
                self._target.execute("INSERT OR IGNORE INTO datasets VALUES (?, ?)", (data_hash, blob))

    def _copy_points(self) -> dict[int, int]:
        """The number after the last record of each run that has points."""
        ends: dict[int, int] = {}
        for row in self._rows("points", "*"):
            run = row[0]
            try:
                with damage_found():
                    chunk = chunks.check(row)
                    self._target.execute("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                    ends[run] = max(ends.get(run, 0), chunk.seq + len(chunk))
            except CorruptError as error:
                if isinstance(run, int):  # or nobody knows whose they are
                    self._unreadable.setdefault(run, []).append(str(error))
        return ends

    def _copy_media(self) -> None:
        for row in self._rows("media", "*"):
            try:
                with damage_found():
                    media.check(row)
                    self._target.execute(f"INSERT INTO media VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
            except CorruptError as error:
                if isinstance(row[1], int):
                    self._unreadable.setdefault(row[1], []).append(str(error))

    def _copy_runs(self, ends: dict[int, int]) -> None:
        rows = {row[0]: row for row in self._rows("runs", f"{COLUMNS}, next_seq")}
        known = {column: dict(self._index(index, "runs", column)) for index, column in INDEXES["runs"].items()}
        deleted = {run_id for (run_id,) in self._target.execute("SELECT id FROM deleted")}
        used: set[str] = set()
        unread = known["id"].keys() - rows.keys()
        nameless = ends.keys() - rows.keys() - unread if unread or self._is_damaged("runs") else set()
        for number in sorted(rows.keys() | unread | nameless):
            *row, next_seq = rows.get(number) or self._row_from_indexes(number, known)
            if row[1] != known["id"].get(number, row[1]):  # one of the two is damaged, and the record has it again
                row[1] = _id_of(row, known["id"][number])
            if row[1] not in deleted:
                row[1] = f"lost-{number}" if row[1] in used else row[1]
                used.add(row[1])
                self._add_run(RunRecord.from_row(row), ends.get(number, 0), next_seq)
        (last,) = self._target.execute("SELECT max(coalesce(max(number), 0), ?) FROM runs", (max(ends, default=0),))
        for table in ("points", "media"):
            self._target.execute(f"DELETE FROM {table} WHERE run NOT IN (SELECT number FROM runs)")  # noqa: S608
        self._target.execute(
            "DELETE FROM datasets WHERE hash NOT IN (SELECT data_hash FROM runs WHERE data_hash IS NOT NULL)"
        )
        self._target.execute("DELETE FROM sqlite_sequence WHERE name = 'runs'")
        self._target.execute("INSERT INTO sqlite_sequence VALUES ('runs', ?)", (max(last[0], self._last_number()),))

    def _row_from_indexes(self, number: int, known: dict[str, dict[Any, Any]]) -> tuple[Any, ...]:
        run_id, status, group, data_hash = (known[column].get(number) for column in INDEXES["runs"].values())
        return number, run_id or f"lost-{number}", status or "interrupted", group, data_hash, None, None, None

    def _add_run(self, record: RunRecord, end: int, next_seq: Any) -> None:
        """``end`` is the number after the last record that could be read, ``next_seq`` that which was to come."""
        number = record.number
        damage = [record.damage] if record.damage and not record.damage.startswith(FOUND_EARLIER) else []
        next_seq = max(end, next_seq) if isinstance(next_seq, int) and 0 <= next_seq < 2**53 else end
        query = "SELECT first, first + count FROM points WHERE run = ? ORDER BY first"
        lacking = chunks.gaps(self._target.execute(query, (number,)), next_seq, record.missing)
        if lacking:
            record.missing = sorted([*record.missing, *map(list, lacking)])
            damage.append("Records that cannot be read are lost: " + ", ".join(_words(*gap) for gap in lacking) + ".")
        elif number in self._unreadable:
            damage.append(f"Some of its points or media are lost ({self._unreadable[number][0]}).")
        if (
            record.data_hash
            and not self._target.execute("SELECT 1 FROM datasets WHERE hash = ?", (record.data_hash,)).fetchone()
        ):
            damage.append("Its data is lost.")
        record.damage = " ".join(damage) or None
        if record.damage:
            self._lost.append(f"Run {record.name} ({record.id}): {record.damage}")
        self._target.execute(
            "INSERT INTO runs (number, id, next_seq, record, crc32, status, run_group, data_hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, record.id, next_seq, *record.to_row()),
        )

    def _rows(self, table: str, columns: str) -> Iterator[tuple[Any, ...]]:
        """Every row of a table that can be read."""
        for number in self._row_numbers(table):
            yield from self._list(f"SELECT {columns} FROM {table} NOT INDEXED WHERE rowid = ?", number)  # noqa: S608

    def _row_numbers(self, table: str) -> Iterable[int]:
        """The numbers of all rows that a table may have: those that are found from its beginning, from its end and in
        its indexes, and all numbers between."""
        found: set[int] = set()
        sources = [f"{table} NOT INDEXED ORDER BY rowid {order}" for order in ("ASC", "DESC")]
        for index, column in INDEXES[table].items():
            sources += [f"{table} INDEXED BY {index} ORDER BY {column} {order}" for order in ("ASC", "DESC")]
        for source in sources:
            found |= {number for (number,) in self._list(f"SELECT rowid FROM {source}")}  # noqa: S608
        tried = range(1, min(max(found, default=0), MAX_TRIED) + 1)
        return sorted(found.union(tried))

    def _index(self, index: str, table: str, column: str) -> list[tuple[Any, ...]]:
        """Row number and value of each entry of an index that can be read from one of its ends."""
        query = f"SELECT rowid, {column} FROM {table} INDEXED BY {index} WHERE {column} IS NOT NULL ORDER BY {column}"  # noqa: S608
        return [*self._list(query), *self._list(f"{query} DESC")]

    def _list(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds until damage ends it."""
        found: list[tuple[Any, ...]] = []
        with contextlib.suppress(CorruptError), damage_found():
            found.extend(self._source.execute(query, values))
        return found

    def _is_damaged(self, table: str) -> bool:
        found = self._list(f"PRAGMA integrity_check('{table}')")
        return found != [("ok",)]

    def _last_number(self) -> int:
        found = self._list("SELECT seq FROM sqlite_sequence WHERE name = 'runs'")
        number = found[0][0] if found else 0
        return number if isinstance(number, int) and 0 <= number < 2**53 else 0


def _id_of(row: list[Any], indexed: str) -> str:
    """Which of the two ids a run has, that of its row or that of the index: the one that its record has, too."""
    with contextlib.suppress(CorruptError), damage_found():
        if json.loads(row[5])["id"] == row[1]:
            return str(row[1])
    return indexed


def _words(first: int, after: int) -> str:
    return f"{first} to {after - 1}" if after - first > 1 else f"{first}"


def _damage_to_writing(connection: sqlite3.Connection) -> str | None:
    """Store something new in each table, and take it back."""
    (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        with damage_found():
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO runs (id, record, status) VALUES ('', '', '')")
            connection.execute(
                "INSERT INTO points VALUES (?, 0, 0, '', 0, 0, '', NULL, zeroblob(100000), NULL)", (1 << 62,)
            )
            connection.execute("INSERT INTO datasets VALUES ('', zeroblob(100000))")
    except CorruptError as error:
        return f"nothing new can be stored: {error}"
    except sqlite3.OperationalError as error:  # locked, say, or without room: not damaged
        log.info("whether something new can be stored was not tried: %s", error)
    finally:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        connection.execute(f"PRAGMA busy_timeout = {timeout}")
    return None
