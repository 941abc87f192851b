"""What is left of a run whose script was killed with SIGKILL."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from benchmarks.tools.tool import Tool
from tests.harness.boards import wait_for

RATE = 1000  # steps a second
GRACE = 5  # seconds for what the script had started to end by itself
SETTLED = 3  # seconds without a new point: that was all


@dataclass(frozen=True)
class Death:
    """How many points the script had logged, and how many of them can be read back."""

    logged: int
    kept: int


def kill_some(make: Callable[[Path], Tool], times: int, seed: int) -> list[Death]:
    """Kill as many scripts, each half a second to three seconds after its first step."""
    chance = random.Random(seed)  # noqa: S311  (the same moments for every tool)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, make(Path(folder) / "tool") as tool:
        return [
            kill(tool, f"killed{number}", Path(folder) / str(number), chance.uniform(0.5, 3)) for number in range(times)
        ]


def kill(tool: Tool, run: str, notes: Path, seconds: float) -> Death:
    """Start a script, kill it, and wait until the tool has what it will have."""
    process = tool.train(run, "--steps", 10 * RATE, "--rate", RATE, "--notes", notes)
    wait_for(lambda: notes.exists() and steps_in(notes), f"the first step with {tool.name}")
    time.sleep(seconds)
    helpers = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate()
    logged = steps_in(notes)
    psutil.wait_procs(helpers, timeout=GRACE)  # they may write what the script had told them
    kept = settled(tool, run)
    if kept < logged and tool.after_death():
        kept = settled(tool, run)
    for helper in helpers:
        with suppress(psutil.NoSuchProcess):
            helper.kill()
    # The very last step may have been logged without having been noted.
    return Death(logged, min(kept, logged))


def settled(tool: Tool, run: str) -> int:
    """How many points can be read back once no more are coming."""
    kept, since = len(tool.points(run)), time.monotonic()
    while time.monotonic() - since < SETTLED:
        time.sleep(0.2)
        if (now := len(tool.points(run))) != kept:
            kept, since = now, time.monotonic()
    return kept


def steps_in(notes: Path) -> int:
    """How many steps a script has noted."""
    return int(np.count_nonzero(np.fromfile(notes)))
