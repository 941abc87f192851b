"""Runs of which it is known what their points are, and what must have become of them after faults."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.harness.boards import ENDED, BoardProcess, wait_for
from tests.harness.scripts import ROOT
from trainers import METHODS
from trainers.problem import make_data

type Floats = NDArray[np.float64]

COUNTED = """
import os, sys, time, lossboard
run = lossboard.run("counted")
os.write(1, b"%s\\n" % run.id.encode())
base = int(run.id[:4], 16)
for number in range(int(sys.argv[1])):
    run.log(loss=base + number / 8, w=-number)
    if number % 50 == 49:
        os.write(1, b"%d\\n" % (number + 1))
        time.sleep(float(sys.argv[2]))
run.finish()
os.write(1, b"done\\n")
"""


@dataclass
class Report:
    """What was done, and what was found after it: ``wrong`` has a sentence for each thing that should not be."""

    done: Counter[str] = field(default_factory=Counter)
    points: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        done = ", ".join(f"{count} {what}" for what, count in sorted(self.done.items()))
        found = f"{self.points:,} points checked, {self.lost:,} lost, {self.doubled:,} doubled"
        return f"{done}; {found}" + (f", {len(self.wrong)} faults" if self.wrong else "")


class WatchedRun:
    """A run and all points that it would have if nothing happened to it.

    acknowledged: points that are on disk, at least
    logged: points that its script has logged, at least
    cut: it was killed, or what it cannot do without: it may have ended before its last point
    """

    def __init__(self, run_id: str, names: tuple[str, ...], expected: Floats) -> None:
        """``expected`` has a row for each point: its step, then the metrics of ``names``."""
        self.run_id = run_id
        self.acknowledged = 0
        self.cut = False
        self._names = names
        self._expected = expected

    @property
    def logged(self) -> int:
        return 0

    @property
    def must_finish(self) -> bool:
        """Whether it must have all of its points."""
        return not self.cut

    def points_at(self, board: BoardProcess) -> int:
        """How many points a board shows."""
        step = board.get(f"/api/runs/{self.run_id}")["step"]
        return 0 if step is None else int(step) + 1

    def check(self, board: BoardProcess, report: Report, at_least: int) -> None:
        """See that a board has the first of its points, at least so many, each once and as it was."""
        found = self._found(board)
        report.points += len(found)
        report.lost += max(0, at_least - len(found))
        report.doubled += max(0, len(found) - len(self._expected))
        same = (found == self._expected[: len(found)]).all(axis=1) if len(found) <= len(self._expected) else [False]
        if len(found) < at_least or not np.all(same):
            report.wrong.append(
                f"{self} has {len(found)} points, {np.count_nonzero(same)} of them right; {at_least} were there"
            )

    def check_end(self, board: BoardProcess, report: Report) -> None:
        """As ``check``; and how it ended must be true."""
        run = board.get(f"/api/runs/{self.run_id}")
        points = self.points_at(board)
        whole = points == len(self._expected)
        self.check(board, report, len(self._expected) if self.must_finish else max(self.acknowledged, self.logged))
        allowed = {"finished"} if self.must_finish else {"finished", "failed", "interrupted"}
        if run["status"] not in allowed or (run["status"] == "finished" and not whole):
            what = f"{points} of {len(self._expected)} points, {'cut' if self.cut else 'not cut'}"
            report.wrong.append(f"{self} is {run['status']} ({run['error']}) with {what}")

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.run_id}"

    def _found(self, board: BoardProcess) -> Floats:
        head, _, rows = board.client.get(f"/api/runs/{self.run_id}/points.csv").text.partition("\n")
        if not rows.strip():
            return np.empty((0, 1 + len(self._names)))
        table = np.loadtxt(io.StringIO(rows), delimiter=",", ndmin=2)
        column = {name: at for at, name in enumerate(head.strip().split(","))}
        return table[:, [column[name] for name in ("step", *self._names)]]


class WatchedTraining(WatchedRun):
    """A run of a board's own."""

    def __init__(self, board: BoardProcess, method: str, **params: Any) -> None:
        run = board.run(method, **params)
        trainer = METHODS[method]
        data = board.client.get(f"/api/runs/{run['id']}/data", headers={"Accept": "application/octet-stream"})
        x, y = np.frombuffer(data.content, "<f8").reshape(2, -1)
        typed = trainer.params.model_validate(run["params"])
        rows = list(itertools.islice(trainer.train(make_data(x, y), typed), run["total_steps"]))
        steps = np.arange(len(rows), dtype=float)
        super().__init__(run["id"], trainer.metrics(typed), np.column_stack([steps, np.array(rows, dtype=float)]))

    def has_ended(self, board: BoardProcess) -> bool:
        return board.get(f"/api/runs/{self.run_id}")["status"] in ENDED


class WatchedScript(WatchedRun):
    """A script that reports to a board, in a process of its own."""

    def __init__(self, url: str, folder: Path, told: Path, points: int, pause: float) -> None:
        """``folder`` is where its journal lies, ``told`` a new file for what it tells of itself; after each 50 of its
        points it pauses for so many seconds."""
        self.folder = folder
        self._told = told
        with told.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", COUNTED, str(points), str(pause)],
                env={**os.environ, "LOSSBOARD_URL": url, "LOSSBOARD_DIR": str(folder), "PYTHONPATH": str(ROOT)},
                stdout=out,
            )
        run_id = wait_for(self._lines, "a script's run")[0]
        numbers = np.arange(points, dtype=float)
        base = int(run_id[:4], 16)
        super().__init__(run_id, ("loss", "w"), np.column_stack([numbers, base + numbers / 8, -numbers]))

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    @property
    def logged(self) -> int:
        lines = self._lines()[1:]
        return len(self._expected) if "done" in lines else max(map(int, lines), default=0)

    @property
    def must_finish(self) -> bool:
        return "done" in self._lines()

    def kill(self) -> None:
        self.cut = True
        self.process.kill()
        self.process.wait()

    def _lines(self) -> list[str]:
        """What it has told, without a line that is cut short."""
        return self._told.read_text().split("\n")[:-1]
