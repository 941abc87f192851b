"""What is too large is refused, and what is as large as allowed takes little memory."""

from __future__ import annotations

import json
import random
import socket
import struct

import httpx2
import psutil
import pytest

import lossboard
from tests.harness.boards import PATIENCE, BoardProcess, wait_for
from tests.harness.calls import external, send, words_of


@pytest.fixture(scope="module")
def board(strict_board: BoardProcess) -> BoardProcess:
    return strict_board


def test_a_run_has_a_thousand_metrics_at_most(board: BoardProcess) -> None:
    path = f"/api/runs/{external(board)}/points"
    body = {"seq": 0, "step": [0], "metrics": {f"m{number}": [1.0] for number in range(10_000)}}
    assert "1000" in words_of(board.client.post(path, json=body))
    head = json.dumps({"seq": 0, "metrics": list(body["metrics"])}).encode() + b"\n"
    assert "1000" in words_of(send(board, "POST", path, head, lossboard.CONTENT_TYPE))
    thousand = {f"m{number}": [1.0] for number in range(1000)}
    assert board.client.post(path, json={"seq": 0, "step": [0], "metrics": thousand}).status_code == 200
    assert "1000" in words_of(board.client.post(path, json={"seq": 1, "step": [1], "metrics": {"more": [1.0]}}))


def test_a_curve_of_many_metrics_is_read_in_little_memory(board: BoardProcess) -> None:
    """A thousand metrics in one record, then a million records of one: as a table that were 8 GB."""
    path = f"/api/runs/{external(board)}/points"
    names = [f"m{number}" for number in range(1000)]
    board.client.post(path, json={"seq": 0, "step": [0], "metrics": {name: [1.0] for name in names}})
    table = struct.pack("<20d", *(float(number) for number in range(1, 21))) * 100_000
    body = json.dumps({"seq": 1, "metrics": ["m0"]}).encode() + b"\n" + table
    assert send(board, "POST", path, body, lossboard.CONTENT_TYPE).json()["accepted"] == 1_000_001
    before = memory(board)
    points = board.get(path)
    assert (points["total"], len(points["metrics"])) == (1_000_001, 1000)
    assert 1900 < len(points["step"]) <= 2000
    assert "10000" in words_of(board.client.get(path + "?max_points=1000000"))
    with board.client.stream("GET", path + ".csv") as rows:
        assert sum(len(piece) for piece, _ in zip(rows.iter_bytes(1 << 20), range(50), strict=False)) == 50 << 20
    assert memory(board) - before < 400


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_of_200_mb_is_refused_while_it_streams(board: BoardProcess, declared: bool) -> None:
    for path in ("/api/runs", f"/api/runs/{external(board)}/points", "/visdom/env/x", "/no/such/place"):
        before, highest = memory(board), 0.0
        address = httpx2.URL(board.url)
        with socket.create_connection((address.host, address.port or 80)) as line:
            length = f"Content-Length: {200 << 20}" if declared else "Transfer-Encoding: chunked"
            kind = "Content-Type: application/json"
            line.sendall(
                f"POST {path} HTTP/1.1\r\nHost: {address.netloc.decode()}\r\n{kind}\r\n{length}\r\n\r\n".encode()
            )
            piece = b"1" * (1 << 20) if declared else b"100000\r\n" + b"1" * (1 << 20) + b"\r\n"
            answer = b""
            try:
                for _ in range(200):
                    line.sendall(piece)
                    highest = max(highest, memory(board))
                line.settimeout(PATIENCE)
                answer = line.recv(1 << 16)
            except ConnectionError:
                pass  # it was closed in the middle, as well it may be
        assert not answer or answer.startswith(b"HTTP/1.1 4")
        if path.startswith("/api") and answer:
            assert b"413" in answer[:20]
            assert (b"100 MiB" if path.endswith("/points") else b"64 MiB") in answer
        assert highest - before < 150


def memory(board: BoardProcess) -> float:
    """MiB that the board's own process holds."""
    size: float = psutil.Process(board.process.pid).memory_info().rss / (1 << 20)
    return size


def test_a_million_pairs(board: BoardProcess) -> None:
    draw = random.random
    pairs = {"x": [draw() for _ in range(1_000_000)], "y": [draw() for _ in range(1_000_000)]}
    body = json.dumps({"method": "gd", "params": {"epochs": 3, "lr": 0.1}, "data": pairs})
    answer = send(board, "POST", "/api/runs", body)
    assert answer.status_code == 201
    path = f"/api/runs/{answer.json()['id']}"
    wait_for(lambda: board.get(path)["step"] is not None, "the first point")
    assert board.wait_until(answer.json()["id"])["status"] == "finished"
    assert board.get(f"{path}/data") == pairs
    pairs["x"].append(1.0)
    assert "1000000" in words_of(send(board, "POST", "/api/runs", json.dumps({"method": "gd", "data": pairs})))
