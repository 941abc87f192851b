"""Runs that are held, stepped and changed while they run."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

import lossboard
from app.runs.journal_reader import JournalError, read_journal
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.calls import external
from trainers import METHODS
from trainers.problem import TEXTBOOK

ENDLESS = 10_000_000
AT_ONCE = 1_000_000  # points that one answer can have


def ask(board: BoardProcess, run_id: str, what: str, **body: Any) -> dict[str, Any]:
    answer = board.client.post(f"/api/runs/{run_id}/{what}", json=body)
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    return run


def change(board: BoardProcess, run_id: str, **params: Any) -> dict[str, Any]:
    answer = board.client.patch(f"/api/runs/{run_id}", json={"params": params})
    assert answer.status_code == 200, answer.text
    run: dict[str, Any] = answer.json()
    return run


def endless(method: str) -> int:
    """Epochs that take many seconds, and not more steps than a run may have."""
    return ENDLESS if method in ("gd", "torch", "backprop") else ENDLESS // 3


def total(board: BoardProcess, run_id: str) -> int:
    points = board.get(f"/api/runs/{run_id}/points", max_points=2)
    count: int = points["total"]
    assert points["step"][-1:] == [count - 1][:count]  # none is lost, none is there twice
    return count


def still(board: BoardProcess, run_id: str) -> int:
    """How many points a run has, once it stands still for as long as many posts of its worker take, and no point of
    it is still on its way."""

    def stands() -> bool:
        before = total(board, run_id)
        time.sleep(1)
        return before == total(board, run_id) == written(board, run_id)

    wait_for(stands, f"run {run_id} at rest")
    return total(board, run_id)


def written(board: BoardProcess, run_id: str) -> int | None:
    """How many points a run's worker has written into its journal; None while a file of it goes away."""
    try:
        parts = list(read_journal(board.folder / "journals" / run_id).parts(0))
    except JournalError:  # a file that has arrived is removed
        return None
    return parts[-1].end if parts else None


@pytest.fixture
def slow(board: BoardProcess) -> Any:
    """Start slowed runs, and end them after the test."""
    made = []

    def start(pace: float = 50, **params: Any) -> str:
        made.append(board.run("gd", epochs=100_000, steps_per_second=pace, **params)["id"])
        wait_for(lambda: board.get(f"/api/runs/{made[-1]}")["step"] is not None)  # it runs a moment before its first
        return made[-1]

    yield start
    for run_id in made:
        board.client.post(f"/api/runs/{run_id}/stop")


@pytest.mark.parametrize(
    ("method", "params"),
    [("gd", {}), ("gd", {"steps_per_second": 50}), ("torch", {})],
    ids=["full speed", "slowed", "torch"],
)
def test_a_pause_holds_and_no_step_is_lost_or_repeated(
    board: BoardProcess, method: str, params: dict[str, Any]
) -> None:
    made = board.run(method, epochs=endless(method), **params)["id"]
    wait_for(lambda: board.get(f"/api/runs/{made}")["step"], "a first step")
    assert ask(board, made, "pause")["status"] == "paused"
    held = still(board, made)
    assert ask(board, made, "resume")["status"] == "running"
    wait_for(lambda: total(board, made) > held)
    ask(board, made, "stop")
    assert board.wait_until(made)["status"] == "stopped"
    csv = board.client.get(f"/api/runs/{made}/points.csv").text.splitlines()[1:]
    assert [int(line.partition(",")[0]) for line in csv] == list(range(len(csv)))


def test_single_steps_are_taken_at_once_and_exactly(board: BoardProcess, slow: Callable[..., str]) -> None:
    made = slow(0.01)
    assert ask(board, made, "step", steps=3)["status"] == "paused"  # it takes these first
    wait_for(lambda: total(board, made) >= 4)
    for _ in range(5):
        ask(board, made, "step")
    wait_for(lambda: total(board, made) >= 9)
    assert still(board, made) == 9
    assert board.get(f"/api/runs/{made}")["status"] == "paused"


def test_a_run_stepped_to_its_end_has_finished(board: BoardProcess) -> None:
    made = board.run("gd", epochs=5, steps_per_second=0.01)["id"]
    wait_for(lambda: total(board, made) == 1)
    ask(board, made, "pause")
    ask(board, made, "step", steps=4)
    run = board.wait_until(made)
    assert (run["status"], run["step"]) == ("finished", 4)
    answer = board.client.post(f"/api/runs/{made}/pause", json={})
    assert answer.status_code == 409
    assert "has ended (finished)" in answer.json()["detail"][0]["msg"]


