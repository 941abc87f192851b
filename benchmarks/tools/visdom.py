"""Bare Visdom, from outside of the training process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil

from benchmarks.tools.tool import NONE, Points, Served, Tool
from tests.harness.boards import wait_for

# As `visdom` on the command line, which would first download its page's scripts.
SERVE = """
import sys
from visdom.server.run_server import start_server
start_server(port=int(sys.argv[1]), base_url="/visdom", env_path=sys.argv[2], bind_local=True)
"""


class Visdom(Tool):
    """A server on a free port."""

    key, name = "visdom", "bare Visdom"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = free_port()
        self._client = httpx2.Client(base_url=f"http://127.0.0.1:{self._port}/visdom", trust_env=False, timeout=30)
        self._server: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start the server."""
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self._port), str(self.folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**super().environment(), "HOME": str(self.folder)},
        )
        wait_for(self._is_up, "Visdom up")

    def stop(self) -> None:
        """End it."""
        self._client.close()
        self._server.terminate()
        self._server.wait(10)

    def environment(self) -> dict[str, str]:
        """Where the server is."""
        return {**super().environment(), "VISDOM_PORT": str(self._port)}

    def points(self, run: str) -> Points:
        """What the server has in its two windows."""
        w, loss = self._trace(run, "w"), self._trace(run, "loss")
        whole = min(len(w), len(loss))
        return np.column_stack([w[:whole], loss[:whole, 1]]) if whole else NONE

    def sources(self, run: str) -> dict[str, Callable[[], float]]:
        """The server."""

        def ask() -> float:
            trace = self._trace(run, "w")
            return trace[-1, 0] if len(trace) else -1

        return {"its server": ask}

    def served(self, run: str, spike: int) -> Served:
        """Its page is given everything."""
        steps = self.points(run)[:, 0]
        return Served(len(steps), spike in steps)

    def beside(self) -> list[psutil.Process]:
        """The server."""
        return [psutil.Process(self._server.pid)]

    def _trace(self, run: str, window: str) -> np.ndarray:
        answer = self._client.post("/win_data", json={"eid": run, "win": window})
        try:
            shown: dict[str, Any] = answer.json()
            trace = shown["content"]["data"][0]
            return np.column_stack([np.array(trace[axis], float) for axis in "xy"])
        except (ValueError, TypeError, KeyError):  # it answers with a page of words when there is no such window
            return np.empty((0, 2))

    def _is_up(self) -> bool:
        assert self._server.poll() is None, f"Visdom did not start; its process ended ({os.fspath(self.folder)})"
        try:
            return self._client.get("/health").status_code == 200
        except httpx2.HTTPError:
            return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
