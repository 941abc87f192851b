"""What a board's collector says of a journal: whether a later try may do better."""

from __future__ import annotations

from pathlib import Path

import pytest

import lossboard
from app.runs.journals import DAMAGED_FILE, JournalCollector
from tests.harness.fake_board import FakeBoard

pytestmark = pytest.mark.anyio

RUN = "5" * 32


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal in which somebody introduced a run."""
    folder = tmp_path / "journals" / RUN
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"name": "script"}')
    return folder


def is_there(journal: Path) -> bool:
    return journal.exists()


async def test_a_journal_that_has_arrived_is_done(tmp_path: Path, journal: Path) -> None:
    with FakeBoard() as fake:
        assert await JournalCollector(tmp_path, fake.url).collect(RUN)
        assert not is_there(journal)
        assert await JournalCollector(tmp_path, fake.url).collect(RUN)  # there is none any more


async def test_it_has_the_boards_own_token(tmp_path: Path, journal: Path) -> None:
    with FakeBoard() as fake:
        assert await JournalCollector(tmp_path, fake.url, "of-the-board").collect(RUN)
        assert {*fake.authorizations} == {"Bearer of-the-board"}


async def test_a_journal_that_a_process_holds_is_not_done(tmp_path: Path, journal: Path) -> None:
    with FakeBoard() as fake:
        collector = JournalCollector(tmp_path, fake.url)
        with lossboard.hold(journal):
            assert not await collector.collect(RUN)
        assert await collector.collect(RUN)


@pytest.mark.parametrize(("status", "done"), [(503, False), (404, True), (409, True), (410, True)])
async def test_what_the_board_refuses_for_now_is_not_done(
    tmp_path: Path, journal: Path, status: int, done: bool
) -> None:
    with FakeBoard() as fake:
        fake.answers = [(status, {"detail": [{"loc": [], "msg": "no", "type": "no"}]})] * 2
        assert await JournalCollector(tmp_path, fake.url).collect(RUN) == done
        assert is_there(journal) == (status != 410)


async def test_a_board_that_cannot_be_reached_is_not_done(tmp_path: Path, journal: Path) -> None:
    assert not await JournalCollector(tmp_path, "http://127.0.0.1:9").collect(RUN)
    assert is_there(journal)


async def test_a_damaged_journal_is_warned_of_once_and_not_tried_again(
    tmp_path: Path, journal: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (journal / "000000000000000.points").write_bytes(b"nonsense\n" + b"1" * 32)
    with FakeBoard() as fake:
        for _ in range(2):
            collector = JournalCollector(tmp_path, fake.url)
            for _ in range(2):
                assert await collector.collect(RUN)
        assert fake.paths == ["runs", "points"]
    (said,) = caplog.messages
    assert said.startswith(
        f"the journal of run {RUN} (script) stays in {journal}: a part of it is damaged (000000000000000"
    )
    assert "its first line cannot be read" in (journal / DAMAGED_FILE).read_text()
