"""The checksums that a sender writes beside a journal's files, and what they are worth."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

import lossboard
from app.runs.journal_reader import read_journal
from tests.client.test_journal_files import write_journal
from tests.client.test_sync import sync
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.fake_board import FakeBoard

AWAY = "http://127.0.0.1:9"
WAITED = """
import time
def blocks():
    return [block for segment in run.journal.segments for block in segment.blocks]
for number in range({count}):
    run.log(loss=number)
deadline = time.monotonic() + 60
while sum(block.summed for block in blocks()) < {count} and time.monotonic() < deadline:
    time.sleep(0.05)
for number in range({more}):
    run.log(loss=number)
"""


def checks(folder: Path) -> list[tuple[int, int, bool]]:
    (journal,) = (folder / "journals").iterdir()
    return [(part.seq, part.end, part.checked) for part in read_journal(journal).parts(0)]


def test_what_has_waited_for_a_second_is_checked(tmp_path: Path) -> None:
    write_journal(tmp_path, WAITED.format(count=1500, more=20))
    assert checks(tmp_path) == [(0, 1500, True), (1500, 1520, False)]


def test_every_file_of_a_long_journal_has_its_checksums(tmp_path: Path) -> None:
    write_journal(tmp_path, WAITED.format(count=200_000, more=0))
    assert len(list(tmp_path.rglob("*.points"))) == len(list(tmp_path.rglob("*.sums"))) > 3
    assert {checked for _, _, checked in checks(tmp_path)} == {True}


def test_a_block_in_which_a_record_is_not_written_has_no_checksum(tmp_path: Path) -> None:
    write_journal(
        tmp_path,
        "run.log(loss=1)\nnext(run.journal.open_block(('loss',)).places)\n" + WAITED.format(count=10_000, more=0),
    )
    first, *others = checks(tmp_path)
    assert (first[0], first[2]) == (0, False)
    assert others[-1][2]
    assert sum(end - begin for begin, end, checked in others if not checked) < 64 << 10


def test_what_arrives_at_once_needs_no_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    monkeypatch.setattr(lossboard, "_PROTECT_S", 0.0)
    with FakeBoard() as fake:
        run = lossboard.run("script", url=fake.url)
        for number in range(100):
            run.log(loss=number)
            wait_for(lambda: run.journal.unacknowledged == 0)
        assert list(tmp_path.rglob("*.sums")) == []
        assert run.finish()


@pytest.mark.parametrize("setting", ["1", "0", ""])
def test_a_journal_is_brought_to_the_disk_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    monkeypatch.setenv("LOSSBOARD_SYNC", setting)
    run = lossboard.run("script", url=AWAY)
    run.sender.done.set()
    run.sender.join()
    synced.clear()
    run.log(loss=1)
    run.journal.protect(time.monotonic() + 10)
    assert len(synced) == (3 if setting == "1" else 0)  # its points, its introduction and its lock
    run.journal.leave()


def test_garbled_points_do_not_arrive_and_are_named(board: BoardProcess, tmp_path: Path) -> None:
    write_journal(tmp_path, WAITED.format(count=10_000, more=5))
    (journal,) = (tmp_path / "journals").iterdir()
    last = max(journal.glob("*.points"))
    content = bytearray(last.read_bytes())
    head = content[: content.index(b"\n", content.index(b'"counted"'))].splitlines()[-1]
    records = content.index(head) + len(head) + 1
    content[records + 16 * 3 + 8 + 1] ^= 4  # of its fourth record a bit of the loss
    base = json.loads(head)["seq"]
    last.write_bytes(content)
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert done.returncode == 1
    assert f"from number {base} on, are not as they were written" in done.stdout
    run = board.get(f"/api/runs/{journal.name}")
    ((missing_from, missing_to),) = run["missing"]
    assert missing_from == base
    assert run["unchecked"] == [[10_000, 10_005]]
    points = board.get(f"/api/runs/{journal.name}/points", max_points=100_000)
    assert points["total"] == 10_005 - (missing_to - base)
    assert points["metrics"]["loss"][-1] == 4
    assert last.read_bytes() == content
