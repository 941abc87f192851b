"""How good a run is said to be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import lossboard
from app.runs.progress import final_mse, has_exploded, note_points, rank
from app.storage.batch import Batch
from app.storage.records import RunRecord
from trainers import METHODS

LOSSES = [8.0, 0.0, 6.0, 0.01]  # of single samples: one of them is hit by luck
MSES = [5.0, 4.0, lossboard.MISSING, 0.05]


def run(method: str, params: dict[str, Any] | None = None, **record: Any) -> RunRecord:
    """A run on three pairs, whose cost is measured by 10 if it is a descent."""
    if method != "external":
        params = METHODS[method].params(**params or {}).model_dump()
        record = {"samples": 3, "cost_scale": None if method == "sweep" else 10.0} | record
    return RunRecord("1" * 32, "run", method, params or {}, "running", 0.0, **record)


def posted(record: RunRecord, seq: int = 0, /, **columns: list[float]) -> RunRecord:
    """The run once it has logged these columns, from step ``seq`` on, or at the steps in ``step``."""
    steps = columns.pop("step", [*range(seq, seq + len(next(iter(columns.values()))))])
    note_points(record, Batch(seq, tuple(columns), np.column_stack([steps, *columns.values()])))
    return record


def noted(method: str, *sizes: int) -> RunRecord:
    """A run that has logged these losses, in batches of these sizes."""
    record, seq = run(method), 0
    for size in sizes:
        posted(record, seq, loss=LOSSES[seq : seq + size], mse=MSES[seq : seq + size])
        seq += size
    return record


# --- the goal ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [(4,), (1, 1, 1, 1), (2, 2)])
def test_a_loss_of_single_samples_is_not_good_by_luck(sizes: tuple[int, ...]) -> None:
    record = noted("sgd", *sizes)
    assert (record.first_loss, record.final_loss) == (5.0, 0.05)
    assert (record.steps_to_1_percent, record.evaluations_to_1_percent) == (
        4,
        4,
    )  # the mse of step 3 is after 4 updates


def test_a_script_is_judged_by_what_it_calls_its_loss() -> None:
    record = noted("external", 4)
    assert (record.first_loss, record.steps_to_1_percent, record.final_loss) == (8.0, 1, 0.01)
    assert (record.evaluations_to_1_percent, final_mse(record)) == (None, None)


def test_the_work_until_the_goal_is_counted_in_gradients_of_single_samples() -> None:
    gd = posted(run("gd"), loss=[5.0, 1.0, 0.05])  # the loss of step 2 is that after 2 updates
    assert (gd.steps_to_1_percent, gd.evaluations_to_1_percent) == (2, 6)
    sweep = posted(run("sweep"), loss=[5.0, 1.0, 0.05])  # that of its third candidate
    assert (sweep.steps_to_1_percent, sweep.evaluations_to_1_percent) == (2, 9)
    batches = posted(run("minibatch", {"batch_size": 2}), loss=[5.0, 1.0, 0.5], mse=[5.0, 0.5, 0.01])
    assert (batches.steps_to_1_percent, batches.evaluations_to_1_percent) == (3, 5)


def test_methods_are_compared_by_their_work_and_their_mean_squared_error() -> None:
    quick, slow = run("sgd", steps_to_1_percent=9, evaluations_to_1_percent=9), run("gd", steps_to_1_percent=4)
    slow.evaluations_to_1_percent = 12
    total, mean = (posted(run("torch", {"reduction": one}), loss=[30.0]) for one in ("sum", "mean"))
    posted(quick, loss=[0.0], mse=[0.01])
    posted(slow, loss=[0.01])
    assert [final_mse(one) for one in (total, mean)] == [pytest.approx(10), 30]
    assert rank([mean, total, slow, quick]) == [quick, slow, total, mean]


def test_scripts_are_compared_by_their_steps_and_their_loss() -> None:
    soon, late, never = (run("external", last={"loss": 1.0}) for _ in range(3))
    soon.steps_to_1_percent, late.steps_to_1_percent = 0.75, 3
    lost = run("external", last={"loss": math.nan})
    assert rank([lost, never, late, soon]) == [soon, late, never, lost]


def test_a_search_is_as_good_as_its_best_candidate() -> None:
    sweep = posted(run("sweep"), loss=[5.0, 0.5, math.nan, 7.0])
    posted(sweep, 4, loss=[8.0])
    assert (sweep.last["loss"], sweep.final_loss, final_mse(sweep)) == (8.0, 0.5, 0.5)
    sweep.result = {"best_loss": 0.25}
    assert final_mse(sweep) == 0.25


# --- steps ------------------------------------------------------------------------------------------------------------


def test_a_run_has_come_as_far_as_its_largest_step() -> None:
    script = posted(run("external"), step=[0, 1, 2, 3], loss=[4.0] * 4)
    posted(script, 4, step=[0, 1], val_loss=[5.0, 6.0])  # a validation pass counts its own batches
    assert (script.step, script.last) == (3, {"loss": 4.0, "val_loss": 6.0})


def test_steps_may_be_fractions_and_below_zero() -> None:
    script = posted(run("external"), step=[-5, -2], loss=[100.0, 90.0])
    assert (script.step, type(script.step)) == (-2, int)
    posted(script, 2, step=[0.25, 0.75], loss=[80.0, 1.0])
    assert (script.step, script.steps_to_1_percent) == (0.75, 0.75)
    posted(script, 4, step=[3.0], loss=[1.0])
    assert (script.step, type(script.step)) == (3, int)


# --- explosions -------------------------------------------------------------------------------------------------------


def test_a_descent_has_exploded_far_above_where_it_began() -> None:
    assert not has_exploded(run("gd"))
    assert not has_exploded(posted(run("gd"), loss=[10_000.0]))
    assert has_exploded(posted(run("gd"), loss=[10_001.0]))
    assert has_exploded(posted(run("gd"), loss=[math.nan]))
    assert not has_exploded(posted(run("torch"), loss=[30_000.0]))  # a sum of three
    assert has_exploded(posted(run("torch", {"reduction": "mean"}), loss=[30_000.0]))
    assert has_exploded(run("gd", last={"loss": 1.0}, result={"final_mse": 1e86}))


def test_neither_the_minimum_nor_a_sample_without_a_loss_makes_a_run_diverge() -> None:
    assert not has_exploded(posted(run("sgd"), loss=[0.0, 9.0], mse=[0.0, 9.0]))
    assert not has_exploded(posted(run("gd", cost_scale=0.0), loss=[0.0, 0.0]))


def test_searches_and_scripts_do_not_explode() -> None:
    assert not has_exploded(posted(run("sweep"), loss=[1.0, 1e80]))
    assert not has_exploded(posted(run("external"), loss=[1.0, 1e80]))
    assert has_exploded(posted(run("external"), loss=[1.0, math.nan]))
    script = posted(run("external"), loss=[1.0])
    script.status = "diverged"
    assert has_exploded(script)


def test_runs_of_an_older_board_are_ranked_by_what_is_known_of_them() -> None:
    old = [run("gd", samples=None, cost_scale=None, last={"loss": loss}) for loss in (2.0, 1.0, math.inf)]
    assert [has_exploded(one) for one in old] == [False, False, True]
    assert [one.last["loss"] for one in rank(old)] == [1.0, 2.0, math.inf]
