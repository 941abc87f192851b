"""Whoever waits for what is asked of a run is told as soon as it changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import ConflictError, GoneError, NotFoundError, UnavailableError
from app.runs.control_watch import ControlWatch
from app.schemas.responses import ControlVersion
from tests.harness.runs import Runs
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

LONG_S = 60.0


@pytest.fixture
def watch(runs: Runs) -> ControlWatch:
    return ControlWatch(runs.store, runs.active)


async def waiting(watch: ControlWatch, run_id: str) -> asyncio.Task[ControlVersion]:
    """Somebody who knows what is asked now, and waits for something else."""
    now = await watch.wait(run_id, "", LONG_S)
    task = asyncio.create_task(watch.wait(run_id, now.version, LONG_S))
    await until(lambda: bool(watch._waiting))
    return task


@pytest.mark.parametrize(
    ("ask", "field", "value"),
    [
        (lambda runs, run_id: runs.control.change(run_id, {"lr": 0.3}), "params", {"lr": 0.3}),
        (lambda runs, run_id: runs.control.pause(run_id), "pause", True),
        (lambda runs, run_id: runs.control.step(run_id, 3), "steps", 3),
        (lambda runs, run_id: runs.control.stop(run_id), "stop", True),
    ],
    ids=["change", "pause", "step", "stop"],
)
async def test_what_is_asked_is_told_at_once(
    runs: Runs, watch: ControlWatch, ask: Any, field: str, value: object
) -> None:
    run_id = await runs.script(lr=0.1)
    task = await waiting(watch, run_id)
    await ask(runs, run_id)
    assert getattr((await task).control, field) == value


async def test_points_wake_nobody_who_waits(runs: Runs, watch: ControlWatch) -> None:
    run_id = await runs.script(lr=0.1)
    await runs.post(run_id, 0, 5.0)
    task = await waiting(watch, run_id)
    await runs.post(run_id, 1, 4.0)
    await runs.service.edit(run_id, notes="seen")
    assert not task.done()
    await runs.control.pause(run_id)
    assert (await task).control.pause


async def test_where_nothing_changes_the_answer_comes_in_time(runs: Runs, watch: ControlWatch) -> None:
    run_id = await runs.script()
    now = await watch.wait(run_id, "", LONG_S)
    assert await watch.wait(run_id, now.version, 0.01) == now
    assert await watch.wait(run_id, "", 0) == now


async def test_a_run_that_ends_or_goes_is_told(runs: Runs, watch: ControlWatch) -> None:
    ending, going = await runs.script(), await runs.script()
    task = await waiting(watch, ending)
    await runs.finish(ending)
    with pytest.raises(ConflictError, match="ended \\(finished\\)"):
        await task
    task = await waiting(watch, going)
    await runs.service.delete(going)
    with pytest.raises(GoneError):
        await task
    with pytest.raises(NotFoundError):
        await watch.wait("nonesuch", "", LONG_S)


async def test_a_script_that_was_thought_lost_is_told_to_stop(runs: Runs, watch: ControlWatch) -> None:
    run_id = await runs.script()
    await runs.ingest.interrupt_silent(runs.active.get(run_id).heard_at + 1000)  # type: ignore[union-attr]
    task = await waiting(watch, run_id)
    await runs.control.stop(run_id)
    assert (await task).control.stop


async def test_a_board_that_ends_lets_go(runs: Runs, watch: ControlWatch) -> None:
    task = await waiting(watch, await runs.script())
    watch.close()
    with pytest.raises(UnavailableError, match="ending"):
        await task
    assert not watch._waiting
