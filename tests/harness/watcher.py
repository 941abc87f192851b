"""A subscriber to Visdom's websocket, through the board's proxy, as a browser is one."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from httpx2.websockets import WebSocketSession

from tests.harness.boards import PATIENCE, BoardProcess


class Watcher:
    """What a browser that has one env open is shown."""

    def __init__(self, socket: WebSocketSession, client: httpx2.Client, env: str) -> None:
        self._socket = socket
        session = self._receive("register")["data"]
        client.post(f"/visdom/env/{env}", content=json.dumps({"sid": session}))
        self.windows: dict[str, dict[str, Any]] = {}

    def next_window(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """The next window that is shown anew."""
        window = self._receive("window", seconds)
        self.windows[window["id"]] = window
        return window

    def until(self, shown: Any, seconds: float = PATIENCE) -> None:
        """Watch until ``shown(windows)`` is true."""
        deadline = time.monotonic() + seconds
        while not shown(self.windows):
            assert time.monotonic() < deadline, f"not shown; last windows: {str(self.windows)[:2000]}"
            self.next_window(max(0.1, deadline - time.monotonic()))

    def _receive(self, command: str, seconds: float = PATIENCE) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = json.loads(self._socket.receive_text(timeout=seconds))
            if message["command"] == command:
                return message


@contextmanager
def watch(board: BoardProcess, env: str = "lossboard") -> Iterator[Watcher]:
    """Someone has this env open for as long as the block runs."""
    address = board.url.replace("http", "ws", 1) + "/visdom/socket"
    with (
        httpx2.Client(base_url=board.url, timeout=PATIENCE, trust_env=False) as client,
        client.websocket(address, max_message_size_bytes=1 << 26) as socket,
    ):
        yield Watcher(socket, client, env)


def trace_of(window: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The trace of a window whose name has this in it."""
    return next((trace for trace in window["content"]["data"] if name in trace.get("name", "")), None)
