"""Scripts that are killed, and boards that are killed again and again while runs report."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.runs import journals
from tests.harness.boards import BoardProcess

ROOT = Path(__file__).parents[2]
ENDLESS = """
import os, sys, lossboard
run = lossboard.run("endless")
print(run.id, flush=True)
i = 0
while True:
    run.log(loss=i, w=-i)
    i += 1
    if i % 100 == 0:
        os.write(1, b"%d\\n" % i)
"""
STEADY = ENDLESS.replace("i += 1", "i += 1; import time; time.sleep(0.0001)")


class Script:
    """A training script in a process of its own."""

    def __init__(self, code: str, url: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "LOSSBOARD_URL": url, "LOSSBOARD_DIR": str(folder), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.run_id = self.process.stdout.readline().decode().strip()

    def kill(self) -> int:
        """Kill -9; how many points it had logged at least."""
        self.process.kill()
        out, _ = self.process.communicate()
        return int((b"0\n" + out).splitlines()[-1])


def killings(board: BoardProcess, folder: Path, times: int, seed: int = 4) -> int:
    """Kill -9 a board at random moments while two runs and a script report: every acknowledged point is there once,
    and the script's others come after. Returns how many points were checked."""
    board.start()
    port = board.url.rpartition(":")[2]
    script = Script(STEADY, board.url, folder)
    chance = random.Random(seed)  # noqa: S311
    shown: dict[str, int] = {}
    for _ in range(times):
        runs = [board.run("gd", epochs=10_000_000), board.run("sgd", epochs=100_000, steps_per_second=500)]
        time.sleep(chance.random() * 0.6)
        for run in runs:
            step = board.get(f"/api/runs/{run['id']}")["step"]
            shown[run["id"]] = 0 if step is None else step + 1
        board.stop(signal.SIGKILL)
        board.start("--port", port)
    logged = script.kill()
    assert [sent.refusal for sent in journals.sync(folder, board.url) if sent.refusal] == []
    checked = whole(board, script.run_id)
    assert checked >= logged
    for run_id, at_least in shown.items():
        run = board.get(f"/api/runs/{run_id}")
        assert run["status"] in ("interrupted", "running")
        points = board.get(f"/api/runs/{run_id}/points", max_points=2)
        assert points["total"] >= at_least
        if points["total"]:
            assert points["step"][-1] == points["total"] - 1  # none is missing, and none is there twice
        checked += points["total"]
    return checked


def whole(board: BoardProcess, run_id: str) -> int:
    """Check that a run of ENDLESS is complete and in order; how many points it has."""
    lines = board.client.get(f"/api/runs/{run_id}/points.csv").text.splitlines()[1:]
    for number, line in enumerate(lines):
        assert line == f"{number},{number}.0,{0.0 - number}"
    return len(lines)
