"""Faults of all kinds while runs and scripts report: `uv run python -m benchmarks.faults`.

In random turns the board, workers, scripts, fork servers and Visdom are killed or suspended, the database is locked by
another program, the disk is full, and a board is started on a copy of all files as they are at one moment, as after a
power failure. After each round every point that was acknowledged, or that a script had logged, must be there once and
as it was, and every run must have ended as it says. With `--only kills,freezes` nothing else happens; `--share 0.1` is
a tenth of all faults, as in the run of all measurements; `--seed 7` brings them in another order.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, show
from tests.harness.faults import KINDS, Field, plan

COUNTS = {"kills": 200, "locks": 50, "disks": 50, "freezes": 50, "images": 100}


def main(share: float = 0.1, kinds: tuple[str, ...] = KINDS, seed: int = 1) -> list[Figure]:
    """Print what was done and found. AssertionError if a point was lost or doubled, or an end is not true."""
    counts = {kind: max(1, round(share * COUNTS[kind])) for kind in kinds}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        field = Field(Path(folder), seed=seed, longest=min(1.0, 2 * share), disks="disks" in kinds)
        field.start()
        try:
            for number, turns in enumerate(plan(counts, seed), 1):
                told = len(field.report.wrong)
                field.round(turns)
                print(f"round {number}, {time.monotonic() - began:.0f} s: {field.report}", flush=True)
                for sentence in field.report.wrong[told:]:
                    print(sentence, file=sys.stderr, flush=True)
        finally:
            field.close()
    report = field.report
    assert not report.wrong, f"{len(report.wrong)} faults, {report.lost} points lost, {report.doubled} doubled"
    done = ", ".join(f"{count} {what}" for what, count in sorted(report.done.items()) if ":" not in what)
    return show(
        [
            Figure("points found once and as they were", report.points, note=f"after {done}"),
            Figure("points lost or doubled", report.lost + report.doubled, at_most=0),
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults")
    parser.add_argument("--only", default=",".join(KINDS), help=f"kinds of faults, of {','.join(KINDS)}")
    parser.add_argument("--share", type=float, default=1.0, help="of all faults")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    given.only = tuple(given.only.split(","))
    if unknown := set(given.only) - set(KINDS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return given


if __name__ == "__main__":
    arguments = _arguments()
    main(arguments.share, arguments.only, arguments.seed)
