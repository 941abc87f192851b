"""A journal as it lies in its folder: what can be read of it, in the order of its records' numbers, and what cannot.

docs/client.md says what the files of a journal are. They are read and not mapped: where a disk fails, a read is an
error, and access to a mapping ends the process.
"""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

import lossboard
from app.schemas.limits import MAX_TIME, MAX_WHOLE
from app.schemas.requests import ChangeIn
from app.storage.batch import Floats, check_names
from app.storage.binary_form import Block, index

VERSION = 3  # the newest that is read here
MAX_HEAD_BYTES = 8 << 20  # a thousand names of 200 characters, each escaped
READ_BYTES = 1 << 20  # at once, of a file whose head says nothing
POST_TIMES = 60  # that one post has
POST_BYTES = 4 << 20  # of records in one post

GOOD, UNKNOWN, BAD = 1, 0, -1  # what checksums say of a record

_CHANGE = TypeAdapter(ChangeIn)


type Sum = tuple[int, int, int]


class JournalError(Exception):
    """A journal cannot be used at present, and nothing is wrong with what it says; the text says why."""


@dataclass(frozen=True)
class Part:
    """Records whose numbers follow each other, from ``seq`` to before ``end``, for one post."""

    seq: int
    end: int
    blocks: list[Block]
    checked: bool  # checksums vouch for them


@dataclass(frozen=True)
class Damage:
    """What cannot be read; it concerns no record from number ``before`` on."""

    what: str
    before: float = math.inf


@dataclass
class JournalFile:
    """One ``*.points`` with a head that can be read, and room for records numbered from ``base`` to before ``end``."""

    path: Path
    names: tuple[str, ...]
    numbered: bool  # each record has its number after its step
    start: int  # byte at which the first record begins
    base: int
    end: int
    first: int  # no record of a smaller number was ever in it
    numbers: Floats  # in each place, NaN where no record is, -1 where it can be none; empty: they count from base
    sums: NDArray[np.int8]  # of each place: GOOD, UNKNOWN or BAD

    def between(self, begin: int, end: int) -> tuple[Block, NDArray[np.bool_], Floats]:
        """Its records with these numbers, whether each is checked, and the numbers of those that are not as they were
        written. OSError."""
        if len(self.numbers):
            places = np.flatnonzero((self.numbers >= begin) & (self.numbers < end))
        else:
            places = np.arange(max(begin, self.base) - self.base, max(min(end, self.end), self.base) - self.base)
        if not len(places):
            return Block(self.names, np.empty((0, 2 + len(self.names)))), np.empty(0, np.bool_), np.empty(0)
        first = int(places[0])
        rows = self._rows(first, int(places[-1]) + 1)[places - first]
        if not self.numbered:
            rows = np.insert(rows, 1, self.numbers[places] if len(self.numbers) else self.base + places, axis=1)
        written = rows[:, 0].view(np.uint64) != 0
        sound = (np.abs(rows[:, 0]) <= MAX_WHOLE) & (self.sums[places] != BAD)
        kept = written & sound
        return Block(self.names, rows[kept]), self.sums[places][kept] == GOOD, rows[~sound, 1]

    def _rows(self, first: int, last: int) -> Floats:
        width = 1 + self.numbered + len(self.names)
        offset = self.start + 8 * width * first
        rows = np.fromfile(self.path, "<f8", (last - first) * width, offset=offset)
        rows[rows.view(np.uint64) == lossboard.UNREAD_BITS] = lossboard.MISSING  # its script ended before it was read
        return rows.reshape(-1, width)


