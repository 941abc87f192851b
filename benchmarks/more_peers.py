"""What a step costs with SwanLab offline, GoodSeed and Rerun: `uv run python -m benchmarks.more_peers`.

Each in an environment of its own, which uv makes, as they do not go together with all that Lossboard is tested with.
The loop is that of benchmarks.peers, with two scalars a step; the plain loop and Lossboard are run beside them, all in
turns. What the tools keep is not read back.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, show, spread
from tests.harness.boards import BoardProcess

ROOT = Path(__file__).parents[1]
STEPS, TRIES = 10_000, 3
PACKAGES = {"swanlab": "swanlab", "goodseed": "goodseed", "rerun": "rerun-sdk"}
NAMES = {"lossboard": "Lossboard", "swanlab": "SwanLab", "goodseed": "GoodSeed", "rerun": "Rerun"}


def main() -> list[Figure]:
    """Print what each adds to a step."""
    seconds: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        for _ in range(TRIES):
            for tool in ("nothing", "list", *NAMES):
                if tool not in failed:
                    try:
                        seconds.setdefault(tool, []).append(step_seconds(tool, board))
                    except subprocess.CalledProcessError as error:
                        failed[tool] = error.stderr.strip().rpartition("\n")[2]
    return show(costs(seconds, failed))


def step_seconds(tool: str, board: BoardProcess) -> float:
    """Seconds of a step with a tool, in a fresh process and a fresh folder."""
    python = [sys.executable]
    if package := PACKAGES.get(tool):
        python = ["uv", "run", "--quiet", "--no-project", "--python", sys.executable, "--with", package, "python"]
    with tempfile.TemporaryDirectory() as folder:
        places = {"PYTHONPATH": str(ROOT), "LOSSBOARD_URL": board.url, "LOSSBOARD_DIR": folder}
        command = [*python, "-m", "benchmarks.tools.loop", tool, "trial", "--steps", str(STEPS)]
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"} | places
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.strip().rpartition("\n")[2])
    return float(answer["seconds"] / answer["steps"])


def costs(seconds: dict[str, list[float]], failed: dict[str, str]) -> Iterator[Figure]:
    """What a step costs more than without a tool."""
    plain = statistics.median(seconds["nothing"])
    floor = statistics.median(seconds["list"]) - plain
    for tool, name in NAMES.items():
        title = f"added to a step, {STEPS:,} steps"
        if tool in failed:
            yield Figure(title, None, note=failed[tool], of=name)
            continue
        yield spread(title, [one - plain for one in seconds[tool]], "µs", scale=1e6, of=name)
        times = (statistics.median(seconds[tool]) - plain) / floor
        yield Figure(f"the same as a multiple of list.append, {STEPS:,} steps", times, "×", of=name)


if __name__ == "__main__":
    main()
