"""What is asked of a run that has not ended, and how it ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.errors import GoneError, NotFoundError, UnavailableError
from app.runs import active as active_runs
from app.runs.active import Active
from app.schemas.responses import Control
from app.storage.records import RunRecord
from tests.harness.runs import Runs
from tests.harness.waiting import until


def active(status: str = "running", *, launched: bool = True, started: bool = True, **params: Any) -> Active:
    """A run that has not ended."""
    record = RunRecord("1" * 32, "run", "gd", params, status, 0.0, started_at=1.0 if started else None)
    return Active(record, launched=launched)


# --- one run ----------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_of_a_run_that_runs() -> None:
    assert active().control == Control(stop=False)


def test_a_pause_allows_no_step() -> None:
    run = active()
    run.pause()
    assert (run.record.status, run.control.pause, run.control.steps) == ("paused", True, 0)


def test_each_pause_is_another_hold() -> None:
    run = active()
    run.pause()
    first = run.control.hold
    run.resume()
    run.pause()
    assert first != run.control.hold != ""


def test_steps_of_a_held_run_add_up_in_one_hold() -> None:
    run = active()
    run.pause()
    hold = run.control.hold
    run.step(2)
    run.step(3)
    assert (run.control.hold, run.control.steps) == (hold, 5)


def test_a_pause_takes_back_the_steps_that_were_allowed_before() -> None:
    run = active()
    run.step(5)
    run.pause()
    assert run.control.steps == 0


def test_a_step_of_a_run_that_runs_holds_it_after() -> None:
    run = active()
    run.step(4)
    assert (run.record.status, run.control.pause, run.control.steps) == ("paused", True, 4)


def test_a_resumed_run_is_asked_for_nothing() -> None:
    run = active()
    run.step(4)
    run.resume()
    assert run.control == Control(stop=False, revision=2)


@pytest.mark.parametrize(
    ("launched", "started", "status"),
    [(True, True, "running"), (True, False, "queued"), (False, False, "queued")],
    ids=["it has points", "its worker has not reported yet", "it waits in the queue"],
)
def test_what_a_resumed_run_is(*, launched: bool, started: bool, status: str) -> None:
    run = active("paused", launched=launched, started=started)
    run.resume()
    assert run.record.status == status


def test_what_is_changed_before_the_start_is_no_change() -> None:
    run = active("queued", launched=False, lr=0.1)
    run.change({"lr": 0.2})
    assert (run.record.params, run.control.params) == ({"lr": 0.2}, {})


def test_all_changes_are_asked_for_each_as_it_is_now() -> None:
    run = active(lr=0.1, steps_per_second=None)
    run.change({"lr": 0.2})
    run.change({"steps_per_second": 5})
    run.change({"lr": 0.3})
    assert run.control.params == run.record.params == {"lr": 0.3, "steps_per_second": 5}


def test_a_run_takes_a_slot_unless_it_is_held_or_slowed() -> None:
    assert [one.waits for one in (active(), active("paused"), active(steps_per_second=5))] == [False, True, True]


def test_a_run_in_the_queue_wants_to_start() -> None:
    assert active("queued", launched=False).wants_to_start


def test_a_run_that_was_started_does_not_want_to_start() -> None:
    assert not active("queued").wants_to_start


def test_a_run_held_in_the_queue_wants_to_start_once_a_step_is_asked_of_it() -> None:
    run = active("queued", launched=False)
    run.pause()
    assert not run.wants_to_start
    run.step(1)
    assert run.wants_to_start


def test_a_run_that_is_to_stop_does_not_want_to_start() -> None:
    run = active("queued", launched=False)
    run.stop()
    assert not run.wants_to_start


def test_what_could_not_be_asked_is_as_before_but_for_a_stop_meanwhile() -> None:
    run = active(lr=0.1)

    def ask_in_vain() -> None:
        with run.or_as_before():
            run.pause(3)
            run.change({"lr": 0.2})
            run.stop()
            raise UnavailableError("The disk is full.")

    with pytest.raises(UnavailableError):
        ask_in_vain()
    assert run.record.status == "running"
    assert run.control == Control(stop=True, revision=4)  # newer than what somebody may have heard meanwhile


def test_what_is_asked_last_has_the_largest_revision_also_where_a_value_is_asked_for_again() -> None:
    run = active(lr=0.1)
    heard = [run.control]
    for ask in (run.pause, lambda: run.change({"lr": 0.2}), lambda: run.change({"lr": 0.2}), run.resume, run.stop):
        ask()
        heard.append(run.control)
    assert [control.revision for control in heard] == [0, 1, 2, 3, 4, 5]
    assert [control.asked for control in heard] == [{}, {}, {"lr": 1}, {"lr": 2}, {"lr": 2}, {"lr": 2}]


def test_what_is_asked_of_a_run_is_in_its_record_as_it_is_stored() -> None:
    run = active(lr=0.1)
    run.step(3)
    run.change({"lr": 0.2})
    run.stop()
    text, checksum, *columns = run.record.to_row()
    again = Active(RunRecord.from_row((1, run.record.id, *columns, text.encode(), checksum)), launched=True)
    assert again.control == run.control


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_run_that_has_not_ended_is_found_as_it_is_now(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.post(run_id, 1, 4.0)
    assert (await runs.active.find(run_id)).step == 1
    assert (await runs.stored(run_id)).step == 0  # the others can be read from its points


@pytest.mark.anyio
async def test_a_run_that_has_ended_is_found_as_it_is_stored(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.finish(run_id, result={"best": 1})
    assert runs.active.get(run_id) is None
    assert await runs.active.find(run_id) == await runs.stored(run_id)


@pytest.mark.anyio
async def test_an_unknown_run_is_not_found(runs: Runs) -> None:
    with pytest.raises(NotFoundError, match="There is no run 'nonesuch'"):
        await runs.active.find("nonesuch")


@pytest.mark.anyio
async def test_a_deleted_run_is_gone(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.service.delete(run_id)
    with pytest.raises(GoneError, match=f"The run {run_id} was deleted"):
        await runs.active.find(run_id)


@pytest.mark.anyio
async def test_runs_may_come_and_go_in_a_loop_over_them(runs: Runs) -> None:
    first, second = await runs.script(), await runs.script()
    seen = []
    for one in runs.active:
        seen.append(one.record.id)
        await runs.finish(second)
        await runs.script()
    assert seen == [first, second]


@pytest.mark.anyio
async def test_a_run_that_came_back_is_another_one(runs: Runs) -> None:
    run_id = await runs.script()
    before = runs.active.get(run_id)
    await runs.active.give_up(before, "interrupted")
    await runs.post(run_id, 0)
    assert before not in runs.active
    assert runs.active.get(run_id) in runs.active


@pytest.mark.anyio
async def test_each_run_has_one_lock_of_its_own(runs: Runs) -> None:
    async with runs.active.lock("a"):
        assert [runs.active.lock(run_id).locked() for run_id in ("a", "b")] == [True, False]


@pytest.mark.anyio
async def test_a_run_that_ends_while_runs_are_read_has_ended(runs: Runs) -> None:
    run_id = await runs.script()
    newest_of = runs.active.newest()
    stored = await runs.stored(run_id)
    await runs.finish(run_id)
    assert (stored.status, newest_of(stored).status) == ("running", "finished")


@pytest.mark.anyio
async def test_a_run_that_is_made_while_runs_are_read_is_as_it_is_now(runs: Runs) -> None:
    newest_of = runs.active.newest()
    run_id = await runs.script()
    assert newest_of(await runs.stored(run_id)) is runs.active.get(run_id).record


# --- ends -------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_end_is_stored_before_anyone_sees_it(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.finish(run_id)):
        assert (await runs.stored(run_id)).status == "finished"
        assert await runs.status(run_id) == "running"
    assert await runs.status(run_id) == "finished"


@pytest.mark.anyio
async def test_whoever_waits_for_an_end_is_told(runs: Runs) -> None:
    run_id = await runs.script()
    ended = []
    runs.active.ended.subscribe(lambda: ended.append(runs.active.get(run_id)))
    await runs.finish(run_id)
    assert ended == [None]


@pytest.mark.anyio
async def test_a_run_that_was_launched_has_started_when_it_has_ended(runs: Runs) -> None:
    run_id = await runs.queue()  # it ends before its first point
    record = await runs.finish(run_id)
    assert record.started_at == record.ended_at


@pytest.mark.anyio
async def test_a_run_that_was_never_launched_never_started(runs: Runs) -> None:
    *_, waiting = [await runs.queue() for _ in range(3)]
    record = await runs.control.stop(waiting)
    assert record.started_at is None
    assert record.ended_at is not None


@pytest.mark.anyio
async def test_a_run_that_has_diverged_says_why(runs: Runs) -> None:
    run_id = await runs.start(lr=0.3)
    record = await runs.finish(run_id, "diverged")
    assert "lr 0.3 is above 2/λ = 0.214" in record.why
    assert await runs.stored(run_id) == record


@pytest.mark.anyio
async def test_an_end_that_cannot_be_stored_has_not_happened(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.finish(run_id)
    assert await runs.status(run_id) == "running"
    runs.database.full = False
    assert (await runs.finish(run_id)).status == "finished"


@pytest.mark.anyio
async def test_a_run_that_has_ended_is_not_given_up(runs: Runs) -> None:
    run_id = await runs.script()
    run = runs.active.get(run_id)
    await runs.finish(run_id)
    await runs.active.give_up(run, "failed", "too late")
    assert (await runs.stored(run_id)).status == "finished"


@pytest.mark.anyio
async def test_an_end_that_cannot_be_stored_is_tried_again_until_it_is(
    runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = await runs.start()
    runs.database.full = True
    await runs.active.give_up(runs.active.get(run_id), "failed", "why")
    for _ in range(3):
        await runs.later()
        assert await runs.status(run_id) == "running"
    assert caplog.text.count(f"the end of run {run_id} could not be stored (The disk is full.)") == 1
    runs.database.full = False
    await runs.later()
    record = await runs.stored(run_id)
    assert (record.status, record.error, runs.sleep.asked) == ("failed", "why", [])


@pytest.mark.anyio
async def test_a_run_that_ends_by_itself_before_its_end_could_be_stored_has_ended_so(runs: Runs) -> None:
    run_id = await runs.start()
    runs.database.full = True
    await runs.active.give_up(runs.active.get(run_id), "failed")
    runs.database.full = False
    await runs.finish(run_id)
    await runs.later()
    assert (await runs.stored(run_id)).status == "finished"


@pytest.mark.anyio
async def test_a_stop_of_a_run_that_could_not_be_stored_as_failed_makes_it_stopped(runs: Runs) -> None:
    run_id = await runs.start()
    runs.database.full = True
    await runs.active.give_up(runs.active.get(run_id), "failed", "why")
    runs.active.get(run_id).stop()
    runs.database.full = False
    await runs.later()
    record = await runs.stored(run_id)
    assert (record.status, record.error) == ("stopped", None)


@pytest.mark.anyio
async def test_the_ends_of_all_runs_are_stored_together(runs: Runs, caplog: pytest.LogCaptureFixture) -> None:
    made = [await runs.script() for _ in range(5)]
    async with runs.database.stuck():
        ending = asyncio.create_task(runs.active.interrupt_all("over"))
        await until(lambda: runs.database.waiting == 5)
    await ending
    assert {(await runs.stored(run_id)).error for run_id in made} == {"over"}
    assert caplog.text == ""


@pytest.mark.anyio
async def test_a_run_that_was_stopped_in_the_queue_has_stopped_when_the_board_ends(runs: Runs) -> None:
    *_, queued = [await runs.queue() for _ in range(3)]
    runs.database.full = True
    await runs.control.stop(queued)
    runs.database.full = False
    await runs.active.interrupt_all("over")
    record = await runs.stored(queued)
    assert (record.status, record.error) == ("stopped", None)


@pytest.mark.anyio
async def test_a_board_that_ends_does_not_wait_for_a_disk_that_does_not_answer(
    runs: Runs, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(active_runs, "CLOSING_S", 0.01)
    for _ in range(2):
        await runs.script()
    async with runs.database.stuck():
        await runs.active.interrupt_all("over")
    assert "the ends of 2 runs could not be stored; the next board interrupts them" in caplog.text