@dataclass
class Journal:
    """What a folder says of a run.

    introduction, ending: as they are posted; empty if there is none
    changes: of parameters, as a post has them
    times: numbers of records, and by when those before each were made: seconds since 1970
    first: the smallest number that a file was made for; None if there is no file
    """

    folder: Path
    introduction: dict[str, Any] = field(default_factory=dict)
    ending: dict[str, Any] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    files: list[JournalFile] = field(default_factory=list)
    times: list[tuple[int, float]] = field(default_factory=list)
    first: int | None = None
    damage: list[Damage] = field(default_factory=list)

    @property
    def run_id(self) -> str:
        """The run that it is of."""
        return self.folder.name.partition("-")[0]

    def times_of(self, part: Part) -> list[tuple[int, float]]:
        """Those of the times that a post of these records has."""
        within = [(number, at) for number, at in self.times if part.seq < number < part.end]
        after = [(number, at) for number, at in self.times if number >= part.end][:1]
        return within[:: len(within) // POST_TIMES + 1] + after

    @property
    def flags(self) -> dict[str, str]:
        """What a post of its records says: of which session their numbers are, if it is not the run's first."""
        session = self.folder.name.partition("-")[2]
        return {"session": session} if session else {}

    @property
    def is_empty(self) -> bool:
        """Whether its script ended before it could log anything."""
        return not (self.introduction or self.ending or self.changes or self.files or self.damage)

    def parts(self, number: int) -> Iterator[Part]:
        """Every record that can be read, once, from this number on, in the order of the numbers. JournalError.

        What cannot be read is noted in ``damage`` on the way.
        """
        width = max((2 + len(file.names) for file in self.files), default=2)
        window = max(1, POST_BYTES // (8 * width))
        try:
            while (begin := self._next(number)) is not None:
                number = begin + window
                yield from self._parts(begin, number)
        except OSError as error:
            raise JournalError(str(error)) from error

    def _next(self, number: int) -> int | None:
        """The smallest number from this one on that some file has room for."""
        return min((max(number, file.base) for file in self.files if file.end > number), default=None)

    def _parts(self, begin: int, end: int) -> Iterator[Part]:
        blocks: list[Block] = []
        checks: list[NDArray[np.bool_]] = [np.empty(0, np.bool_)]
        lost: dict[str, Floats] = {}
        for file in self.files:
            if file.base < end and begin < file.end:
                block, sure, gone = file.between(begin, end)
                blocks.append(block)
                checks.append(sure)
                lost[file.path.name] = np.concatenate([lost.get(file.path.name, gone[:0]), gone])
        numbers, source, place = index(blocks)
        checked = np.concatenate(checks)
        for name, gone in lost.items():
            if len(gone := np.setdiff1d(gone, numbers)):  # no other file has them
                what = f"{len(gone)} of its records, from number {gone.min():.0f} on, are not as they were written"
                self.damage.append(Damage(f"{name}: {what}"))
        order = np.lexsort((~checked, numbers))  # where files overlap, a checked record comes first, and counts
        order = order[np.diff(numbers[order], prepend=-1) != 0]
        new = (np.diff(numbers[order]) != 1) | (checked[order][1:] != checked[order][:-1])
        for some in np.split(order, np.flatnonzero(new) + 1):
            if len(some):
                seq = int(numbers[some[0]])
                used = np.unique(source[some]).tolist()
                mine = [blocks[one].rows[place[some[source[some] == one]]] for one in used]
                found = [Block(blocks[one].names, rows) for one, rows in zip(used, mine, strict=True)]
                yield Part(seq, seq + len(some), found, bool(checked[some[0]]))


def read_journal(folder: Path) -> Journal:
    """What a journal's folder says. JournalError if it cannot be used at present, as where it may not be read, or was
    written by a newer client; what is damaged stands in the result."""
    journal = Journal(folder)
    try:
        journal.introduction = _read_json(journal, "run.json")
        journal.ending = _read_json(journal, "ending.json")
        journal.changes = list(_read_changes(journal))
        _open_files(journal)
        journal.times = _read_times(journal)
    except OSError as error:
        raise JournalError(str(error)) from error
    return journal


def _read_json(journal: Journal, name: str) -> dict[str, Any]:
    path = journal.folder / name
    content = path.read_bytes() if path.exists() else b""
    if not content:
        return {}
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError, RecursionError) as error:
        journal.damage.append(Damage(f"{name}: {error}"))
        return {}


def _read_changes(journal: Journal) -> Iterator[dict[str, Any]]:
    path = journal.folder / "changes.jsonl"
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for line in lines[:-1]:  # the last is empty, or was cut short by the end of the script
        try:
            yield _CHANGE.validate_json(line).model_dump(mode="json", exclude_none=True)
        except ValidationError:
            journal.damage.append(Damage(f"{path.name}: a line of it is no change of parameters"))


def _read_times(journal: Journal) -> list[tuple[int, float]]:
    """What the journal's script noted, and when it last wrote to a file."""
    path = journal.folder / "times.jsonl"
    found: list[tuple[int, float]] = []
    for line in path.read_bytes().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError, TypeError):  # the end of its script cut it short, or it is damaged
            number, at = json.loads(line)
            if number > (found[-1][0] if found else -1) and 0 <= at <= MAX_TIME:
                found.append((int(number), float(at)))
    if found:
        written = [file.path.stat().st_mtime for file in journal.files]
        last = max([found[-1][1], *written])
        found.append((MAX_WHOLE, last))
    return found