def test_runs_beyond_the_slots_queue_and_one_of_them_is_stepped(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board(LOSSBOARD_MAX_RUNNING="1", LOSSBOARD_MAX_SLOWED="1").start()
    first, second, third = (board.run("gd", epochs=ENDLESS)["id"] for _ in range(3))
    board.wait_until(first, "running")
    ask(board, second, "step", steps=2)  # in the slot of those that wait most of the time
    wait_for(lambda: total(board, second) == 2)
    slowed = board.run("gd", epochs=ENDLESS, steps_per_second=20)["id"]
    assert still(board, second) == 2
    assert [run["id"] for run in board.get("/api/runs", status="queued")["items"]] == [slowed, third]
    ask(board, first, "stop")
    board.wait_until(third, "running")
    ask(board, second, "stop")
    board.wait_until(slowed, "running")


@pytest.mark.parametrize("method", ["gd", "sgd", "minibatch", "backprop"])
def test_a_change_holds_exactly_from_the_step_that_is_recorded(board: BoardProcess, method: str) -> None:
    made = board.run(method, epochs=endless(method), lr=1e-5)["id"]
    wait_for(lambda: (board.get(f"/api/runs/{made}")["step"] or 0) > 500)
    for lr in (2e-5, 1e-6):
        assert change(board, made, lr=lr)["params"]["lr"] == lr
        wait_for(lambda lr=lr: any(one["params"]["lr"] == lr for one in board.get(f"/api/runs/{made}")["changes"]))
    ask(board, made, "pause")
    still(board, made)
    change(board, made, lr=1)  # while it is held
    ask(board, made, "step", steps=2)
    ask(board, made, "stop")
    run = board.wait_until(made)
    assert [one["params"] for one in run["changes"]][:2] == [{"lr": 2e-5}, {"lr": 1e-6}]
    low = run["changes"][0]["step"] - 10
    steps = run["changes"][1]["step"] + 10
    assert low > 0
    calculated = recalculated(run, steps)
    names = METHODS[method].metrics(METHODS[method].params())
    for first in range(low, steps, AT_ONCE):
        end = min(first + AT_ONCE, steps)
        query = {"max_points": AT_ONCE, "from_step": first, "to_step": end - 1}
        logged = board.get(f"/api/runs/{made}/points", **query)["metrics"]
        for name in ("w", "loss"):  # to the last bit
            assert logged[name] == [point[names.index(name)] for point in calculated[first:end]]


def recalculated(run: dict[str, Any], steps: int) -> list[Any]:
    """The first points of a run, from its trainer and its recorded changes alone."""
    method = METHODS[run["method"]]
    params = method.params.model_validate({**run["params"], "lr": 1e-5})
    trainer = method.train(TEXTBOOK, params)
    points: list[Any] = []
    for one in [*run["changes"], {"step": steps, "params": {}}]:
        points += itertools.islice(trainer, max(0, min(one["step"], steps) - len(points)))
        for name, value in one["params"].items():
            setattr(params, name, value)
    return points


def test_a_change_reaches_a_run_that_waits_for_its_next_step(board: BoardProcess, slow: Callable[..., str]) -> None:
    made = slow(0.01)
    run = change(board, made, steps_per_second=100, lr=0.02)
    assert (run["params"]["lr"], run["params"]["steps_per_second"]) == (0.02, 100)
    wait_for(lambda: (board.get(f"/api/runs/{made}")["step"] or 0) >= 5)
    assert board.get(f"/api/runs/{made}")["changes"] == [{"step": 1, "params": {"lr": 0.02, "steps_per_second": 100}}]


def test_a_step_is_taken_with_what_was_set_before_it(board: BoardProcess, slow: Callable[..., str]) -> None:
    made = slow(0.01)
    ask(board, made, "pause")
    held = still(board, made)
    for number in range(5):
        change(board, made, lr=0.02 + number / 100)
        ask(board, made, "step")
        wait_for(lambda number=number: total(board, made) == held + number + 1)
    run = board.get(f"/api/runs/{made}")
    assert run["changes"] == [{"step": held + number, "params": {"lr": 0.02 + number / 100}} for number in range(5)]


def test_changes_survive_a_restart(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board().start()
    made = board.run("gd", epochs=ENDLESS, steps_per_second=50)["id"]
    board.wait_until(made, "running")
    change(board, made, lr=0.03)
    changes = wait_for(lambda: board.get(f"/api/runs/{made}")["changes"])
    ask(board, made, "pause")
    board.stop()
    board.start()
    run = board.get(f"/api/runs/{made}")
    assert (run["status"], run["changes"], run["params"]["lr"]) == ("interrupted", changes, 0.03)
    assert board.client.patch(f"/api/runs/{made}", json={"params": {"lr": 1}}).status_code == 409


def test_bad_values_are_refused_and_change_nothing(board: BoardProcess, slow: Callable[..., str]) -> None:
    made = slow()
    answer = board.client.patch(f"/api/runs/{made}", json={"name": "other", "params": {"lr": 0}})
    assert answer.status_code == 422
    reason = answer.json()["detail"][0]
    assert reason["loc"] == ["body", "params", "lr"]
    assert "greater than 0" in reason["msg"]
    run = board.get(f"/api/runs/{made}")
    assert (run["params"]["lr"], run["changes"], run["name"]) == (0.01, [], "Gradient descent, lr 0.01")


@pytest.mark.parametrize("body", [{}, {"params": {}}, {"params": None}, {"name": ""}])
def test_a_change_of_nothing(board: BoardProcess, body: dict[str, Any]) -> None:
    assert board.client.patch(f"/api/runs/{external(board)}", json=body).status_code == 422


@pytest.mark.parametrize("steps", [0, -1, 1.5, "1", None, 10_000_001])
def test_a_bad_number_of_steps(board: BoardProcess, steps: Any) -> None:
    answer = board.client.post(f"/api/runs/{external(board)}/step", json={"steps": steps})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "steps"]


# --- scripts ----------------------------------------------------------------------------------------------------------


def test_a_script_is_held_stepped_and_changed(board: BoardProcess) -> None:
    run = lossboard.run("steered", params={"lr": 0.1, "name": "x"}, url=board.url)
    wait_for(lambda: board.client.get(f"/api/runs/{run.id}").status_code == 200)
    run.wait_while_paused()
    run.log(loss=1)
    assert ask(board, run.id, "pause")["status"] == "paused"
    ask(board, run.id, "step", steps=2)
    wait_for(lambda: run.control.get("steps") == 2)
    began = time.monotonic()
    for _ in range(2):
        run.log(loss=1)
        run.wait_while_paused()
    assert time.monotonic() - began < 10  # held, it would wait for a minute
    assert run.steps_left(3) == 0
    change(board, run.id, lr=0.2)
    wait_for(lambda: run.params["lr"] == 0.2)
    wait_for(lambda: board.get(f"/api/runs/{run.id}")["changes"] == [{"step": 3, "params": {"lr": 0.2}}])
    ask(board, run.id, "resume")
    run.wait_while_paused()
    answer = board.client.patch(f"/api/runs/{run.id}", json={"params": {"name": 1}})
    assert answer.status_code == 422
    assert "lr can" in answer.json()["detail"][0]["msg"]
    ask(board, run.id, "pause")
    wait_for(lambda: run.control.get("pause"))
    ask(board, run.id, "stop")
    run.wait_while_paused()
    assert run.should_stop
    assert run.finish()
    assert board.get(f"/api/runs/{run.id}")["changes"] == [{"step": 3, "params": {"lr": 0.2}}]


class FewWords(lossboard.Run):
    """A client that never hears anything: what it is asked is told by the test."""

    def __init__(self) -> None:
        self.control = {}
        self._hold, self._held_at = "", 0


def test_a_pause_counts_from_where_it_is_seen() -> None:
    run = FewWords()
    assert run.steps_left(10) > 1e9
    run.control = {"pause": True, "hold": "a", "steps": 3}
    assert [run.steps_left(taken) for taken in (100, 101, 103)] == [3, 2, 0]
    run.control = {"pause": True, "hold": "a", "steps": 4}
    assert run.steps_left(103) == 1
    run.control = {"pause": True, "hold": "b", "steps": 0}  # resumed and paused again, of which nothing was heard
    assert run.steps_left(103) == 0
    run.control = {"pause": False}
    assert run.steps_left(103) > 1e9


def test_what_is_asked_of_a_script_is_told_to_who_waits_for_it(board: BoardProcess) -> None:
    body = {"method": "external", "params": {"lr": 0.1}}
    run_id = board.client.post("/api/runs", json=body).json()["id"]
    now = board.get(f"/api/runs/{run_id}/control")
    assert now["control"]["params"] == {}
    assert board.get(f"/api/runs/{run_id}/control", known=now["version"]) == now
    board.client.patch(f"/api/runs/{run_id}", json={"params": {"lr": 0.5}})
    told = board.get(f"/api/runs/{run_id}/control", known=now["version"], wait_s=60)
    assert told["control"]["params"] == {"lr": 0.5}
    assert board.client.get(f"/api/runs/{run_id}/control", params={"wait_s": 61}).status_code == 422
