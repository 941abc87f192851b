"""Whatever a network does between a client and its board, the board ends up with the list that was logged."""

from __future__ import annotations

import http.client
import os
import signal
import tempfile
import threading
import urllib.parse
import warnings
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import lossboard
from app import leftovers
from tests.boards import BoardProcess

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
    """Scripts that log, end or are killed, and boards that are killed, over a bad network; beside it, plain lists."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.scripts = Path(self.folder.name) / "scripts"
        os.environ["LOSSBOARD_DIR"] = str(self.scripts)
        self.board = BoardProcess(Path(self.folder.name) / "board").start()
        self.network = BadNetwork(self.board.url)
        self.logged: dict[str, list[dict[str, float]]] = {}
        self.run: lossboard.Run | None = None
        self.number = 0.0

    @precondition(lambda self: self.run is None)
    @rule()
    def start_a_script(self) -> None:
        self.run = lossboard.run("script", url=self.network.url)
        self.logged[self.run.id] = []

    @precondition(lambda self: self.run)
    @rule(names=st.sets(st.sampled_from(["loss", "w", "acc"]), min_size=1), count=st.sampled_from([1, 30, 5000]))
    def log(self, names: set[str], count: int) -> None:
        assert self.run
        for _ in range(count):
            self.number += 1
            point = dict.fromkeys(sorted(names), self.number)
            self.run.log(**point)
            self.logged[self.run.id].append(point)

    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=4))
    def the_network_fails(self, fates: list[str]) -> None:
        self.network.fates = deque(fates)  # not ever more: finish() waits ten seconds

    @rule()
    def late_requests_arrive(self) -> None:
        self.network.deliver_late()

    @rule()
    def the_board_is_killed_and_started_again(self) -> None:
        self.board.stop(signal.SIGKILL)
        self.board.start("--port", str(self.network.board.port))

    @precondition(lambda self: self.run)
    @rule()
    def the_script_dies(self) -> None:
        assert self.run
        self.run._done.set()
        self.run.sender.join()
        self.run.journal.leave()  # as the end of its process would
        self.run = None

    @precondition(lambda self: self.run)
    @rule()
    def the_script_ends(self) -> None:
        assert self.run
        assert self.run.finish()
        self.run = None

    def teardown(self) -> None:
        if not hasattr(self, "board"):
            return
        self.network.fates.clear()
        if self.run:
            self.the_script_ends()
        assert [sent.refusal for sent in leftovers.sync(self.scripts, self.network.url) if sent.refusal] == []
        self.network.deliver_late()
        for run_id, logged in self.logged.items():
            points = self.board.get(f"/api/runs/{run_id}/points", max_points=1_000_000)
            assert points["step"] == list(range(len(logged)))
            for name, values in points["metrics"].items():
                assert values == [point.get(name) for point in logged]
            assert {name for point in logged for name in point} == set(points["metrics"])
        self.network.shutdown()
        self.network.server_close()
        self.board.stop()
        self.folder.cleanup()


def test_the_board_has_what_was_logged() -> None:
    before = os.environ.get("LOSSBOARD_DIR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the client says that its board is away: it is
            machine = Reporting.TestCase
            machine.settings = settings(
                max_examples=4,
                stateful_step_count=12,
                derandomize=True,
                phases=[Phase.generate],  # to make a failure smaller would take minutes
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            machine("runTest").runTest()
    finally:
        os.environ.pop("LOSSBOARD_DIR", None)
        if before is not None:
            os.environ["LOSSBOARD_DIR"] = before
