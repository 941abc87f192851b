"""Kill -9 of the board, 200 times, while two runs and a script report: `uv run python -m benchmarks.kills`."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.boards import BoardProcess
from tests.killings import killings

AT_ONCE = 20  # killings of one board: its folder grows by some hundred thousand points with each


def main() -> None:
    """Print how many points were checked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=200)
    times = parser.parse_args().times
    began, checked = time.monotonic(), 0
    for seed, done in enumerate(range(0, times, AT_ONCE)):
        with tempfile.TemporaryDirectory() as folder:
            board = BoardProcess(Path(folder) / "board")
            try:
                checked += killings(board, Path(folder) / "scripts", min(AT_ONCE, times - done), seed)
            finally:
                board.stop()
        print(f"{min(done + AT_ONCE, times)} kills, {checked:,} points checked, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
