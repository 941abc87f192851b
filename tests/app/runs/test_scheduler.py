"""Which runs get a worker, and what becomes of those that lose theirs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.runs.active import EXTERNAL, Active
from app.runs.scheduler import STOP_GRACE_S, Limits
from app.schemas.requests import Ending
from app.schemas.responses import Control
from app.storage.records import RunRecord
from tests.harness.runs import URL, Runs
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

SLOW = {"steps_per_second": 5.0}


# --- how many at once -------------------------------------------------------------------------------------------------

FULL_SPEED, SLOWED, PAUSED, SCRIPT, QUEUED = "full speed", "slowed", "paused", "a script", "queued"
LOST = "its worker is gone"


def one(kind: str) -> Active:
    """A run of this kind."""
    method = EXTERNAL if kind == SCRIPT else "gd"
    status = kind if kind in {PAUSED, QUEUED} else "running"
    record = RunRecord("", "", method, SLOW if kind == SLOWED else {}, status, 0.0)
    return Active(record, launched=kind != QUEUED, lost=kind == LOST)


@pytest.mark.parametrize(
    ("kind", "others", "room"),
    [
        (FULL_SPEED, [], True),
        (FULL_SPEED, [FULL_SPEED], True),
        (FULL_SPEED, [FULL_SPEED] * 2, False),
        (FULL_SPEED, [FULL_SPEED, SLOWED, PAUSED], True),
        (FULL_SPEED, [SLOWED] * 3, True),
        (FULL_SPEED, [FULL_SPEED] * 5, False),  # paused ones that were resumed
        (FULL_SPEED, [FULL_SPEED, *[SLOWED] * 4], False),  # as many workers as there may be in all
        (FULL_SPEED, [FULL_SPEED, *[SCRIPT] * 9], True),
        (FULL_SPEED, [FULL_SPEED, *[QUEUED] * 9], True),
        (SLOWED, [FULL_SPEED] * 2, True),
        (SLOWED, [SLOWED, SLOWED], True),
        (SLOWED, [SLOWED, SLOWED, PAUSED], False),
        (PAUSED, [SLOWED, PAUSED, PAUSED], False),
        (FULL_SPEED, [LOST] * 5, True),
    ],
)
def test_room_beside_two_at_full_speed_and_three_that_wait(kind: str, others: list[str], *, room: bool) -> None:
    assert Limits(running=2, waiting=3).have_room_for(one(kind), map(one, others)) == room


# --- starts -----------------------------------------------------------------------------------------------------------


async def test_a_worker_is_told_what_it_needs_to_know(runs: Runs, tmp_path: Path) -> None:
    run_id = await runs.queue(lr=0.05, epochs=7)
    (job,) = runs.executor.jobs
    assert (job.run_id, job.method, job.url, job.folder) == (run_id, "gd", URL, str(tmp_path))
    assert (job.params["lr"], job.params["epochs"]) == (0.05, 7)
    assert job.control == Control(stop=False).model_dump()


async def test_runs_beyond_the_slots_wait(runs: Runs) -> None:
    made = [await runs.queue() for _ in range(3)]
    assert runs.executor.started == made[:2]
    assert await runs.status(made[2]) == "queued"


async def test_slowed_runs_have_slots_of_their_own(runs: Runs) -> None:
    full_speed = [await runs.queue() for _ in range(3)]
    slowed = [await runs.queue(**SLOW) for _ in range(3)]
    assert runs.executor.started == [*full_speed[:2], *slowed[:2]]


async def test_the_oldest_that_waits_is_started_when_one_ends(runs: Runs) -> None:
    first, second, third, fourth = [await runs.queue() for _ in range(4)]
    await runs.finish(second)
    await runs.settled()
    assert runs.executor.started == [first, second, third]
    await runs.finish(first)
    await runs.settled()
    assert runs.executor.started[-1] == fourth


async def test_a_run_that_is_being_started_is_not_started_again(runs: Runs) -> None:
    runs.executor.gate.clear()
    making = asyncio.create_task(runs.queue())
    await until(lambda: any(active.launched for active in runs.active))
    await runs.scheduler.launch()
    runs.executor.gate.set()
    run_id = await making
    assert runs.executor.started == [run_id]


async def test_a_run_that_ends_while_another_is_started_is_not_started(runs: Runs) -> None:
    runs.executor.gate.clear()
    racing = asyncio.create_task(runs.race(method="gd", vary={"lr": [0.1, 0.2]}))
    await until(lambda: any(active.launched for active in runs.active))
    first, second = [active.record.id for active in runs.active]
    await runs.finish(second)
    runs.executor.gate.set()
    await racing
    assert runs.executor.started == [first]


async def test_a_run_whose_worker_cannot_be_started_has_failed(runs: Runs) -> None:
    runs.executor.error = OSError("no more processes")
    run_id = await runs.queue()
    record = await runs.stored(run_id)
    assert (record.status, record.error) == ("failed", "No worker process could be started: no more processes.")


async def test_after_a_start_that_failed_the_next_is_tried(runs: Runs) -> None:
    first, second, third = [await runs.queue() for _ in range(3)]
    runs.executor.error = OSError("no more processes")
    await runs.finish(first)
    await runs.settled()
    assert await runs.status(third) == "failed"
    runs.executor.error = None
    fourth = await runs.queue()
    assert runs.executor.started == [first, second, fourth]


async def test_nothing_is_started_once_the_board_ends(runs: Runs) -> None:
    await runs.scheduler.stop()
    await runs.queue()
    assert runs.executor.started == []
    assert runs.executor.closed


# --- workers that end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "how"), [(3, "ended with exit code 3"), (0, "ended with exit code 0"), (-9, "was killed by signal 9")]
)
async def test_a_run_whose_worker_dies_has_failed(runs: Runs, code: int, how: str) -> None:
    run_id = await runs.start()
    runs.executor.end(run_id, code)
    await runs.settled()
    record = await runs.stored(run_id)
    assert (record.status, record.error) == ("failed", f"Its worker process {how} before the run was done.")


async def test_a_run_whose_worker_dies_makes_room(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    runs.executor.end(first, 1)
    await runs.settled()
    assert runs.executor.started[-1] == third


async def test_a_run_that_was_to_stop_has_stopped_when_its_worker_dies(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.stop(run_id)
    runs.executor.end(run_id, -9)
    await runs.settled()
    record = await runs.stored(run_id)
    assert (record.status, record.error) == ("stopped", None)


async def test_what_a_dead_workers_journal_says_of_its_end_counts(runs: Runs) -> None:
    run_id = await runs.start()
    runs.journals.endings[run_id] = Ending(status="finished", result={"predict_after": 8})
    runs.executor.end(run_id, -9)
    await runs.settled()
    record = await runs.stored(run_id)
    assert (record.status, record.result, record.error) == ("finished", {"predict_after": 8}, None)


async def test_only_the_dead_workers_own_journal_is_read(runs: Runs) -> None:
    first, _ = await runs.start(), await runs.start()
    runs.executor.end(first, 1)
    await runs.settled()
    assert runs.journals.collected == [first]


async def test_how_a_run_ended_is_not_decided_before_its_journal_is_collected(runs: Runs) -> None:
    run_id = await runs.start()
    runs.journals.endings[run_id] = Ending(status="finished")
    runs.journals.refused = True
    runs.executor.end(run_id, 0)
    for _ in range(3):
        await runs.later()
        assert await runs.status(run_id) == "running"
    runs.journals.refused = False
    await runs.later()
    assert (await runs.stored(run_id)).status == "finished"
    assert len(runs.journals.collected) == 5  # one for each try


async def test_a_run_whose_worker_is_gone_takes_no_slot_while_its_end_cannot_be_stored(runs: Runs) -> None:
    first, _, third, fourth = [await runs.queue() for _ in range(4)]
    runs.database.full = True
    runs.executor.end(first, -9)
    await runs.settled()
    assert await runs.status(first) == "queued"  # its first point never came
    assert runs.executor.started[-1] == third
    runs.database.full = False
    await runs.later()
    assert (await runs.stored(first)).status == "failed"
    assert fourth not in runs.executor.started


async def test_a_run_whose_worker_cannot_be_started_takes_no_slot_while_its_end_cannot_be_stored(runs: Runs) -> None:
    first, second, third = [await runs.queue() for _ in range(3)]
    runs.executor.error = OSError("no more processes")
    runs.database.full = True
    runs.executor.end(first, 1)
    await runs.settled()
    runs.executor.error = None
    runs.database.full = False
    fourth = await runs.queue()
    assert runs.executor.started == [first, second, fourth]
    await runs.later()
    assert (await runs.stored(third)).status == "failed"


async def test_a_run_that_is_stopped_while_its_dead_workers_journal_waits_has_stopped(runs: Runs) -> None:
    run_id = await runs.start()
    runs.journals.refused = True
    runs.executor.end(run_id, -9)
    await runs.settled()
    await runs.control.stop(run_id)
    runs.journals.refused = False
    await runs.later()
    assert (await runs.stored(run_id)).status == "stopped"


async def test_what_a_dead_worker_left_is_no_longer_waited_for_when_the_board_ends(runs: Runs) -> None:
    run_id = await runs.start()
    runs.journals.refused = True
    runs.executor.end(run_id, -9)
    await runs.settled()
    await runs.scheduler.stop()
    await runs.later()
    assert (runs.sleep.asked, await runs.status(run_id)) == ([], "running")


async def test_a_worker_that_ends_after_its_run_changes_nothing(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.finish(run_id)
    runs.executor.end(run_id, 0)
    await runs.settled()
    assert (await runs.stored(run_id)).status == "finished"
    assert runs.journals.collected == []


async def test_a_worker_that_ends_with_its_board_is_no_failure(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.scheduler.stop()
    await runs.settled()
    assert await runs.status(run_id) == "running"


# --- workers that do not listen ---------------------------------------------------------------------------------------


async def test_a_worker_that_does_not_stop_in_time_is_killed(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.stop(run_id)
    await runs.settled()
    assert (runs.sleep.asked, runs.executor.killed) == ([STOP_GRACE_S], [])
    runs.sleep.over()
    await runs.settled()
    assert runs.executor.killed == [run_id]
    assert (await runs.stored(run_id)).status == "stopped"


async def test_a_worker_that_stops_in_time_is_not_killed(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.control.stop(run_id)
    await runs.finish(run_id, "stopped")
    await runs.settled()
    runs.sleep.over()
    await runs.settled()
    assert runs.executor.killed == []
