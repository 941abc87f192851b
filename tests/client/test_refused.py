"""What a client does with its journal when its board refuses points, or knows less than it had acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lossboard
from app.runs.journal_reader import read_journal
from tests.harness.boards import wait_for
from tests.harness.fake_board import FakeBoard


@pytest.fixture
def run(fake: FakeBoard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lossboard.Run]:
    """A run of which the fake board has acknowledged the first hundred points."""
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("script", url=fake.url)
    log(run, 100)
    wait_for(lambda: run.journal.acknowledged == 100, "the first acknowledgement")
    yield run
    run.sender.done.set()
    run.sender.join()
    run.journal.leave()


def log(run: lossboard.Run, count: int) -> None:
    for number in range(count):
        run.log(loss=number)


def refusal(status: int, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"detail": [{"loc": [], "msg": "It says no.", "type": "refused"}], **more}


def numbers_in(journal: Path) -> list[tuple[int, int]]:
    return [(part.seq, part.end) for part in read_journal(journal).parts(0)]


def test_what_a_board_has_lost_and_the_journal_still_has_is_sent_again(fake: FakeBoard, run: lossboard.Run) -> None:
    fake.answers = [refusal(409, wanted=30)]
    log(run, 10)
    wait_for(lambda: run.journal.acknowledged == 110)
    assert [head["seq"] for head in fake.heads if head["seq"] < 100][-1] == 30
    assert run.finish()


def test_a_run_that_a_board_does_not_know_any_more_is_introduced_again(
    fake: FakeBoard, run: lossboard.Run, recwarn: pytest.WarningsRecorder
) -> None:
    assert fake.paths.count("runs") == 1
    fake.answers = [refusal(404), refusal(409, wanted=0)]
    log(run, 10)
    wait_for(lambda: run.journal.acknowledged == 110)
    assert fake.paths.count("runs") == 2
    assert "404 It says no" in str(recwarn.pop(UserWarning).message)
    assert run.finish()


def test_what_nobody_has_any_more_keeps_the_rest_in_the_journal(
    fake: FakeBoard, run: lossboard.Run, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(lossboard, "_FINISH_TIMEOUT_S", 0.5)
    journal = run.journal.folder
    assert journal is not None
    first = run.journal.segments[0].path
    log(run, 10_000)  # more than the first file has room for, which goes when it has arrived
    wait_for(lambda: run.journal.acknowledged == 10_100 and run.journal.segments[0].path != first)
    fake.answers = [refusal(409, wanted=0)] * 1000
    log(run, 10)
    wait_for(lambda: len(fake.answers) < 998)
    assert not run.finish()
    refused = f"the board does not take this run's points: 409 It says no.; what it lacks stays in {journal}"
    assert f"lossboard: {refused}" in [str(one.message) for one in recwarn]
    assert numbers_in(journal)[-1][1] == 10_110
    assert (journal / "ending.json").exists()


def test_a_run_that_has_ended_at_the_board_leaves_what_that_lacks(
    fake: FakeBoard, run: lossboard.Run, recwarn: pytest.WarningsRecorder
) -> None:
    journal = run.journal.folder
    assert journal is not None
    fake.answers = [refusal(409, accepted=100)] * 2
    log(run, 10)
    wait_for(run.sender.done.is_set)
    assert run.should_stop
    assert f"what it lacks stays in {journal}" in str(recwarn.pop(UserWarning).message)
    assert numbers_in(journal) == [(0, 110)]
    run.log(loss=1)  # says nothing, and raises nothing
    assert not run.finish()


def test_a_run_that_has_ended_and_has_everything_leaves_no_journal(fake: FakeBoard, run: lossboard.Run) -> None:
    """Only the answer to its end was lost."""
    journal = run.journal.folder
    assert journal is not None
    fake.answers = [refusal(409, accepted=110)] * 2
    log(run, 10)
    wait_for(lambda: run.should_stop)
    wait_for(lambda: not journal.exists())


def test_what_was_refused_is_not_called_silence(
    fake: FakeBoard, run: lossboard.Run, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(lossboard, "_FINISH_TIMEOUT_S", 0.3)
    fake.answers = [refusal(404)] * 1000
    log(run, 10)
    wait_for(lambda: run.sender.refused)
    assert not run.finish()
    told = [str(one.message) for one in recwarn]
    assert any("what is left was refused at" in one for one in told)
    assert not any("no board answered" in one for one in told)


def test_a_deleted_run_leaves_no_journal(fake: FakeBoard, run: lossboard.Run) -> None:
    journal = run.journal.folder
    assert journal is not None
    fake.answers = [refusal(410)]
    log(run, 10)
    wait_for(lambda: not journal.exists())
    assert run.should_stop
