"""Deleted runs: gone for everyone at once, restorable for ten seconds, then forgotten with their points."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.errors import ConflictError, GoneError, NotFoundError
from app.runs.service import RESTORABLE_S
from app.storage.records import RunDeleted, RunEvent, RunSaved
from tests.harness.runs import Runs
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

NEW_ID = "0" * 32


@asynccontextmanager
async def forgetting(runs: Runs) -> AsyncIterator[None]:
    """While the block runs, the service forgets deleted runs as a board does."""
    task = asyncio.create_task(runs.service.forget_deleted())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_deleted_run_is_gone_for_everyone_at_once(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.service.delete(run_id)
    with pytest.raises(GoneError):
        await runs.service.get(run_id)
    with pytest.raises(GoneError):
        await runs.post(run_id, 1, 4.0)
    assert await runs.service.page(status=None, group=None, limit=9, offset=0) == ([], 0)
    assert await runs.service.page(status="stopped", group=None, limit=9, offset=0) == ([], 0)
    assert await runs.store.latest_started(9) == []


async def test_a_deleted_run_is_restored_with_its_points_and_told_again(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 5.0, 3.0)
    await runs.finish(run_id)
    events: list[RunEvent] = []
    runs.store.subscribe(events.append)
    await runs.service.delete(run_id)
    runs.now += RESTORABLE_S - 1
    (restored,) = await runs.service.restore([run_id])
    assert (restored.status, restored.deleted_at) == ("finished", None)
    assert await runs.losses(run_id) == [5.0, 3.0]
    assert [type(event) for event in events] == [RunDeleted, RunSaved]
    assert events[1] == RunSaved(restored, restored=True)
    with pytest.raises(ConflictError):  # and not GoneError
        await runs.post(run_id, 2, 1.0)


async def test_a_run_that_went_on_when_it_was_deleted_has_stopped_once_it_is_restored(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.service.delete(run_id)
    assert runs.executor.killed == [run_id]
    (restored,) = await runs.service.restore([run_id])
    assert (restored.status, restored.ended_at) == ("stopped", runs.now)


async def test_after_ten_seconds_a_deleted_run_is_forgotten_with_its_points(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 5.0)
    record = await runs.stored(run_id)
    async with forgetting(runs):
        await until(lambda: runs.sleep.asked)
        await runs.service.delete(run_id)
        runs.now += RESTORABLE_S
        with pytest.raises(GoneError):
            await runs.service.restore([run_id])
        runs.sleep.over()
        await until(lambda: runs.sleep.asked)
    assert await runs.store.count(record) == 0
    assert await runs.store.marked_deleted() == []
    with pytest.raises(GoneError):
        await runs.service.get(run_id)


async def test_the_next_board_forgets_what_the_last_one_deleted(runs: Runs) -> None:
    run_id, restorable = await runs.script(), await runs.script()
    record = await runs.stored(run_id)
    await runs.service.delete(run_id)
    runs.now += RESTORABLE_S
    await runs.service.delete(restorable)
    async with forgetting(runs):  # nothing was deleted since this began
        await until(lambda: runs.sleep.asked)
    assert [marked.id for marked in await runs.store.marked_deleted()] == [restorable]
    assert await runs.store.get_run(record.id) is None


async def test_what_is_being_stored_of_a_run_while_it_is_deleted_does_not_bring_it_back(runs: Runs) -> None:
    run_id = await runs.script()
    record = await runs.stored(run_id)
    await runs.service.delete(run_id)
    await runs.store.save_run(record)
    assert await runs.store.get_run(run_id) is None
    assert [marked.id for marked in await runs.store.marked_deleted()] == [run_id]


async def test_a_script_whose_run_is_deleted_cannot_have_its_id_again(runs: Runs) -> None:
    await runs.service.create_external(NEW_ID, "script", {})
    await runs.service.delete(NEW_ID)
    with pytest.raises(GoneError):
        await runs.service.create_external(NEW_ID, "script", {})


async def test_to_restore_a_run_that_is_there_changes_nothing_and_one_that_never_was_is_refused(runs: Runs) -> None:
    run_id = await runs.script()
    assert [record.id for record in await runs.service.restore([run_id])] == [run_id]
    with pytest.raises(NotFoundError):
        await runs.service.restore(["nonesuch"])
