"""Two calls that meet at one run: what one has stored, the other does not undo."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from tests.harness.boards import PATIENCE, BoardProcess

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


def test_a_change_that_is_told_at_the_end_leaves_the_run_ended(board: BoardProcess, cross: Crossing) -> None:
    x = [float(i) for i in range(50_000)]
    runs = [board.run("gd", data={"x": x, "y": x}, lr=1e-12, epochs=10_000_000)["id"] for _ in range(2)]
    told = {"seq": 0, "step": [], "metrics": {}, "changes": [{"step": 1, "params": {"lr": 0.1}}]}
    for late, run_id in enumerate(runs):
        run = f"/api/runs/{run_id}"
        board.wait_until(run_id, "running")
        cross(
            lambda client, run=run: client.post(f"{run}/points", json=told),
            lambda client, run=run: client.post(f"{run}/finish", json={"status": "finished"}),
            late,
        )
        assert board.get(run)["status"] == "finished"


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
