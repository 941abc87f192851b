"""What is asked of a run is heard on a connection of its own: at once, in order, and as long as the run goes on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import lossboard
from lossboard_extras.control import FIRST_RETRY_S, LAST_RETRY_S, REFUSED_RETRY_S, WAIT_S, Listener
from tests.harness.boards import BoardProcess, wait_for

UNKNOWN = lossboard.RefusedError(404, "")


class FakeConnection:
    """Answers requests with ``answers``, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.paths: list[str] = []

    def request(self, method: str, path: str) -> Any:
        assert method == "GET"
        self.paths.append(path)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


class FakeRun:
    id = "a" * 32

    def __init__(self) -> None:
        self.controls: list[Any] = []

    def take_control(self, control: Any) -> None:
        self.controls.append(control)


def heard(*answers: Any) -> tuple[list[Any], list[str], list[float]]:
    """What a run takes of these answers, what was asked, and the seconds between; the run ends with the last one."""
    run, connection, pauses = FakeRun(), FakeConnection(*answers), []

    def ended(seconds: float) -> bool:
        if seconds:
            pauses.append(seconds)
        return not connection.answers

    Listener(run, connection, ended).run()  # type: ignore[arg-type]
    return run.controls, connection.paths, pauses


def told(version: str, **control: Any) -> dict[str, Any]:
    return {"version": version, "control": control}


def test_each_answer_is_taken_and_the_next_is_asked_for_with_its_version() -> None:
    controls, paths, pauses = heard(told("v1", stop=False), told("v2", stop=True))
    assert controls == [{"stop": False}, {"stop": True}]
    assert paths == [f"/api/runs/{'a' * 32}/control?known={known}&wait_s={WAIT_S}" for known in ("", "v1")]
    assert pauses == []


def test_a_board_that_is_away_is_asked_again_until_it_is_back() -> None:
    controls, paths, pauses = heard(told("v1"), *[ConnectionRefusedError()] * 8, told("v1", stop=True), OSError())
    assert controls == [{}, {"stop": True}]
    assert ["known=&" in path for path in paths] == [True, False, *[True] * 8, False]  # it may be another board
    assert pauses == [*(min(FIRST_RETRY_S * 2**tried, LAST_RETRY_S) for tried in range(8)), FIRST_RETRY_S]


def test_a_board_without_this_route_is_asked_once_a_minute() -> None:
    controls, _, pauses = heard(*[UNKNOWN] * 20)
    assert controls == []
    assert pauses[-1] == REFUSED_RETRY_S


# --- of two answers the newer one counts ------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))


@pytest.fixture
def run() -> lossboard.Run:
    """A run that reports to no board."""
    return lossboard.run("digits", params={"lr": 0.1}, rank=1)


def test_an_older_answer_changes_nothing(run: lossboard.Run) -> None:
    run.take_control({"pause": True, "hold": "a", "steps": 3, "revision": 2})
    run.take_control({"pause": False, "hold": "", "steps": 0, "revision": 1})
    assert run.control["pause"]
    run.take_control({"pause": False, "hold": "", "steps": 0, "revision": 3})
    assert not run.control["pause"]


def test_after_a_post_has_failed_the_board_may_be_one_that_counts_anew(run: lossboard.Run) -> None:
    run.take_control({"pause": True, "revision": 7})
    run.sender._note_failure(OSError())
    run.take_control({"pause": False, "revision": 1})
    assert not run.control["pause"]


def test_older_boards_count_nothing(run: lossboard.Run) -> None:
    run.take_control({"pause": True})
    run.take_control({"pause": False})
    assert not run.control["pause"]


def test_a_value_that_is_asked_for_again_is_taken_again(run: lossboard.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Any] = []
    monkeypatch.setattr(run, "_silent", "")
    monkeypatch.setattr(run, "_take_params", taken.append)
    run.take_control({"params": {"lr": 0.2}, "asked": {"lr": 1}, "revision": 1})
    run.take_control({"params": {"lr": 0.2}, "asked": {"lr": 1}, "pause": True, "revision": 2})
    assert taken == [{"lr": 0.2}]
    run.take_control({"params": {"lr": 0.2, "b": 1}, "asked": {"lr": 2, "b": 1}, "revision": 4})
    assert taken == [{"lr": 0.2}, {"lr": 0.2, "b": 1}]


# --- with a board -----------------------------------------------------------------------------------------------------


def listeners(run: lossboard.Run) -> list[Listener]:
    """The threads that hear what is asked of a run."""
    return [one for one in threading.enumerate() if isinstance(one, Listener) and one._run is run]


def test_a_script_that_logs_nothing_hears_at_once(board: BoardProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lossboard, "_HEARTBEAT_S", 60.0)  # so no post tells it
    run = lossboard.run("silent", params={"lr": 0.1}, url=board.url)
    run.log(loss=1)
    wait_for(lambda: run.journal.unacknowledged == 0, "the first post")
    assert run.params["lr"] == 0.1
    wait_for(lambda: "revision" in run.control, "the first control")
    board.client.patch(f"/api/runs/{run.id}", json={"params": {"lr": 0.5}})
    wait_for(lambda: run.params["lr"] == 0.5, "the change")
    board.client.post(f"/api/runs/{run.id}/stop")
    wait_for(lambda: run.should_stop, "the stop")
    assert listeners(run)
    assert run.finish()
    wait_for(lambda: not listeners(run), "the end of its thread")


def test_without_the_extras_it_is_heard_with_the_next_post(
    board: BoardProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    extras = lossboard._extras

    def without_control(module: str) -> Any:
        if module == "control":
            raise ImportError(module)
        return extras(module)

    monkeypatch.setattr(lossboard, "_extras", without_control)
    run = lossboard.run("alone", params={"lr": 0.1}, url=board.url)
    run.log(loss=1)
    assert not run.should_stop
    wait_for(lambda: "revision" in run.control, "the first response")
    board.client.patch(f"/api/runs/{run.id}", json={"params": {"lr": 0.5}})
    wait_for(lambda: run.params["lr"] == 0.5, "the change")
    assert listeners(run) == []
    assert run.finish()


def test_a_script_that_only_logs_has_one_connection(board: BoardProcess) -> None:
    run = lossboard.run("logs", params={"lr": 0.1}, url=board.url)
    run.log(loss=1)
    assert run.finish()
    assert not run._listens
