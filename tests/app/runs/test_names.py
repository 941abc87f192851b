"""What runs are called that no person has named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from app.runs.names import default_name, part, with_changes, with_values
from app.schemas.requests import ChangeIn
from tests.harness.runs import Runs, losses_from
from trainers import METHODS

TEXTBOOK = (np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))


def name_of(method: str, **params: Any) -> str:
    return default_name(METHODS[method], METHODS[method].params(**params), TEXTBOOK, 7)


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("gd", {}, "Gradient descent, lr 0.01"),
        ("gd", {"epochs": 60, "steps_per_second": 5, "w0": -3, "lr": 1000}, "Gradient descent, lr 1000, w0 -3"),
        ("sgd", {"order": "sequential", "seed": 5}, "Stochastic gradient descent, lr 0.01, order sequential"),
        ("sgd", {"seed": 4_294_967_295}, "Stochastic gradient descent, lr 0.01, seed 4294967295"),
        ("minibatch", {"batch_size": 3}, "Mini-batch gradient descent, lr 0.01, batch size 3"),
        ("torch", {"lr": 1e-9, "optimizer": "adam"}, "Linear model in torch, lr 1e-9, optimizer adam"),
        ("torch", {"reduction": "mean"}, "Linear model in torch, lr 0.01, reduction mean"),
        ("backprop", {"hidden": 8}, "Backpropagation, lr 0.01, hidden 8"),
        ("sweep", {"w_start": -5.0}, "Exhaustive search, w start -5"),
    ],
)
def test_a_name_says_what_makes_a_run_differ(method: str, params: dict[str, Any], name: str) -> None:
    assert name_of(method, **params) == name


def test_data_that_is_not_the_textbooks_is_in_the_name() -> None:
    other = (TEXTBOOK[0], np.array([0.0, 0.0, 0.0]))
    assert default_name(METHODS["gd"], METHODS["gd"].params(), other, 7) == "Gradient descent, lr 0.01, data 7"


def changed(*rates: float) -> str:
    return with_changes("Gradient descent, lr 0.3, w0 2", [{"step": 1, "params": {"lr": rate}} for rate in rates])


def test_a_change_is_in_the_name() -> None:
    assert changed() == "Gradient descent, lr 0.3, w0 2"
    assert changed(1000) == "Gradient descent, lr 0.3 → 1000, w0 2"
    assert changed(0.1, 0.3) == "Gradient descent, lr 0.3 → 0.1 → 0.3, w0 2"
    assert changed(0.1, 0.2, 0.25) == "Gradient descent, lr 0.3 → … → 0.25, w0 2"
    assert (
        with_changes("lr 5, lr 0.1", [{"step": 1, "params": {"lr": 0.2}}]) == "lr 5, lr 0.1 → 0.2"
    )  # of a race "lr 5"
    assert with_changes("Autograd", [{"step": 1, "params": {"lr": 0.2}}]) == "Autograd, lr → 0.2"
    assert with_changes("Autograd, lr 1", [{"step": 1, "params": {"steps_per_second": 5.0}}]) == "Autograd, lr 1"


def test_what_has_not_begun_has_the_new_value_only() -> None:
    assert with_values("Gradient descent, lr 0.3", {"lr": 0.1, "steps_per_second": 2}) == "Gradient descent, lr 0.1"


def test_numbers_in_names_are_short() -> None:
    assert part("lr", 1e-05) == "lr 1e-5"
    assert part("batch_size", 12) == "batch size 12"


# --- as a run goes on -------------------------------------------------------------------------------------------------

pytestmark = pytest.mark.anyio


async def test_a_live_change_renames_a_run(runs: Runs) -> None:
    run_id = await runs.start(lr=0.3)
    await runs.control.change(run_id, {"lr": 1000})
    assert (await runs.stored(run_id)).name == "Gradient descent, lr 0.3"  # it does not hold yet
    change = ChangeIn(step=1, params={"lr": 1000})
    await runs.ingest.add_points(run_id, losses_from(1, 4.0), changes=[change])
    assert (await runs.stored(run_id)).name == "Gradient descent, lr 0.3 → 1000"


async def test_a_name_that_a_person_gave_stays(runs: Runs) -> None:
    run_id = await runs.start(lr=0.3)
    await runs.service.edit(run_id, name="mine, lr 0.3")
    await runs.ingest.add_points(run_id, losses_from(1, 4.0), changes=[ChangeIn(step=1, params={"lr": 1000})])
    assert (await runs.stored(run_id)).name == "mine, lr 0.3"


async def test_a_run_that_waits_has_the_name_and_the_theory_of_what_it_will_run_with(runs: Runs) -> None:
    run_id = [await runs.queue(lr=0.01) for _ in range(3)][2]
    await runs.control.change(run_id, {"lr": 0.3})
    record = await runs.stored(run_id)
    assert record.name == "Gradient descent, lr 0.3"
    assert "lr 0.3 is above 2/λ = 0.214" in (record.why or "")


async def test_runs_on_different_data_have_different_names(runs: Runs) -> None:
    await runs.queue()
    first, second, again = [await runs.queue_on([1.0], [y]) for y in (3.0, 4.0, 3.0)]
    names = [(await runs.stored(run_id)).name for run_id in (first, second, again)]
    told = [name.removeprefix("Gradient descent, lr 0.01, ") for name in names]
    assert told == ["data 2", "data 3", "data 2"]
    await runs.service.delete(first)
    assert (await runs.stored(await runs.queue_on([1.0], [3.0]))).name.endswith(", data 2")
