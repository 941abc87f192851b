"""Changes of parameters that come with points: each once, and no later than the first point that was made with it."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import ConflictError, UnavailableError
from app.runs.control import MAX_CHANGES
from app.schemas.requests import ChangeIn
from app.schemas.responses import Accepted
from app.storage.batch import MAX_PART_BYTES
from app.storage.records import PointsAdded, RunEvent, RunSaved
from tests.harness.runs import Runs, losses_from

pytestmark = pytest.mark.anyio


def change(step: float, lr: float, number: int | None = None) -> ChangeIn:
    return ChangeIn(step=step, params={"lr": lr}, number=number)


async def post(runs: Runs, run_id: str, seq: int, losses: list[float], *changes: ChangeIn) -> Accepted:
    return await runs.ingest.add_points(run_id, losses_from(seq, *losses), changes=changes)


async def changes_of(runs: Runs, run_id: str) -> list[tuple[float, float]]:
    """The step and the learning rate of each change that is on disk; it is the same in memory."""
    stored = (await runs.stored(run_id)).changes
    assert (await runs.service.get(run_id)).changes == stored
    return [(one["step"], one["params"]["lr"]) for one in stored]


async def test_a_change_is_stored_with_the_points_it_comes_with(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    await post(runs, run_id, 0, [3.0, 2.0], change(1, 0.2))
    assert await changes_of(runs, run_id) == [(1, 0.2)]
    assert await runs.losses(run_id) == [3.0, 2.0]


async def test_a_change_may_come_with_a_heartbeat(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    await post(runs, run_id, 0, [], change(0.5, 0.2))
    assert await changes_of(runs, run_id) == [(0.5, 0.2)]


async def test_what_is_asked_for_is_no_change_before_it_is_confirmed(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    await runs.control.change(run_id, {"lr": 0.2})
    for _ in range(3):
        assert (await runs.post(run_id, 0)).control.params == {"lr": 0.2}
    assert await changes_of(runs, run_id) == []


async def test_a_post_that_is_repeated_adds_nothing(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    for _ in range(2):
        await post(runs, run_id, 0, [3.0, 2.0], change(1, 0.2, 0))
        await post(runs, run_id, 0, [3.0, 2.0, 1.0], change(1, 0.2, 0), change(2, 0.3, 1))
    assert await changes_of(runs, run_id) == [(1, 0.2), (2, 0.3)]
    assert await runs.losses(run_id) == [3.0, 2.0, 1.0]


async def test_a_post_that_arrives_late_adds_nothing(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    there_and_back = [change(0, lr, number) for number, lr in enumerate([0.2, 0.1, 0.2])]
    for one in [*there_and_back, *there_and_back]:
        await post(runs, run_id, 0, [], one)
    assert await changes_of(runs, run_id) == [(0, 0.2), (0, 0.1), (0, 0.2)]


async def test_a_change_without_a_number_is_known_by_its_step_and_parameters(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    for one in (change(0, 0.2), change(0, 0.2), change(1, 0.2), change(0, 0.2)):
        await post(runs, run_id, 0, [], one)
    assert await changes_of(runs, run_id) == [(0, 0.2), (1, 0.2)]


async def test_one_post_from_many_at_once_adds_its_change_once(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    await asyncio.gather(*(post(runs, run_id, 0, [3.0], change(0, 0.2, 0)) for _ in range(8)))
    assert await changes_of(runs, run_id) == [(0, 0.2)]


async def test_a_batch_with_a_gap_before_it_brings_no_change(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    with pytest.raises(ConflictError):
        await post(runs, run_id, 5, [1.0], change(5, 0.2, 0))
    assert await changes_of(runs, run_id) == []


async def test_on_a_full_disk_neither_points_nor_changes_come_in(runs: Runs) -> None:
    run_id = await runs.start()
    before = await runs.stored(run_id)
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await post(runs, run_id, 1, [4.0], change(1, 0.9, 0))
    record = await runs.service.get(run_id)
    assert (record.changes, record.why) == (before.changes, before.why)
    runs.database.full = False
    await post(runs, run_id, 1, [4.0], change(1, 0.9, 0))
    assert await changes_of(runs, run_id) == [(1, 0.9)]
    assert await runs.losses(run_id) == [5.0, 4.0]


async def test_a_change_is_stored_no_later_than_the_first_part_of_a_large_batch(runs: Runs) -> None:
    """Whoever hears of the points finds the change on disk."""
    run_id = await runs.script(lr=0.1)
    await runs.post(run_id, 0, 5.0)
    seen: list[tuple[str, int]] = []

    def notice(event: RunEvent) -> None:
        if isinstance(event, RunSaved | PointsAdded):
            seen.append((type(event).__name__, len(event.run.changes)))

    runs.store.subscribe(notice)
    await post(runs, run_id, 1, [1.0] * (MAX_PART_BYTES // 8), change(1, 0.2, 0))
    assert seen == [("RunSaved", 1), ("PointsAdded", 1), ("PointsAdded", 1)]


async def test_a_journal_that_is_read_later_brings_its_changes(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.active.give_up(runs.active.get(run_id), "interrupted", "The board ended.")
    assert (await post(runs, run_id, 1, [4.0], change(1, 0.2, 0))).control.stop
    assert await changes_of(runs, run_id) == [(1, 0.2)]


async def test_only_so_many_changes_are_recorded(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    await post(runs, run_id, 0, [], *(change(step, 0.2, step) for step in range(MAX_CHANGES + 1)))
    assert len(await changes_of(runs, run_id)) == MAX_CHANGES


async def test_a_change_tells_anew_why_a_run_does_what_it_does(runs: Runs) -> None:
    run_id = await runs.start("gd", lr=0.01)
    await runs.control.change(run_id, {"lr": 0.9})
    before = (await runs.stored(run_id)).why
    await post(runs, run_id, 1, [4.0], change(1, 0.9, 0))
    assert (await runs.stored(run_id)).why != before
