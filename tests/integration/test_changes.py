"""What a worker tells the board of a changed parameter, on a board that has trouble."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.workers.executor import Job
from app.workers.reporter import WorkerRun


class Troubled(ThreadingHTTPServer):
    """Stands for a board: answers one change after the other with one of ``statuses``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.statuses: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    server: Troubled

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        is_change = self.path.endswith("/changes")
        self.send_response(self.server.statuses.pop(0) if is_change else 200)
        self.end_headers()
        self.wfile.write(b'{"accepted": 0}')

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def troubled() -> Iterator[Troubled]:
    with Troubled() as board:
        yield board
        board.shutdown()


@pytest.mark.parametrize(("statuses", "left"), [([503, 500, 200, 200], [200]), ([409, 200], [200])])
def test_a_change_is_told_until_the_board_has_taken_or_refused_it(
    troubled: Troubled, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, statuses: list[int], left: list[int]
) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    troubled.statuses = statuses
    run = WorkerRun(Job("0" * 32, "gd", {}, troubled.url, str(tmp_path)))
    run.report_change(3, {"lr": 0.2})
    assert troubled.statuses == left
    run.finish()