def _open_files(journal: Journal) -> None:
    paths = sorted(journal.folder.glob("*.points"))
    named = [base for path in paths if (base := _base_of(path)) is not None]
    known: list[int] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                opened = list(_open(path, file, journal.damage))
        except ValueError as error:
            base = _base_of(path)
            following = math.inf if base is None else min((one for one in named if one > base), default=math.inf)
            journal.damage.append(Damage(f"{path.name}: {error}", following))
            known += [] if base is None else [base]
        else:
            journal.files += opened
            known += [one.first for one in opened]
            if lost := sum(int((one.numbers == -1).sum()) for one in opened):
                journal.damage.append(Damage(f"{path.name}: {lost} of its records have no number that can be"))
    journal.first = min(known, default=None)


def _base_of(path: Path) -> int | None:
    """The number of its first record that a file is named for; None if it has another name, as of a copy."""
    return int(path.stem) if path.stem.isdecimal() and path.stem.isascii() else None


def _open(path: Path, file: BinaryIO, damage: list[Damage]) -> Iterator[JournalFile]:
    """A file of records; nothing if its making was cut short, before it could have any. ValueError says what is wrong;
    where the rest can be read, that is noted in ``damage``."""
    copies, sums = _read_sums(path)
    line = file.readline(MAX_HEAD_BYTES)
    try:
        about = _parse_head(line)
    except ValueError as error:
        if _has_nothing(line, file):
            return
        if not copies:
            raise ValueError(f"its first line cannot be read: {error}") from None
        if 0 not in copies:  # each block has its own
            yield from _open_blocks(path, file, min(copies), (copies, sums), damage)
            return
        line = copies[0]
        about = _parse_head(line)
    if "version" in about and "seq" not in about:
        yield from _open_blocks(path, file, len(line), (copies, sums), damage)
        return
    numbered = "numbered" in about
    names = about["numbered" if numbered else "metrics"]
    if not numbered and _base_of(path) not in (about["seq"], None):
        raise ValueError(f"its first line says that its records begin with {about['seq']}")
    width = 1 + numbered + len(names)
    room = max(0, path.stat().st_size - len(line)) // (8 * width)
    at = [(len(line) + 8 * width * begin, len(line) + 8 * width * end, crc) for begin, end, crc in sums]
    states = _check(file, len(line), 8 * width, room, at)
    numbers = _read_numbers(path, len(line), width, room) if numbered else np.empty(0)
    yield _with_range(path, tuple(names), len(line), about["seq"], numbers, states, numbered=numbered)


