"""A board that may open few files, as a service with a low `ulimit -n`."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest

from tests.harness.boards import BoardProcess, wait_for

FILES = 64


@pytest.mark.skipif(not shutil.which("bash"), reason="no ulimit")
def test_when_no_more_files_can_be_opened_it_says_so_and_recovers(tmp_path: Path) -> None:
    log = tmp_path / "log"
    limited = ("bash", "-c", f'ulimit -n {FILES}; exec "$@"', "bash")
    with BoardProcess(tmp_path / "data", prefix=limited, log=log) as board, ExitStack() as streams:
        board.wait_for_visdom()
        address = httpx2.URL(board.url)
        for _ in range(FILES):  # more than there is room for
            stream = streams.enter_context(socket.create_connection((address.host, address.port)))
            stream.sendall(f"GET /api/events HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n\r\n".encode())
        wait_for(lambda: "No more files can be opened" in log.read_text(), "a warning")
        for _ in range(5):
            with suppress(httpx2.TransportError):  # it could be connected to no more
                board.client.post("/api/runs", json={"method": "external"})
                board.client.post("/api/runs", json={"method": "gd"})
                assert board.client.get("/").status_code in (200, 503)
                board.client.get("/visdom/env/lossboard")
        streams.close()
        wait_for(lambda: board.client.get("/").status_code == 200, "the page")
        assert board.wait_until(board.run(epochs=100)["id"])["status"] == "finished"
        assert board.get("/api/health")["visdom"] == "up"
    said = log.read_text().splitlines()
    assert all(line.startswith("WARNING: ") for line in said), said
    assert len(said) == len(set(said)) < 10, said
