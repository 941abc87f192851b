"""Lossboard, from outside of the training process."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.tools.tool import NONE, ROOT, Points, Served, Tool
from tests.harness.boards import BoardProcess
from tests.harness.watcher import trace_of, watch


class Lossboard(Tool):
    """A board on a free port, with its data in the tool's folder."""

    key, name = "lossboard", "Lossboard"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.board = BoardProcess(folder / "board")
        self._ended = threading.Event()
        self._watching: list[threading.Thread] = []

    def start(self) -> None:
        """Start the board; its windows are up as well when this returns."""
        self.board.start()
        self.board.wait_for_visdom()

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        for thread in self._watching:
            thread.join()
        self.board.stop()

    def environment(self) -> dict[str, str]:
        """Where the board is, and where its journals are to be."""
        return {**super().environment(), "LOSSBOARD_URL": self.board.url, "LOSSBOARD_DIR": str(self.board.folder)}

    def points(self, run: str) -> Points:
        """All of points.csv."""
        found = self._find(run)
        if found is None:
            return NONE
        with self.board.client.stream("GET", f"/api/runs/{found['id']}/points.csv", timeout=120) as answer:
            lines = answer.iter_lines()
            names = next(lines).split(",")
            if {"step", "w", "loss"} - set(names):
                return NONE
            return np.loadtxt(lines, delimiter=",", ndmin=2, usecols=[names.index(n) for n in ("step", "w", "loss")])

    def sources(self, run: str) -> dict[str, Callable[[], float]]:
        """The API, and a browser that has the windows open."""
        return {"GET points": lambda: self._newest(run), "a window in the browser": self._window(run)}

    def served(self, run: str, spike: int) -> Served:
        """The curve that GET points gives unless told otherwise."""
        found = self._find(run)
        assert found
        steps = self.board.get(f"/api/runs/{found['id']}/points")["step"]
        return Served(len(steps), spike in steps)

    def after_death(self) -> bool:
        """`lossboard sync` sends what a killed script left in its journal, if the board did not take it already."""
        command = [sys.executable, "-m", "app.cli", "sync"]
        done = subprocess.run(command, env=self.environment(), cwd=ROOT, capture_output=True, check=False, timeout=60)
        return done.returncode == 0

    def beside(self) -> list[psutil.Process]:
        """The app and its Visdom; the fork servers are for runs that are started on the page."""
        return [psutil.Process(self.board.process.pid), self.board.visdom()]

    def _find(self, run: str) -> dict[str, Any] | None:
        return next((one for one in self.board.get("/api/runs")["items"] if one["name"] == run), None)

    def _newest(self, run: str) -> float:
        found = self._find(run)
        steps = self.board.get(f"/api/runs/{found['id']}/points")["step"] if found else []
        return steps[-1] if steps else -1

    def _window(self, run: str) -> Callable[[], float]:
        """A function that waits for the next window and gives the newest step in it."""
        news = threading.Condition()
        newest = -1.0

        def follow() -> None:
            nonlocal newest
            with watch(self.board) as watcher:
                while not self._ended.is_set():
                    with contextlib.suppress(TimeoutError):
                        window = watcher.next_window(1.0)
                        trace = trace_of(window, run) if window["id"] == "loss" else None
                        if trace and trace["x"]:
                            with news:
                                newest = trace["x"][-1]
                                news.notify_all()

        def ask() -> float:
            with news:
                news.wait(0.2)
                return newest

        self._watching.append(threading.Thread(target=follow, daemon=True))
        self._watching[-1].start()
        time.sleep(0.3)  # until it is subscribed
        return ask
