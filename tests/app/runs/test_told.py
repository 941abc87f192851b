"""What a script says of its run with its points: how far it is, and what may be changed after all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from app.schemas.requests import Told
from app.storage.batch import Batch
from app.storage.records import RunSaved
from tests.harness.runs import Runs

pytestmark = pytest.mark.anyio


async def tell(runs: Runs, run_id: str, **told: Any) -> None:
    await runs.ingest.add_points(run_id, Batch(0, (), np.empty((0, 1))), told=Told(**told))


async def test_progress_is_stored_and_shown_as_often_as_a_bar_needs_it(runs: Runs) -> None:
    run_id = await runs.script()
    saved = []
    runs.store.subscribe(lambda event: saved.append(event.run.done_steps) if isinstance(event, RunSaved) else None)
    for done in range(1001):
        await tell(runs, run_id, progress=(done, 1000))
    assert saved == [*range(0, 1001, 5)]
    record = await runs.stored(run_id)
    assert (record.done_steps, record.total_steps) == (1000, 1000)


async def test_another_end_is_shown_at_once(runs: Runs) -> None:
    run_id = await runs.script()
    await tell(runs, run_id, progress=(100, 100))
    await tell(runs, run_id, progress=(100, 200))
    record = await runs.stored(run_id)
    assert (record.done_steps, record.total_steps) == (100, 200)


async def test_a_parameter_may_be_changed_once_it_is_declared(runs: Runs) -> None:
    run_id = await runs.script(seed=1)
    await tell(runs, run_id, params={"lr": 0.1, "seed": 2})
    assert (await runs.stored(run_id)).params == {"seed": 1, "lr": 0.1}  # what it has stays
    await runs.control.change(run_id, {"lr": 0.2})
    await tell(runs, run_id, params={"lr": 0.1, "seed": 2})
    assert (await runs.stored(run_id)).params == {"seed": 1, "lr": 0.2}


async def test_bounds_of_one_parameter_leave_the_others_as_they_are(runs: Runs) -> None:
    run_id = await runs.script(seed=1, optimizer="sgd")
    for _ in range(2):
        await tell(runs, run_id, params={"lr": 0.1}, live={"lr": (0, 1)})
    assert (await runs.stored(run_id)).live == {"seed": (None, None), "lr": (0, 1)}


async def test_where_all_numbers_may_be_changed_none_is_named_without_need(runs: Runs) -> None:
    run_id = await runs.script(seed=1)
    await tell(runs, run_id, params={"lr": 0.1}, live={"lr": (0, None)})
    assert (await runs.stored(run_id)).live is None


async def test_what_may_be_changed_is_added_to_what_the_run_has_named(runs: Runs) -> None:
    record, _ = await runs.service.create_external("", "script", {"momentum": 0.9}, live={"momentum": (0, 1)})
    await tell(runs, record.id, params={"lr": 0.1}, live={"lr": (0, 1), "momentum": (0, 9)})
    assert (await runs.stored(record.id)).live == {"momentum": (0, 1), "lr": (0, 1)}


async def test_of_a_built_in_run_nothing_of_this_is_taken(runs: Runs) -> None:
    run_id = await runs.start(lr=0.01)
    before = await runs.stored(run_id)
    await tell(runs, run_id, progress=(1, 2), params={"momentum": 0.1}, live={"momentum": (0, 1)})
    record = await runs.stored(run_id)
    assert (record.total_steps, record.params, record.live) == (before.total_steps, before.params, None)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"progress": [3, 2]}, "the smaller one first"),
        ({"progress": [1]}, "Field required"),
        ({"progress": [0.5, 2]}, "valid integer"),
        ({"live": {"lr": [2, 1]}}, "the smaller one first"),
        ({"param": {}}, "not permitted"),
    ],
)
async def test_what_is_wrong_is_said(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Told.model_validate(told)
