"""Faults of all kinds, in random turns: nothing that was acknowledged or logged is lost. The long form is
`python -m benchmarks.faults`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.harness.faults import Field, plan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")

COUNTS = {"kills": 10, "locks": 2, "disks": 2, "freezes": 3, "images": 2}
SEED = 12


def test_nothing_is_lost_whatever_happens(tmp_path: Path) -> None:
    field = Field(tmp_path, seed=SEED, longest=0.1)
    field.start()
    try:
        for turns in plan(COUNTS, SEED):
            field.round(turns)
    finally:
        field.close()
    assert field.report.wrong == [], str(field.report)
    assert (field.report.lost, field.report.doubled) == (0, 0)
    assert field.report.points > 10_000
