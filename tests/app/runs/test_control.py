"""What people ask of a run while it goes on, and what its worker or script is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import ConflictError, GoneError, InvalidError, NotFoundError, UnavailableError
from app.runs import active as active_runs
from app.runs.control import MAX_CHANGES
from app.schemas.responses import Control
from tests.harness.runs import Runs
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

SLOW = {"steps_per_second": 5.0}


async def told(runs: Runs, run_id: str) -> Control:
    """What the answer to an empty batch asks of a run."""
    return (await runs.post(run_id, 0)).control


# --- pause and resume -------------------------------------------------------------------------------------------------


async def test_a_paused_run_is_told_to_wait(runs: Runs) -> None:
    run_id = await runs.start()
    record = await runs.control.pause(run_id)
    assert record.status == (await runs.stored(run_id)).status == "paused"
    assert (await told(runs, run_id)).pause


async def test_a_resumed_run_is_told_to_go_on(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.pause(run_id)
    record = await runs.control.resume(run_id)
    assert record.status == (await runs.stored(run_id)).status == "running"
    assert not (await told(runs, run_id)).pause


async def test_to_pause_a_paused_run_is_no_error(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.pause(run_id)
    assert (await runs.control.pause(run_id)).status == "paused"


async def test_to_resume_a_run_that_runs_changes_nothing(runs: Runs) -> None:
    run_id = await runs.start()
    assert (await runs.control.resume(run_id)).status == "running"


async def test_to_resume_a_run_in_the_queue_leaves_it_there(runs: Runs) -> None:
    *_, waiting = [await runs.queue() for _ in range(3)]
    assert (await runs.control.resume(waiting)).status == "queued"


async def test_points_that_were_on_their_way_leave_a_run_paused(runs: Runs) -> None:
    run_id = await runs.queue()
    await runs.control.pause(run_id)
    await runs.post(run_id, 0, 5.0)
    assert await runs.status(run_id) == "paused"


async def test_a_paused_run_frees_its_slot(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    await runs.control.pause(first)
    assert runs.executor.started[-1] == third


async def test_a_paused_run_goes_on_at_once_whoever_has_its_slot(runs: Runs) -> None:
    first, _, _, fourth = [await runs.queue() for _ in range(4)]
    await runs.post(first, 0, 5.0)
    await runs.control.pause(first)
    assert (await runs.control.resume(first)).status == "running"
    assert fourth not in runs.executor.started


async def test_a_run_paused_in_the_queue_lets_others_pass(runs: Runs) -> None:
    first, _, third, fourth = [await runs.queue() for _ in range(4)]
    await runs.control.pause(third)
    await runs.finish(first)
    await runs.settled()
    assert runs.executor.started[-1] == fourth
    assert await runs.status(third) == "paused"


async def test_a_run_paused_in_the_queue_is_back_there_when_it_is_resumed(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    await runs.control.pause(third)
    assert (await runs.control.resume(third)).status == "queued"
    await runs.finish(first)
    await runs.settled()
    assert runs.executor.started[-1] == third


async def test_a_run_that_is_resumed_with_room_for_it_starts(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    await runs.control.pause(third)
    await runs.finish(first)
    await runs.control.resume(third)
    assert runs.executor.started[-1] == third


# --- single steps -----------------------------------------------------------------------------------------------------


async def test_steps_add_up_until_the_run_is_resumed(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.pause(run_id)
    for steps in (1, 2):
        await runs.control.step(run_id, steps)
    assert (await told(runs, run_id)).steps == 3
    await runs.control.resume(run_id)
    await runs.control.pause(run_id)
    assert (await told(runs, run_id)).steps == 0


async def test_a_run_that_is_told_twice_is_told_the_same(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.step(run_id, 2)
    assert await told(runs, run_id) == await told(runs, run_id)


async def test_a_step_of_a_run_that_runs_pauses_it(runs: Runs) -> None:
    run_id = await runs.start()
    assert (await runs.control.step(run_id, 5)).status == "paused"
    control = await told(runs, run_id)
    assert (control.pause, control.steps) == (True, 5)


async def test_a_step_of_a_run_in_the_queue_needs_no_slot(runs: Runs) -> None:
    *_, third = [await runs.queue() for _ in range(3)]
    await runs.control.step(third, 2)
    job = runs.executor.jobs[-1]
    assert (job.run_id, job.control["pause"], job.control["steps"]) == (third, True, 2)


async def test_a_run_stepped_out_of_the_queue_is_paused_and_has_started(runs: Runs) -> None:
    *_, third = [await runs.queue() for _ in range(3)]
    await runs.control.step(third, 1)
    await runs.post(third, 0, 5.0)
    record = await runs.stored(third)
    assert record.status == "paused"
    assert record.started_at is not None


# --- other parameters -------------------------------------------------------------------------------------------------


async def test_a_changed_run_is_told_its_new_parameters(runs: Runs) -> None:
    run_id = await runs.start()
    record = await runs.control.change(run_id, {"lr": 0.2})
    assert record.params["lr"] == (await runs.stored(run_id)).params["lr"] == 0.2
    assert (await told(runs, run_id)).params == {"lr": 0.2}


async def test_a_run_in_the_queue_starts_with_what_it_was_changed_to(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    await runs.control.change(third, {"lr": 0.2})
    await runs.finish(first)
    await runs.settled()
    job = runs.executor.jobs[-1]
    assert (job.run_id, job.params["lr"], job.control["params"]) == (third, 0.2, {})


async def test_a_number_among_a_scripts_parameters_can_be_changed(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1, name="x")
    assert (await runs.control.change(run_id, {"lr": 0.2})).params == {"lr": 0.2, "name": "x"}


@pytest.mark.parametrize("method", ["gd", "external"])
async def test_a_change_that_is_refused_changes_nothing(runs: Runs, method: str) -> None:
    run_id = await (runs.script(lr=0.01) if method == "external" else runs.start())
    with pytest.raises(InvalidError):
        await runs.control.change(run_id, {"lr": "fast"})
    assert (await runs.service.get(run_id)).params["lr"] == 0.01
    assert (await told(runs, run_id)).params == {}


async def test_a_run_that_is_slowed_frees_its_slot(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    await runs.control.change(first, SLOW)
    assert runs.executor.started[-1] == third


async def test_a_run_that_is_sped_up_takes_a_slot(runs: Runs) -> None:
    slowed, _ = await runs.queue(**SLOW), await runs.queue()
    await runs.control.change(slowed, {"steps_per_second": None})
    waiting = await runs.queue()
    assert waiting not in runs.executor.started


async def test_a_run_is_changed_a_thousand_times_at_most(runs: Runs) -> None:
    run_id = await runs.start()
    record = await runs.service.get(run_id)
    record.changes = [{"step": step, "params": {"lr": 0.1}} for step in range(MAX_CHANGES)]
    with pytest.raises(ConflictError, match="1000 times"):
        await runs.control.change(run_id, {"lr": 0.2})
    assert record.params["lr"] == 0.01


# --- stop -------------------------------------------------------------------------------------------------------------


async def test_a_run_is_told_to_stop_and_ends_when_it_says_so(runs: Runs) -> None:
    run_id = await runs.start()
    assert (await runs.control.stop(run_id)).status == "running"
    assert (await told(runs, run_id)).stop
    assert (await runs.finish(run_id, "stopped")).status == "stopped"


async def test_a_run_in_the_queue_stops_at_once_and_never_starts(runs: Runs) -> None:
    first, second, third = [await runs.queue() for _ in range(3)]
    assert (await runs.control.stop(third)).status == "stopped"
    await runs.finish(first)
    await runs.settled()
    assert runs.executor.started == [first, second]


async def test_to_stop_a_run_that_has_ended_leaves_it_as_it_is(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.finish(run_id)
    assert (await runs.control.stop(run_id)).status == "finished"


async def test_a_run_that_is_stopped_twice_is_killed_once(runs: Runs) -> None:
    run_id = await runs.start()
    for _ in range(2):
        await runs.control.stop(run_id)
    await runs.settled()
    assert len(runs.sleep.asked) == 1


async def test_a_script_has_all_the_time_it_needs_to_stop(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.control.stop(run_id)
    await runs.settled()
    assert runs.sleep.asked == []
    assert (await told(runs, run_id)).stop


async def test_a_paused_run_can_be_stopped(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.pause(run_id)
    await runs.control.stop(run_id)
    assert (await told(runs, run_id)).stop


# --- what can no longer be asked --------------------------------------------------------------------------------------

ASKED = {"paused": ("pause",), "resumed": ("resume",), "stepped": ("step", 1), "changed": ("change", {"lr": 0.2})}


async def ask(runs: Runs, run_id: str, what: str, *values: Any) -> None:
    """Call one of the methods of RunControl."""
    await getattr(runs.control, what)(run_id, *values)


@pytest.mark.parametrize("doing", ASKED)
async def test_nothing_is_asked_of_a_run_that_has_ended(runs: Runs, doing: str) -> None:
    run_id = await runs.script()
    await runs.finish(run_id)
    with pytest.raises(ConflictError, match=rf"has ended \(finished\); it can no longer be {doing}"):
        await ask(runs, run_id, *ASKED[doing])


@pytest.mark.parametrize("doing", ASKED)
async def test_nothing_more_is_asked_of_a_run_that_is_to_stop(runs: Runs, doing: str) -> None:
    run_id = await runs.start()
    await runs.control.stop(run_id)
    with pytest.raises(ConflictError, match=f"asked to stop; it can no longer be {doing}"):
        await ask(runs, run_id, *ASKED[doing])


@pytest.mark.parametrize("what", [*ASKED.values(), ("stop",)])
async def test_nothing_is_asked_of_a_run_that_there_is_not(runs: Runs, what: tuple[Any, ...]) -> None:
    with pytest.raises(NotFoundError):
        await ask(runs, "nonesuch", *what)


@pytest.mark.parametrize("what", [*ASKED.values(), ("stop",)])
async def test_nothing_is_asked_of_a_deleted_run(runs: Runs, what: tuple[Any, ...]) -> None:
    run_id = await runs.script()
    await runs.service.delete(run_id)
    with pytest.raises(GoneError):
        await ask(runs, run_id, *what)


# --- what cannot be stored has not happened ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ASKED.values(), ids=ASKED)
async def test_what_is_asked_on_a_full_disk_is_not_asked(runs: Runs, what: tuple[Any, ...]) -> None:
    run_id = await runs.start()
    if what == ASKED["resumed"]:
        await runs.control.step(run_id, 3)
    before, control = await runs.stored(run_id), await told(runs, run_id)
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await ask(runs, run_id, *what)
    record = await runs.service.get(run_id)
    assert (record.status, record.params) == (before.status, before.params)
    runs.database.full = False
    now = await told(runs, run_id)
    assert now.revision > control.revision  # somebody may have heard it before it could not be stored
    assert now.model_copy(update={"revision": control.revision}) == control


# --- but for a stop ---------------------------------------------------------------------------------------------------


async def test_a_run_that_is_stopped_in_the_queue_on_a_full_disk_does_not_start_and_ends_when_there_is_room(
    runs: Runs,
) -> None:
    first, second, third = [await runs.queue() for _ in range(3)]
    runs.database.full = True
    await runs.control.stop(third)
    runs.executor.end(first, 1)
    await runs.settled()
    assert runs.executor.started == [first, second]
    runs.database.full = False
    await runs.later()
    assert (await runs.stored(third)).status == "stopped"
    assert runs.executor.started == [first, second]


@pytest.mark.parametrize("kind", ["worker", "script"])
async def test_a_run_is_told_to_stop_also_on_a_full_disk(runs: Runs, kind: str) -> None:
    run_id = await (runs.start() if kind == "worker" else runs.script())
    runs.database.full = True
    await runs.control.stop(run_id)
    assert runs.active.get(run_id).control.stop


async def test_a_stop_does_not_wait_for_a_disk_that_does_not_answer(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "ANSWER_S", 0.01)
    *_, queued = [await runs.queue() for _ in range(3)]
    script = await runs.script()
    async with runs.database.stuck():
        renaming = asyncio.create_task(runs.service.edit(script, name="new"))  # it has the run's lock
        await until(lambda: runs.database.waiting == 1)
        for run_id in (script, queued):
            await runs.control.stop(run_id)
            assert runs.active.get(run_id).stop_asked
    await renaming
    await runs.settled()
    assert (await runs.stored(script)).asked["stop"] is True
    assert (await runs.stored(queued)).status == "stopped"


async def test_a_stop_of_a_script_is_stored_when_there_is_room(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    await runs.control.stop(run_id)
    assert (await runs.stored(run_id)).asked == {}
    runs.database.full = False
    await runs.later()
    assert (await runs.stored(run_id)).asked["stop"] is True


# --- scripts that were thought lost -----------------------------------------------------------------------------------


async def thought_lost(runs: Runs, run_id: str) -> str:
    """The run's id; it is interrupted, as by a board that ended."""
    await runs.active.give_up(runs.active.get(run_id), "interrupted")
    return run_id


