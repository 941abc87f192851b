"""A path thinned as it grows: its beginning whole, the rest evenly."""

from __future__ import annotations

import numpy as np
import pytest

from app.charts.trajectory import HEAD_RECORDS, TAIL_RECORDS, Trajectory


def records(first: int, last: int) -> np.ndarray:
    steps = np.arange(first, last, dtype=float)
    return np.column_stack([steps, 2 * steps, -steps])


@pytest.mark.parametrize("chunk", [1, 7, 1000, 40_000])
def test_however_it_comes_in_the_same_is_kept(chunk: int) -> None:
    trajectory = Trajectory()
    for first in range(0, 20_000, chunk):
        trajectory.append(records(first, min(first + chunk, 20_000)))
    kept = trajectory.until(np.inf)
    assert TAIL_RECORDS / 2 < len(kept) - HEAD_RECORDS <= TAIL_RECORDS
    assert kept[:HEAD_RECORDS, 0].tolist() == list(range(HEAD_RECORDS))
    gaps = set(np.diff(kept[HEAD_RECORDS:, 0]).tolist())
    assert len(gaps) == 1
    assert (kept[:, 1] == 2 * kept[:, 0]).all()
    assert kept[HEAD_RECORDS, 0] == HEAD_RECORDS


def test_only_up_to_a_step_and_only_numbers() -> None:
    trajectory = Trajectory()
    odd = records(0, 4)
    odd[2, 1] = np.nan
    trajectory.append(odd)
    assert trajectory.until(2)[:, 0].tolist() == [0, 1]
    assert len(Trajectory().until(5)) == 0
