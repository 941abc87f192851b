"""Which runs the shared windows show."""

from __future__ import annotations

from typing import Any

import pytest

from app.overlay import Overlay
from app.store import RunRecord, Store

pytestmark = pytest.mark.anyio


def run(number: int, **record: Any) -> RunRecord:
    return RunRecord(f"{number:032x}", f"run {number}", "external", {}, "running", 0.0, **record)


async def shown(store: Store, runs: list[RunRecord]) -> list[int]:
    """The numbers of the runs on show after these have started; and the same once the board is started anew."""
    overlay = Overlay(store, 8, lambda: None)
    for one in runs:
        await store.add_run(one)
        await overlay.show(one)
    again = Overlay(store, 8, lambda: None)
    await again.load({})
    numbers = [drawn.run.number for drawn in overlay.drawn]
    assert [drawn.run.number for drawn in again.drawn] == numbers
    return numbers


async def test_the_latest_runs_are_shown(store: Store) -> None:
    assert await shown(store, [run(number) for number in range(1, 11)]) == list(range(3, 11))


async def test_a_race_is_shown_whole_and_alone(store: Store) -> None:
    before = [run(number) for number in range(1, 4)]
    race = [run(number, group="race", varied={"lr": number}) for number in range(4, 54)]
    assert await shown(store, [*before, *race]) == list(range(4, 54))


async def test_a_run_after_a_race_is_shown_beside_the_latest(store: Store) -> None:
    race = [run(number, group="race", varied={"lr": number}) for number in range(1, 20)]
    assert await shown(store, [*race, run(20)]) == list(range(13, 21))


async def test_runs_of_a_group_that_is_no_race_are_as_any_others(store: Store) -> None:
    assert await shown(store, [run(number, group="mine") for number in range(1, 11)]) == list(range(3, 11))
