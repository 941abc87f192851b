"""Two calls that meet at one run: what one has stored, the other does not undo."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from app.storage.database import DATABASE_FILE
from tests.harness.boards import PATIENCE, BoardProcess, wait_for

TIMES = 24  # a crossing is tried; before each was mended, between an eighth and a half went wrong


class Crossing:
    """Two connections that are open, for two calls at the same moment."""

    def __init__(self, clients: list[httpx2.Client]) -> None:
        self._clients = clients

    def __call__(self, first: Callable[[httpx2.Client], Any], second: Callable[[httpx2.Client], Any], late: int) -> Any:
        """Make both calls, the second a little later, each time by another time; what both answered."""
        answers: dict[int, Any] = {}

        def call(number: int, what: Callable[[httpx2.Client], Any], seconds: float) -> None:
            time.sleep(seconds)
            answers[number] = what(self._clients[number])

        calls = ((0, first, 0.0), (1, second, late % 12 * 0.0005))
        threads = [threading.Thread(target=call, args=one) for one in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers[0], answers[1]


@pytest.fixture
def cross(board: BoardProcess) -> Iterator[Crossing]:
    """Crosses two calls."""
    with ExitStack() as stack:
        clients = [httpx2.Client(base_url=board.url, timeout=PATIENCE, trust_env=False) for _ in range(2)]
        for client in clients:
            stack.enter_context(client).get("/api/health")
        yield Crossing(clients)


def script_run(board: BoardProcess) -> str:
    """The address of a run that reports by itself."""
    return f"/api/runs/{board.client.post('/api/runs', json={'method': 'external'}).json()['id']}"


def send(client: httpx2.Client, run: str, step: int) -> int:
    """Post one point; the status of the answer."""
    return client.post(f"{run}/points", json={"seq": step, "step": [step], "metrics": {"loss": [step]}}).status_code


def test_a_new_name_and_an_end_are_both_kept(board: BoardProcess, cross: Crossing) -> None:
    for late in range(TIMES):
        run = script_run(board)
        finished, renamed = cross(
            lambda client, run=run: client.post(f"{run}/finish", json={"status": "finished"}),
            lambda client, run=run: client.patch(run, json={"name": "new"}),
            late,
        )
        assert (finished.status_code, renamed.status_code) == (200, 200)
        stored = board.get(run)
        assert (stored["status"], stored["name"]) == ("finished", "new")


def test_a_run_that_is_stopped_in_the_queue_stays_stopped(board: BoardProcess, cross: Crossing) -> None:
    for _ in range(8):  # as many as there may be slots
        board.run("gd", epochs=10_000_000)
    for late in range(TIMES):
        run = f"/api/runs/{board.run('gd', epochs=10_000_000)['id']}"
        cross(
            lambda client, run=run: client.post(f"{run}/stop"),
            lambda client, run=run: client.patch(run, json={"name": "new"}),
            late,
        )
        wait_for(lambda run=run: board.get(run)["status"] == "stopped", "its end")


def test_a_terminal_status_comes_after_every_point(board: BoardProcess, cross: Crossing) -> None:
    for late in range(TIMES):
        run = script_run(board)
        cross(
            lambda client, run=run: [send(client, run, step) for step in range(5)],
            lambda client, run=run: client.post(f"{run}/finish", json={"status": "finished"}),
            4 + late,
        )
        points = board.get(f"{run}/points")["step"]
        assert board.get(run)["step"] == (points[-1] if points else None)


def test_a_change_that_is_told_at_the_end_leaves_the_run_ended(board: BoardProcess, cross: Crossing) -> None:
    x = [float(i) for i in range(50_000)]
    runs = [board.run("gd", data={"x": x, "y": x}, lr=1e-12, epochs=10_000_000)["id"] for _ in range(2)]
    for late, run_id in enumerate(runs):
        run = f"/api/runs/{run_id}"
        board.wait_until(run_id, "running")
        cross(
            lambda client, run=run: client.post(f"{run}/changes", json={"step": 1, "params": {"lr": 0.1}}),
            lambda client, run=run: client.post(f"{run}/finish", json={"status": "finished"}),
            late,
        )
        assert board.get(run)["status"] == "finished"


def test_an_end_that_cannot_be_stored_can_be_told_again(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board().start()
    board.client.timeout = httpx2.Timeout(30)
    run = script_run(board)
    assert send(board.client, run, 0) == 200
    other = sqlite3.connect(board.folder / DATABASE_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        refused = board.client.post(f"{run}/finish", json={"status": "finished"})
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert refused.status_code == 503
    assert "database is locked" in refused.json()["detail"][0]["msg"]
    assert board.get(run)["status"] == "running"
    assert send(board.client, run, 1) == 200
    assert board.client.post(f"{run}/finish", json={"status": "finished"}).json()["status"] == "finished"
    assert board.get(f"{run}/points")["step"] == [0, 1]


def test_records_without_a_metric_hold_nothing_up(board: BoardProcess) -> None:
    run = script_run(board)
    empty = {"seq": 0, "step": list(range(1000)), "metrics": {}}
    assert board.client.post(f"{run}/points", json=empty).json()["accepted"] == 1000
    assert send(board.client, run, 1000) == 200
    assert board.get(f"{run}/points", max_points=10)["metrics"]["loss"][-1] == 1000


def test_two_changes_of_the_board_are_both_kept(board: BoardProcess, cross: Crossing) -> None:
    run = board.wait_until(board.run(epochs=5)["id"])["id"]
    for late in range(TIMES):
        board.client.patch("/api/board", json={"run": None, "axes": {"loss": "linear"}})
        cross(
            lambda client: client.patch("/api/board", json={"run": run}),
            lambda client: client.patch("/api/board", json={"axes": {"loss": "log"}}),
            late,
        )
        now = board.get("/api/board")
        assert (now["run"], now["axes"]["loss"]) == (run, "log")
