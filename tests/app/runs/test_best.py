"""The extremes of each metric are known as its points come, and after a crash."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.runs.best import is_more_better, note_extremes
from app.storage.records import RunRecord
from tests.harness.runs import Runs, losses_from


@pytest.mark.parametrize("metric", ["acc", "val/accuracy", "Top1_Acc", "charts/episodic_return", "eval.f1", "BLEU"])
def test_of_some_metrics_more_is_better(metric: str) -> None:
    assert is_more_better(metric)


@pytest.mark.parametrize("metric", ["loss", "val_loss", "accumulated_loss", "perplexity", "lr"])
def test_of_others_less_is_better(metric: str) -> None:
    assert not is_more_better(metric)


def test_the_extremes_are_those_of_the_finite_values() -> None:
    record = RunRecord("", "run", "external", {}, "running", 0.0)
    nan, inf = math.nan, math.inf
    note_extremes(record, ("loss", "w", "never"), np.array([[0, 3.0, nan, nan], [1, inf, -2.0, inf]]))
    assert record.best == {"loss": [3.0, 3.0], "w": [-2.0, -2.0]}
    note_extremes(record, ("w", "loss"), np.array([[2, 5.0, 4.0]]))
    assert record.best == {"loss": [3.0, 4.0], "w": [-2.0, 5.0]}


@pytest.mark.anyio
async def test_a_run_that_a_crash_left_behind_knows_its_best_value(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 5.0)
    await runs.post(run_id, 1, 0.25, 9.0)
    await runs.post(run_id, 3, *[1.0] * 400)
    assert (await runs.stored(run_id)).best == {"loss": [5.0, 5.0]}  # a better one alone is no reason to write
    await runs.service.recover()
    assert (await runs.stored(run_id)).best == {"loss": [0.25, 9.0]}


@pytest.mark.anyio
async def test_late_records_count_too(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.ingest.add_points(run_id, losses_from(2, 5.0), after_gap=True)
    await runs.post(run_id, 0, 0.5, 7.0)
    assert (await runs.service.get(run_id)).best == {"loss": [0.5, 7.0]}