async def test_a_script_that_comes_back_is_held_with_the_steps_that_it_has_left(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1)
    await runs.control.pause(run_id)
    await runs.control.step(run_id, 3)
    await runs.control.change(run_id, {"lr": 0.2})
    before = await told(runs, run_id)
    await thought_lost(runs, run_id)
    assert await told(runs, run_id) == before
    assert await runs.status(run_id) == (await runs.stored(run_id)).status == "paused"
    assert (before.stop, before.pause, before.steps, before.params) == (False, True, 3, {"lr": 0.2})


async def test_a_script_that_was_resumed_comes_back_running(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.control.pause(run_id)
    await runs.control.resume(run_id)
    await thought_lost(runs, run_id)
    assert not (await told(runs, run_id)).pause
    assert await runs.status(run_id) == "running"


async def test_a_script_that_comes_back_hears_the_stop_that_it_has_missed(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.control.stop(run_id)
    await thought_lost(runs, run_id)
    assert (await told(runs, run_id)).stop


@pytest.mark.parametrize("full", [False, True], ids=["there is room", "the disk is full"])
async def test_a_script_that_comes_back_hears_a_stop_from_the_meantime(runs: Runs, *, full: bool) -> None:
    run_id = await thought_lost(runs, await runs.script())
    runs.database.full = full
    assert (await runs.control.stop(run_id)).status == "interrupted"
    runs.database.full = False
    await runs.later()
    assert await runs.status(run_id) == "interrupted"
    assert (await told(runs, run_id)).stop


async def test_a_script_that_came_back_before_its_stop_could_be_stored_hears_it(runs: Runs) -> None:
    run_id = await thought_lost(runs, await runs.script())
    runs.database.full = True
    await runs.control.stop(run_id)
    runs.database.full = False
    await told(runs, run_id)
    await runs.later()
    assert (await told(runs, run_id)).stop
    assert (await runs.stored(run_id)).asked["stop"] is True


async def test_a_stop_that_meets_the_end_of_a_silence_is_kept(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(thought_lost(runs, run_id)):
        stopping = await runs.meet(run_id, runs.control.stop(run_id))
    await stopping
    assert (await told(runs, run_id)).stop


async def test_an_interrupted_run_of_a_worker_is_not_asked_for_anything(runs: Runs) -> None:
    run_id = await thought_lost(runs, await runs.start())
    assert (await runs.control.stop(run_id)).status == "interrupted"
    assert (await runs.stored(run_id)).asked == {}


# --- crossings --------------------------------------------------------------------------------------------------------


async def test_of_two_changes_at_once_both_are_kept(runs: Runs) -> None:
    run_id = await runs.script(lr=0.1, momentum=0.9)
    async with runs.database.held(runs.control.change(run_id, {"lr": 0.2})):
        second = await runs.meet(run_id, runs.control.change(run_id, {"momentum": 0.5}))
    await second
    assert (await runs.stored(run_id)).params == {"lr": 0.2, "momentum": 0.5}


async def test_a_pause_that_meets_the_end_of_its_run_comes_too_late(runs: Runs) -> None:
    run_id = await runs.start()
    async with runs.database.held(runs.finish(run_id)):
        pausing = await runs.meet(run_id, runs.control.pause(run_id))
    with pytest.raises(ConflictError):
        await pausing
    assert (await runs.stored(run_id)).status == "finished"


async def test_a_run_that_ends_while_it_is_paused_has_ended(runs: Runs) -> None:
    run_id = await runs.start()
    async with runs.database.held(runs.control.pause(run_id)):
        ending = await runs.meet(run_id, runs.finish(run_id))
    await ending
    assert (await runs.stored(run_id)).status == "finished"


async def test_a_run_that_is_stopped_while_it_is_renamed_in_the_queue_has_stopped(runs: Runs) -> None:
    *_, waiting = [await runs.queue() for _ in range(3)]
    async with runs.database.held(runs.service.edit(waiting, name="new")):
        stopping = await runs.meet(waiting, runs.control.stop(waiting))
    await stopping
    record = await runs.stored(waiting)
    assert (record.status, record.name) == ("stopped", "new")


async def test_a_run_that_is_renamed_while_it_is_stopped_in_the_queue_has_stopped(runs: Runs) -> None:
    *_, waiting = [await runs.queue() for _ in range(3)]
    async with runs.database.held(runs.control.stop(waiting)):
        renaming = await runs.meet(waiting, runs.service.edit(waiting, name="new"))
    await renaming
    record = await runs.stored(waiting)
    assert (record.status, record.name) == ("stopped", "new")


async def test_what_is_asked_of_one_run_does_not_wait_for_another(runs: Runs) -> None:
    first, second = await runs.start(), await runs.start()
    async with runs.database.held(runs.control.pause(first)):
        async with asyncio.timeout(60):
            assert (await runs.control.pause(second)).status == "paused"
