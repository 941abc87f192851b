"""One record of a run, by its step, from the store."""

from __future__ import annotations

import numpy as np
import pytest

import lossboard
from app.storage.batch import Batch, Point
from app.storage.records import RunRecord
from app.storage.store import Store

pytestmark = pytest.mark.anyio


async def stored(store: Store, steps: list[float], size: int) -> RunRecord:
    run = RunRecord("1" * 32, "run", "gd", {}, "running", 0.0)
    await store.add_run(run)
    for first in range(0, len(steps), size):
        part = np.array(steps[first : first + size])
        await store.append(run, Batch(first, ("w",), np.column_stack([part, 10 * part])))
    return run


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_steps_that_are_the_records_numbers(store: Store, size: int) -> None:
    run = await stored(store, list(range(20)), size)
    for step in range(20):
        assert await store.point_at(run, step) == Point(step, {"w": 10 * step})
    assert await store.point_at(run, 7.5) == Point(7, {"w": 70})
    assert await store.point_at(run, 10**9) == Point(19, {"w": 190})
    assert await store.point_at(run, -1) is None


@pytest.mark.parametrize("size", [1, 2, 100])
async def test_a_scripts_own_steps(store: Store, size: int) -> None:
    run = await stored(store, [-5, 0, 2.5, 100, 200, 200, 350], size)
    found = {step: await store.point_at(run, step) for step in (-6, -5, 1, 3, 99, 100, 250, 350, 400)}
    assert [point and point.step for point in found.values()] == [None, -5, 0, 2.5, 2.5, 100, 200, 350, 350]


async def test_nothing_yet_and_what_a_record_lacks(store: Store) -> None:
    run = await stored(store, [], 1)
    assert await store.point_at(run, 0) is None
    rows = np.array([[0.0, 1.0, lossboard.MISSING], [1.0, np.nan, 3.0]])
    await store.append(run, Batch(0, ("w", "mse"), rows))
    assert await store.point_at(run, 0) == Point(0, {"w": 1.0})
    assert list((await store.point_at(run, 1) or Point(0, {})).values) == ["w", "mse"]
