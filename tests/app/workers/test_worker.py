"""How a worker begins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.error import HTTPError

import numpy as np
import pytest

from app.workers.executor import Job
from app.workers.worker import RETRY_S, fetch_data


class Board(HTTPServer):
    """Answers with these statuses, one after the other, and with x = 1, 2 and y = 3, 4 where that is 200."""

    statuses: list[int]


class Answer(BaseHTTPRequestHandler):
    server: Board

    def do_GET(self) -> None:
        self.send_response(self.server.statuses.pop(0))
        self.end_headers()
        self.wfile.write(np.array([1.0, 2.0, 3.0, 4.0]).tobytes())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def board() -> Iterator[Board]:
    with Board(("127.0.0.1", 0), Answer) as board:
        serving = threading.Thread(target=board.serve_forever, args=(0.01,))
        serving.start()
        yield board
        board.shutdown()
        serving.join()


def job(board: Board) -> Job:
    """A job of this board's."""
    return Job("1" * 32, "gd", {}, f"http://127.0.0.1:{board.server_port}", "")


def test_data_that_the_board_cannot_read_now_is_asked_for_again(board: Board) -> None:
    board.statuses = [503, 503, 200]
    slept: list[float] = []
    data = fetch_data(job(board), slept.append)
    assert (list(data.x), list(data.y)) == ([1, 2], [3, 4])
    assert slept == [RETRY_S, RETRY_S]


def test_data_of_a_deleted_run_is_not_asked_for_again(board: Board) -> None:
    board.statuses = [410]
    with pytest.raises(HTTPError, match="410"):
        fetch_data(job(board))
