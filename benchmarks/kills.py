"""Kill -9 of the board while two runs and a script report: `uv run python -m benchmarks.kills 200`.

Each of the board's deaths comes at a random moment; in the end every point that was acknowledged, and every one that a
script had logged, is there once.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess
from tests.harness.kills import killings

AT_ONCE = 20  # killings of one board: its folder grows by some hundred thousand points with each


def main(times: int = AT_ONCE) -> list[Figure]:
    """Print how many points were checked."""
    began, checked = time.monotonic(), 0
    for seed, done in enumerate(range(0, times, AT_ONCE)):
        with tempfile.TemporaryDirectory() as folder:
            board = BoardProcess(Path(folder) / "board")
            try:
                checked += killings(board, Path(folder) / "scripts", min(AT_ONCE, times - done), seed)
            finally:
                board.stop()
        print(
            f"{min(done + AT_ONCE, times)} kills, {checked:,} points checked, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    note = f"after {times} kills of the board; a lost or doubled one ends this with an error"
    return show([Figure("points found once and as they were", checked, note=note)])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10 * AT_ONCE)
