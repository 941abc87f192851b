"""Databases that are damaged on purpose."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

PAGE_BYTES = 4096  # SQLite's default

type Damage = Callable[[bytearray, random.Random], None]


def damage_page(path: Path, number: int, damage: Damage) -> None:
    """Damage one page, numbered from 1, of a database that nobody has open; the same way each time."""
    with path.open("r+b") as file:
        file.seek((number - 1) * PAGE_BYTES)
        page = bytearray(file.read(PAGE_BYTES))
        damage(page, random.Random(number))  # noqa: S311
        file.seek((number - 1) * PAGE_BYTES)
        file.write(page)


def all_of_it(page: bytearray, chance: random.Random) -> None:
    """Random bytes in place of the whole page."""
    page[:] = chance.randbytes(len(page))


def its_head(page: bytearray, chance: random.Random) -> None:
    """Random bytes where SQLite keeps what the page is and where its cells are."""
    page[:64] = chance.randbytes(64)


def one_place(page: bytearray, chance: random.Random) -> None:
    """Random bytes somewhere: in a text or a BLOB, most likely, of which SQLite notices nothing."""
    at = chance.randrange(len(page) - 16)
    page[at : at + 16] = chance.randbytes(16)


def one_bit(page: bytearray, chance: random.Random) -> None:
    """Another value of one bit."""
    page[chance.randrange(len(page))] ^= 1 << chance.randrange(8)


def zeros(page: bytearray, _: random.Random) -> None:
    """Zeros in place of the whole page, as of a write that was lost."""
    page[:] = bytes(len(page))


def pages_of(path: Path) -> range:
    """The numbers of all pages."""
    return range(1, 1 + path.stat().st_size // PAGE_BYTES)


def leaves_of(path: Path, table: str) -> list[int]:
    """The pages of a table in which whole rows lie, in the order of the rows."""
    db = sqlite3.connect(path)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    db.close()
    return list(_leaves(path.read_bytes(), root))


def _leaves(content: bytes, number: int) -> Iterator[int]:
    page = content[(number - 1) * PAGE_BYTES : number * PAGE_BYTES]
    if page[0] == 13:  # a leaf of a table
        yield number
        return
    assert page[0] == 5
    count = int.from_bytes(page[3:5])
    for cell in range(count):
        at = int.from_bytes(page[12 + 2 * cell : 14 + 2 * cell])
        yield from _leaves(content, int.from_bytes(page[at : at + 4]))
    yield from _leaves(content, int.from_bytes(page[8:12]))