def _open_blocks(
    path: Path,
    file: BinaryIO,
    begin: int,
    found: tuple[dict[int, bytes], Sequence[Sum]],
    damage: list[Damage],
) -> Iterator[JournalFile]:
    """The blocks of a file of version 3, from byte ``begin`` on; ``found``: what _read_sums() gave."""
    copies, sums = found
    size = path.stat().st_size
    while begin < size:
        file.seek(begin)
        line = file.readline(MAX_HEAD_BYTES)
        if line[:1] == b"\0":  # no block was begun here
            return
        try:
            about = _parse_block(line)
        except ValueError as error:
            if _has_nothing(line, file):
                return
            if begin not in copies:
                damage.append(Damage(f"{path.name}: what follows byte {begin} cannot be read: {error}"))
                return
            line = copies[begin]
            about = _parse_block(line)
        numbered = "numbered" in about
        names = tuple(about["numbered" if numbered else "counted"])
        start, record_bytes = begin + len(line), 8 * (1 + numbered + len(names))
        room = min(about["records"], max(0, size - start) // record_bytes)
        states = _check(file, start, record_bytes, room, sums)
        numbers = _read_numbers(path, start, 1 + numbered + len(names), room, 1 if numbered else 0)
        yield _with_range(path, names, start, about["seq"], numbers, states, numbered=numbered)
        begin = start + about["records"] * record_bytes


def _with_range(
    path: Path,
    names: tuple[str, ...],
    start: int,
    seq: int,
    numbers: Floats,
    states: NDArray[np.int8],
    *,
    numbered: bool,
) -> JournalFile:
    """Records whose numbers count from ``seq``, unless they are given."""
    if not len(numbers) and len(states):
        return JournalFile(path, names, False, start, seq, seq + len(states), seq, numbers, states)
    there = numbers[numbers >= 0]
    base, end = (int(there.min()), int(there.max()) + 1) if len(there) else (seq, seq)
    return JournalFile(path, names, numbered, start, base, end, min(seq, base), numbers, states)


def _parse_head(line: bytes) -> dict[str, Any]:
    """The first line of a file of records. ValueError if it is none; JournalError if it is that of a newer version."""
    try:
        about = json.loads(line.decode())
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(about, dict) or not line.endswith(b"\n"):
        raise ValueError("it is no line with a JSON object")
    version = about.get("version", 1)
    if isinstance(version, int) and version > VERSION:
        raise JournalError(f"it is of version {version}, and this board reads up to {VERSION}: use a newer Lossboard")
    if version == VERSION:
        return about
    check_names(about.get("numbered", about.get("counted", about.get("metrics"))))
    if not isinstance(about.get("seq"), int) or not 0 <= about["seq"] <= MAX_WHOLE:
        raise ValueError("seq is no number of a record")
    return about


def _parse_block(line: bytes) -> dict[str, Any]:
    """The first line of a block. ValueError if it is none."""
    about = _parse_head(line)
    if (
        not {"numbered", "counted"} & about.keys()
        or not isinstance(about.get("records"), int)
        or not 0 <= about["records"] <= MAX_WHOLE
    ):
        raise ValueError("records is no number of records")
    return about


def _has_nothing(line: bytes, file: BinaryIO) -> bool:
    """Whether a file without a head that can be read was only just begun: at most a part of its head, then zeros."""
    begun = line.rstrip(b"\0")
    is_part = not begun or (begun.startswith(b'{"') and not begun.endswith(b"\n") and b"\0" not in begun)
    return is_part and not any(any(some) for some in iter(lambda: file.read(READ_BYTES), b""))


def _read_sums(path: Path) -> tuple[dict[int, bytes], list[Sum]]:
    """What stands beside a file: copies of its heads, by the byte at which each begins, and its checksums: where what
    they are of begins and ends, in bytes, or before version 3 in records; and its CRC-32."""
    try:
        lines = path.with_suffix(".sums").read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return {}, []
    copies: dict[int, bytes] = {}
    sums: list[Sum] = []
    for line in lines:
        try:
            found = json.loads(line)
            if isinstance(found, dict) and "at" in found:
                copies[int(found["at"])] = _padded(str(found["head"]).encode())
                _parse_head(copies[int(found["at"])])
            elif isinstance(found, dict):
                _parse_head(line)
                copies[0] = line
            else:
                begin, end, crc = found
                whole = all(isinstance(one, int) for one in found)
                sums += [(begin, end, crc)] if whole and 0 <= begin < end else []
        except (ValueError, TypeError, KeyError):  # its script's end cut it short, or it is damaged: it counts as none
            continue
    return copies, sums


def _padded(head: bytes) -> bytes:
    """A line as long as a client makes the heads of blocks: the cells after it are aligned."""
    return head + b" " * (-(len(head) + 1) % 8) + b"\n"


def _check(file: BinaryIO, start: int, record_bytes: int, room: int, sums: Sequence[Sum]) -> NDArray[np.int8]:
    """Of each place from byte ``start`` on what the checksums say of its record."""
    states = np.zeros(room, np.int8)
    last = start + room * record_bytes
    for begin, end, crc in sums:
        if start <= begin < last:
            file.seek(begin)
            content = file.read(end - begin) if end <= last else b""
            places = slice((begin - start) // record_bytes, (end - start) // record_bytes)
            states[places] = GOOD if zlib.crc32(content) == crc else BAD
    return states


def _read_numbers(path: Path, start: int, width: int, room: int, column: int = 1) -> Floats:
    """What JournalFile.numbers has; ``column``: that of the numbers."""
    rows = np.fromfile(path, "<f8", room * width, offset=start).reshape(-1, width)
    numbers = rows[:, column]
    known = (numbers >= 0) & (numbers <= MAX_WHOLE) & (numbers == np.floor(numbers))
    return np.where(rows[:, 0].view(np.uint64) == 0, np.nan, np.where(known, numbers, -1))
