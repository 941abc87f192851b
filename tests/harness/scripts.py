"""Training scripts in processes of their own, whose points can be told from all others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


def whole(board: BoardProcess, run_id: str) -> int:
    """Check that a run of ENDLESS is complete and in order; how many points it has."""
    lines = board.client.get(f"/api/runs/{run_id}/points.csv").text.splitlines()[1:]
    for number, line in enumerate(lines):
        assert line == f"{number},{number}.0,{0.0 - number}"
    return len(lines)
