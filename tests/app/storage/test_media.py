"""Texts, images, histograms and sounds: each stored once, and of one name no more than are kept."""

from __future__ import annotations

import json
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import ConflictError, DamagedError, GoneError, NotFoundError
from app.schemas.responses import MediaKind
from app.storage import media, media_store
from app.storage.database import Database
from app.storage.media import Sent, why_refused
from app.storage.records import MediaAdded, RunEvent, RunRecord
from app.storage.store import Store

pytestmark = pytest.mark.anyio

FIRST = Sent("a" * 32, 0, "sample", "text", 0.0, 5.0, b"once upon a time")
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 2, 1, 8, 2, 0, 0, 0, 0)
WAV = b"RIFF" + bytes(4) + b"WAVE"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(Database(tmp_path / "db"))
    yield store
    store.close()


@pytest.fixture
async def run(store: Store) -> RunRecord:
    record = RunRecord("1" * 32, "run", "external", {}, "running", 5.0)
    await store.add_run(record)
    return record


async def log(store: Store, run: RunRecord, count: int, first: int = 0, name: str = "sample") -> None:
    """Store as many, one each step."""
    for place in range(first, first + count):
        sent = replace(FIRST, place=place, name=name, step=float(place), content=str(place).encode())
        await store.media.add(run, sent)


async def test_what_is_sent_twice_is_stored_once(store: Store, run: RunRecord) -> None:
    told: list[RunEvent] = []
    store.subscribe(told.append)
    assert await store.media.add(run, FIRST) == 1
    assert await store.media.add(run, FIRST) == 1
    assert told == [MediaAdded(run)]
    (only,) = await store.media.of_name(run, "sample", 10)
    assert (only.step, only.size, only.logged_at) == (0.0, len(FIRST.content), 5.0)
    assert await store.media.content(run, only.number) == ("text", FIRST.content)


async def test_what_comes_before_those_that_are_missing_is_refused(store: Store, run: RunRecord) -> None:
    await store.media.add(run, FIRST)
    with pytest.raises(ConflictError, match="Number 1 is missing") as refused:
        await store.media.add(run, replace(FIRST, place=2))
    assert refused.value.extra == {"wanted": 1}
    assert await store.media.add(run, replace(FIRST, session="b" * 32)) == 1


async def test_each_name_is_shown_as_it_was_at_a_step(store: Store, run: RunRecord) -> None:
    await log(store, run, 3)
    await log(store, run, 1, first=3, name="late")
    assert [(one.name, one.step) for one in await store.media.at(run)] == [("sample", 2.0), ("late", 3.0)]
    assert [(one.name, one.step) for one in await store.media.at(run, 1.5)] == [("sample", 1.0)]
    assert [one.step for one in await store.media.of_name(run, "sample", 2, 1)] == [1.0, 0.0]


async def test_of_too_many_the_older_ones_are_thinned_out(
    store: Store, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_store, "MAX_KEPT", 8)
    await store.media.add(run, replace(FIRST, session="b" * 32, name="sample"))
    await log(store, run, 8)
    kept = [one.step for one in await store.media.of_name(run, "sample", 100)]
    assert kept == [7, 6, 5, 4, 3, 1, 0]
    (name,) = await store.media.names(run)
    assert (name.logged, name.kept) == (9, 7)
    assert await store.media.add(run, replace(FIRST, place=8)) == 9
    with pytest.raises(NotFoundError, match="thinned out"):
        await store.media.content(run, 2)


async def test_a_run_has_no_more_names_than_are_kept(
    store: Store, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media_store, "MAX_NAMES", 2)
    for place, name in enumerate(["a", "b", "a"]):
        await store.media.add(run, replace(FIRST, place=place, name=name))
    with pytest.raises(ConflictError, match="at most 2 names"):
        await store.media.add(run, replace(FIRST, place=3, name="c"))


async def test_media_go_with_their_run(store: Store, run: RunRecord) -> None:
    await store.media.add(run, FIRST)
    await store.delete_run(run)
    assert await store.media.names(run) == []
    with pytest.raises(GoneError):
        await store.media.add(run, replace(FIRST, place=1))


async def test_what_is_not_what_was_stored_is_not_shown(store: Store, run: RunRecord, tmp_path: Path) -> None:
    await store.media.add(run, FIRST)
    with closing(sqlite3.connect(tmp_path / "db")) as db, db:
        db.execute("UPDATE media SET content = x'00'")
    with pytest.raises(DamagedError, match=r"'sample' of step 0\.0 is not what was stored"):
        await store.media.content(run, 1)


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        ("text", b"\xff", "UTF-8"),
        ("text", b"x" * 100_001, "at most 100,000 bytes"),
        ("image", b"GIF89a", "as PNG"),
        ("image", PNG[:16] + bytes(8) + PNG[24:], "as PNG"),
        ("image", PNG + bytes(media.MAX_BYTES), "at most 10,000,000 bytes"),
        ("audio", b"OggS", "as WAV"),
        *(
            ("histogram", json.dumps(content).encode(), "edges")
            for content in (
                {},
                [],
                {"edges": [0, 1], "counts": []},
                {"edges": [1, 0], "counts": [3]},
                {"edges": [0, 1], "counts": [-3]},
                {"edges": [0, float("nan")], "counts": [3]},
                {"edges": list(range(1002)), "counts": [1] * 1001},
            )
        ),
        ("histogram", b"[" * 100_000, "edges"),
    ],
)
def test_what_is_no_such_content(kind: MediaKind, content: bytes, words: str) -> None:
    assert words in (why_refused(kind, content) or "")


@pytest.mark.parametrize(
    ("kind", "content"),
    [("text", "中文".encode()), ("image", PNG), ("audio", WAV), ("histogram", b'{"edges": [0, 1], "counts": [3]}')],
)
def test_what_can_be_stored(kind: MediaKind, content: bytes) -> None:
    assert why_refused(kind, content) is None
