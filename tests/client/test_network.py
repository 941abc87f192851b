"""Whatever a network does between a client and its board, the board ends up with the list that was logged."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import urllib.parse
from collections import Counter, deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

import lossboard
from app.runs import journals
from tests.harness.boards import PATIENCE, BoardProcess, wait_for

FATES = ["lose the request", "lose the answer", "repeat", "deliver late"]


class BadNetwork(ThreadingHTTPServer):
    """Stands between a client and a board; what becomes of the next requests is in ``fates``."""

    daemon_threads = True

    def __init__(self, board: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.board = urllib.parse.urlsplit(board)
        self.fates: deque[str] = deque()
        self.late: list[tuple[str, bytes, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def forward(self, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """The board's answer; OSError or HTTPException if there is none."""
        connection = http.client.HTTPConnection(self.board.hostname or "", self.board.port, timeout=10)
        try:
            connection.request("POST", path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def deliver_late(self) -> None:
        """What was held back arrives now, after what was sent later."""
        while self.late:
            self.forward(*self.late.pop())


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BadNetwork

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = (self.path, body, self.headers["Content-Type"])
        fate = self.server.fates.popleft() if self.server.fates else "pass"
        self.close_connection = True
        Reporting.done[fate] += 1
        try:
            if fate == "deliver late":
                self.server.late.append(request)
            if fate in ("lose the request", "deliver late"):
                return
            if fate == "repeat":
                self.server.forward(*request)
            status, answer = self.server.forward(*request)
        except (OSError, http.client.HTTPException):  # the board is down: so is the connection to it
            return
        if fate != "lose the answer":
            self.close_connection = False
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Reporting(RuleBasedStateMachine):
    """Scripts that log, end or are killed, and a board that is killed, over a bad network; beside it, plain lists."""

    board: ClassVar[BoardProcess]
    network: ClassVar[BadNetwork]
    done: ClassVar[Counter[str]] = Counter()  # in all examples: chance must leave nothing out

    def __init__(self) -> None:
        super().__init__()
        self.logged: dict[str, list[dict[str, float]]] = {}
        self.taken: dict[str, list[Mapping[str, Any]]] = {}  # changes of parameters, as each script has taken them
        self.run: lossboard.Run | None = None
        self.number = 0.0
        self.restarts = 0

    @rule(names=st.sets(st.sampled_from(["loss", "w", "acc"]), min_size=1), count=st.sampled_from([1, 30, 5000]))
    def a_script_logs(self, names: set[str], count: int) -> None:
        if self.run is None:
            self.run = lossboard.run("script", params={"lr": 0.0}, url=self.network.url)
            self.logged[self.run.id] = []
            self.taken[self.run.id] = self.run.journal.changes
        for _ in range(count):
            self.number += 1
            point = dict.fromkeys(sorted(names), self.number)
            self.run.log(**point)
            self.logged[self.run.id].append(point)

    @precondition(lambda self: self.run)
    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=3), through=st.booleans())
    def the_network_fails(self, fates: list[str], through: bool) -> None:
        """For the next requests, whatever comes then; ``through``: before anything else comes."""
        self.network.fates = deque(fates)
        self.a_script_logs({"loss"}, 2)
        if through:
            wait_for(lambda: not self.network.fates, "the end of what the network does")

    @precondition(lambda self: self.run)
    @rule()
    def a_parameter_is_changed(self) -> None:
        """Where the run is known to the board; it reaches the script when an answer does."""
        assert self.run
        self.number += 1
        path, asked = f"/api/runs/{self.run.id}", {"params": {"lr": self.number}}
        if self.board.client.patch(path, json=asked).status_code == 200:
            lr = self.number
            wait_for(lambda: self.run and self.run.params["lr"] == lr, "the script's taking it")
            self.done["change"] += 1

    @precondition(lambda self: self.network.late)
    @rule()
    def late_requests_arrive(self) -> None:
        self.network.deliver_late()

    @precondition(lambda self: self.restarts < 1)  # it takes a second
    @rule()
    def the_board_is_killed_and_started_again(self) -> None:
        self.board.stop(signal.SIGKILL)
        self.board.start("--port", str(self.network.board.port))
        self.restarts += 1
        self.done["restart"] += 1

    @precondition(lambda self: self.run)
    @rule()
    def the_script_dies(self) -> None:
        assert self.run
        self.run.sender.done.set()
        self.run.sender.join()
        self.run.journal.leave()  # as the end of its process would
        self.run.sender.connection.close()
        self.run = None
        self.done["death"] += 1

    @precondition(lambda self: self.run)
    @rule()
    def the_script_ends(self) -> None:
        assert self.run
        assert self.run.finish()
        self.run = None
        self.done["end"] += 1

    def teardown(self) -> None:
        self.network.fates.clear()
        if self.run:
            self.the_script_ends()
        scripts = Path(os.environ["LOSSBOARD_DIR"])
        assert [sent.refusal for sent in journals.sync(scripts, self.network.url) if sent.refusal] == []
        self.network.deliver_late()
        for run_id, logged in self.logged.items():
            points = self.board.get(f"/api/runs/{run_id}/points", max_points=1_000_000)
            assert points["step"] == list(range(len(logged)))
            for name, values in points["metrics"].items():
                assert values == [point.get(name) for point in logged]
            assert {name for point in logged for name in point} == set(points["metrics"])
            taken = [{"step": change["step"], "params": change["params"]} for change in self.taken[run_id]]
            assert self.board.get(f"/api/runs/{run_id}")["changes"] == taken


@pytest.mark.filterwarnings("ignore::UserWarning")  # the client says that its board is away: it is
def test_the_board_has_what_was_logged(
    new_board: Callable[..., BoardProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path / "scripts"))
    monkeypatch.setattr(lossboard, "_FINISH_TIMEOUT_S", PATIENCE)
    Reporting.board = new_board().start()
    Reporting.network = BadNetwork(Reporting.board.url)
    machine = Reporting.TestCase
    machine.settings = settings(
        max_examples=12,
        stateful_step_count=16,
        derandomize=True,
        phases=[Phase.generate],  # to make a failure smaller would take minutes
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        machine("runTest").runTest()
    finally:
        Reporting.network.shutdown()
        Reporting.network.server_close()
    assert Reporting.done.keys() >= {*FATES, "restart", "death", "end", "change"}
