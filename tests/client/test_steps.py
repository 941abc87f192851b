"""run.steps(): batches one by one, pause, single steps and stop, and how far the run is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossboard
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.fake_board import FakeBoard


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))


@pytest.fixture
def run() -> lossboard.Run:
    """A run that reports to no board."""
    return lossboard.run("digits", rank=1)


class NoLength:
    """Batches as those of torch's DataLoader over an IterableDataset."""

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))


def shown(run: lossboard.Run, batches: Iterable[Any], **options: Any) -> list[Any]:
    """What the board is told at each of the batches, and at the end."""
    return [*(run.told.get("progress") for _ in run.steps(batches, **options)), run.told.get("progress")]


def test_each_batch_of_each_epoch_comes_once(run: lossboard.Run) -> None:
    assert [*run.steps("abc", epochs=2)] == [*"abcabc"]


def test_it_is_told_how_many_of_all_are_done(run: lossboard.Run) -> None:
    assert shown(run, "abc", epochs=2) == [[0, 6], [1, 6], [2, 6], [3, 6], [4, 6], [5, 6], [6, 6]]


def test_further_loops_are_added(run: lossboard.Run) -> None:
    assert [shown(run, "ab")[-1], shown(run, "ab")[0]] == [[2, 2], [2, 4]]
    next(run.steps(range(100)))  # a loop that is left
    assert shown(run, "ab")[0] == [4, 6]


def test_what_has_no_length_has_no_progress_unless_it_is_said(run: lossboard.Run) -> None:
    assert shown(run, iter("ab")) == [[0, 2], [1, 2], [2, 2]]  # Python knows how much is left
    assert shown(run, (letter for letter in "ab"), total=4) == [[2, 6], [3, 6], [4, 4]]


@pytest.mark.parametrize("batches", [NoLength(), (letter for letter in "abc")])
def test_nothing_is_told_of_what_has_no_length(run: lossboard.Run, batches: Any) -> None:
    assert shown(run, batches) == [None] * 4


def test_more_batches_than_were_said_are_no_error(run: lossboard.Run) -> None:
    assert shown(run, "abc", total=2) == [[0, 2], [1, 2], [2, 3], [3, 3]]
    assert shown(run, "abc", total="two") == [[3, 3]] * 4  # type: ignore[arg-type]


def test_a_stop_ends_the_loop(run: lossboard.Run) -> None:
    seen = []
    for batch in run.steps(range(10)):
        seen.append(batch)
        if batch == 3:
            run.take_control({"stop": True})
    assert seen == [0, 1, 2, 3]
    assert run.told["progress"] == [4, 10]


def test_a_step_on_the_board_lets_one_batch_through(board: BoardProcess) -> None:
    run = lossboard.run("digits", url=board.url)
    path = f"/api/runs/{run.id}"
    batches = run.steps(range(1000))
    next(batches)
    run.log(loss=1)
    wait_for(lambda: run.journal.unacknowledged == 0, "the first point")
    board.client.post(f"{path}/step", json={"steps": 2})
    wait_for(lambda: run.control.get("pause"), "the pause")
    assert [next(batches) for _ in range(2)] == [1, 2]
    assert run.steps_left(run._passed) == 0
    board.client.post(f"{path}/stop")
    assert [*batches] == []
    assert run.finish()
    record = board.get(path)
    assert (record["status"], record["total_steps"]) == ("stopped", 1000)


def test_the_board_shows_how_far_it_came(board: BoardProcess) -> None:
    with lossboard.run("digits", url=board.url) as run:
        for _ in run.steps(range(10), epochs=3):
            pass
    record = board.get(f"/api/runs/{run.id}")
    assert (record["done_steps"], record["total_steps"], record["step"]) == (30, 30, None)


def test_what_is_told_while_a_post_is_under_way_arrives_before_the_end(
    fake: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lossboard.run("digits", url=fake.url)
    post = run.sender.connection.post

    def meanwhile(path: str, body: bytes, *kind: str) -> Any:
        answer = post(path, body, *kind)
        if path.endswith("/points") and not run.told:
            run.told["progress"] = [30, 30]
            run.summary["loss"] = np.float64("nan")  # which is not equal to itself
            run._end("finished")
        return answer

    monkeypatch.setattr(run.sender.connection, "post", meanwhile)
    assert run.wait_for_end()
    assert fake.heads[-1]["progress"] == [30, 30]
    assert len(fake.heads) <= 3
