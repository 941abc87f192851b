"""How good a run is said to be."""

from __future__ import annotations

import numpy as np
import pytest

import lossboard
from app.runs.progress import note_points, rank
from app.storage.batch import Batch
from app.storage.records import RunRecord

LOSSES = [8.0, 0.0, 6.0, 0.01]  # of single samples: one of them is hit by luck
MSES = [5.0, 4.0, lossboard.MISSING, 0.05]


def noted(method: str, *sizes: int) -> RunRecord:
    """A run that has logged these losses, in batches of these sizes."""
    record = RunRecord("1" * 32, "run", method, {}, "running", 0.0)
    rows, seq = np.column_stack([np.arange(4), LOSSES, MSES]), 0
    for size in sizes:
        note_points(record, Batch(seq, ("loss", "mse"), rows[seq : seq + size]))
        seq += size
    return record


@pytest.mark.parametrize("sizes", [(4,), (1, 1, 1, 1), (2, 2)])
def test_a_loss_of_single_samples_is_not_good_by_luck(sizes: tuple[int, ...]) -> None:
    record = noted("sgd", *sizes)
    assert (record.first_loss, record.steps_to_1_percent, record.final_loss) == (5.0, 3, 0.05)


def test_a_script_is_judged_by_what_it_calls_its_loss() -> None:
    record = noted("external", 4)
    assert (record.first_loss, record.steps_to_1_percent, record.final_loss) == (8.0, 1, 0.01)


def test_what_is_as_good_as_gone_soonest_is_first() -> None:
    never, late, soon, lost = (noted("sgd", 1) for _ in range(4))
    late.steps_to_1_percent, soon.steps_to_1_percent, lost.status = 9, 3, "diverged"
    assert rank([lost, never, late, soon]) == [soon, late, never, lost]
