"""Trackio, from outside of the training process."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import numpy as np

from benchmarks.tools.tool import NONE, Points, Served, Tool

# What its page asks its server for, whose function this is.
ASK = "import sys, json, trackio.server as s; print(json.dumps([row['step'] for row in s.get_logs(*sys.argv[1:])]))"


class Trackio(Tool):
    """A project per run, each an SQLite file in the tool's folder."""

    key, name = "trackio", "Trackio"

    def environment(self) -> dict[str, str]:
        """Where it keeps its projects."""
        return {**super().environment(), "TRACKIO_DIR": str(self.folder), "GRADIO_ANALYTICS_ENABLED": "False"}

    def points(self, run: str) -> Points:
        """All rows of its table."""
        rows = self._query(run, "SELECT step, metrics FROM metrics ORDER BY step")
        if not rows:
            return NONE
        return np.array([(step, (values := json.loads(text))["w"], values["loss"]) for step, text in rows])

    def sources(self, run: str) -> dict[str, Callable[[], float]]:
        """The table."""

        def ask() -> float:
            rows = self._query(run, "SELECT max(step) FROM metrics")
            return rows[0][0] if rows and rows[0][0] is not None else -1

        return {"its SQLite file": ask}

    def served(self, run: str, spike: int) -> Served:
        """What its server answers its page."""
        command = [sys.executable, "-c", ASK, run, run]
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, check=True)
        steps = json.loads(done.stdout.splitlines()[-1])
        return Served(len(steps), spike in steps)

    def _query(self, run: str, query: str) -> list[tuple[int, bytes]]:
        path = self.folder / f"{run}.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path, timeout=10)) as database:
            try:
                return database.execute(query).fetchall()
            except sqlite3.OperationalError:  # its tables are being made
                return []
