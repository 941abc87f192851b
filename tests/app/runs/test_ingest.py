"""Points and endings: each record once, on disk before the answer, whatever meets on the way."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from app.errors import ConflictError, GoneError, InvalidError, NotFoundError, UnavailableError
from app.runs.ingest import SILENCE_S, Ingest
from app.schemas.limits import MAX_METRICS
from app.storage.batch import MAX_PART_BYTES, Batch
from app.storage.records import PointsAdded
from tests.harness.runs import Runs, losses_from
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio


def metrics(seq: int, *names: str) -> Batch:
    """One record with a value for each of these metrics."""
    return Batch(seq, names, np.ones((1, 1 + len(names))))


async def interrupted(runs: Runs, run_id: str) -> str:
    """The run's id; nothing was heard of it for too long."""
    await runs.active.give_up(runs.active.get(run_id), "interrupted", "Nothing was heard of it.")
    return run_id


# --- points -----------------------------------------------------------------------------------------------------------


async def test_points_are_stored_in_order(runs: Runs) -> None:
    run_id = await runs.script()
    assert (await runs.post(run_id, 0, 3.0, 2.0)).accepted == 2
    assert (await runs.post(run_id, 2, 1.0)).accepted == 3
    assert await runs.losses(run_id) == [3.0, 2.0, 1.0]


async def test_the_first_points_of_a_run_start_it(runs: Runs) -> None:
    run_id = await runs.queue()
    assert await runs.status(run_id) == "queued"  # its worker has not reported yet
    await runs.post(run_id, 0, 5.0)
    record = await runs.stored(run_id)
    assert record.status == "running"
    assert record.started_at >= record.created_at


async def test_a_run_shows_how_far_it_has_come(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0, 2.0)
    record = await runs.service.get(run_id)
    assert (record.step, record.last) == (1, {"loss": 2.0})


async def test_an_empty_batch_is_a_heartbeat(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0)
    assert (await runs.post(run_id, 1)).accepted == 1
    assert await runs.losses(run_id) == [3.0]


async def test_records_without_a_metric_are_points_too(runs: Runs) -> None:
    run_id = await runs.script()
    steps = Batch(0, (), np.arange(1000.0).reshape(-1, 1))
    assert (await runs.ingest.add_points(run_id, steps)).accepted == 1000
    assert (await runs.post(run_id, 1000, 3.0)).accepted == 1001
    record = await runs.service.get(run_id)
    assert (record.step, record.first_loss) == (1000, 3.0)


async def test_a_batch_that_comes_again_is_stored_once(runs: Runs) -> None:
    run_id = await runs.script()
    for _ in range(2):
        assert (await runs.post(run_id, 0, 3.0, 2.0)).accepted == 2
    assert await runs.losses(run_id) == [3.0, 2.0]


async def test_what_is_known_of_a_batch_stays_as_it_is(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0, 2.0)
    await runs.post(run_id, 1, 9.0, 1.0)
    assert await runs.losses(run_id) == [3.0, 2.0, 1.0]


async def test_a_gap_is_refused_with_the_number_that_is_wanted(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0, 2.0)
    with pytest.raises(ConflictError, match="Records from 2 are missing") as refused:
        await runs.post(run_id, 5, 0.0)
    assert (refused.value.extra, refused.value.place) == ({"wanted": 2}, ("body", "seq"))


async def test_a_large_batch_is_stored_in_parts(runs: Runs) -> None:
    run_id = await runs.script()
    added = []
    runs.store.subscribe(lambda event: added.append(len(event.batch)) if isinstance(event, PointsAdded) else None)
    count = MAX_PART_BYTES // 16 + 1  # a record of a step and a loss has 16 bytes
    assert (await runs.post(run_id, 0, *range(count))).accepted == count
    assert added == [count - 1, 1]


async def test_a_run_has_a_thousand_metrics_at_most(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.ingest.add_points(run_id, metrics(0, *(f"m{number}" for number in range(MAX_METRICS))))
    await runs.ingest.add_points(run_id, metrics(1, "m0", "m999"))
    with pytest.raises(InvalidError, match="at most 1000 metrics") as refused:
        await runs.ingest.add_points(run_id, metrics(2, "one more"))
    assert refused.value.place == ("body", "metrics")
    assert await runs.store.count(await runs.stored(run_id)) == 2


async def test_when_a_loss_is_as_good_as_gone_is_on_disk_at_once(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 8.0, 1.0)
    await runs.post(run_id, 2, 0.08, 0.01)
    record = await runs.stored(run_id)
    assert (record.first_loss, record.steps_to_1_percent) == (8.0, 2)


async def test_a_run_that_has_ended_takes_no_more_points(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.finish(run_id)
    with pytest.raises(ConflictError, match=r"has ended \(finished\); it takes no more points"):
        await runs.post(run_id, 0, 1.0)


async def test_a_deleted_run_takes_no_more_points(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.service.delete(run_id)
    with pytest.raises(GoneError):
        await runs.post(run_id, 0, 1.0)


async def test_a_run_that_there_is_not_takes_no_points(runs: Runs) -> None:
    with pytest.raises(NotFoundError):
        await runs.post("nonesuch", 0, 1.0)


# --- endings ----------------------------------------------------------------------------------------------------------


async def test_a_run_ends_as_it_says(runs: Runs) -> None:
    run_id = await runs.start()
    record = await runs.finish(run_id, "failed", error="no memory", result={"best": 1.5})
    assert (record.status, record.error, record.result) == ("failed", "no memory", {"best": 1.5})
    assert record.ended_at >= record.started_at
    assert await runs.stored(run_id) == record


async def test_what_a_run_says_of_its_end_later_is_not_believed(runs: Runs) -> None:
    run_id = await runs.script()
    first = await runs.finish(run_id)
    assert await runs.finish(run_id, "failed", error="late") == first


async def test_a_deleted_run_cannot_end(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.service.delete(run_id)
    with pytest.raises(GoneError):
        await runs.finish(run_id)


# --- runs that were thought lost --------------------------------------------------------------------------------------


async def test_a_silent_script_is_interrupted(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.ingest.interrupt_silent(time.monotonic() + SILENCE_S + 0.1)
    record = await runs.stored(run_id)
    assert (record.status, record.error) == ("interrupted", "Nothing was heard of it for 30 s.")


async def test_a_script_may_be_silent_for_a_while(runs: Runs) -> None:
    made_after = time.monotonic()
    run_id = await runs.script()
    await runs.ingest.interrupt_silent(made_after + SILENCE_S)
    assert await runs.status(run_id) == "running"


async def test_a_silent_script_that_cannot_be_interrupted_now_is_at_the_next_look(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    await runs.ingest.interrupt_silent(time.monotonic() + SILENCE_S + 0.1)
    assert await runs.status(run_id) == "running"
    runs.database.full = False
    await runs.ingest.interrupt_silent(time.monotonic() + SILENCE_S + 0.1)
    assert await runs.status(run_id) == "interrupted"


async def test_a_script_whose_points_wait_for_the_disk_is_not_silent(runs: Runs) -> None:
    run_id = await runs.script()
    before = runs.active.get(run_id)
    async with runs.database.stuck():
        waiting = asyncio.create_task(runs.post(run_id, 0, 1.0))
        await until(lambda: runs.database.waiting == 1)
        runs.active.get(run_id).heard_at -= 2 * SILENCE_S  # for so long
        looking = await runs.meet(run_id, runs.ingest.interrupt_silent(time.monotonic()))
        again = asyncio.create_task(runs.post(run_id, 0, 1.0))  # waits for the lock behind the look
        await asyncio.sleep(0)
    await asyncio.gather(waiting, looking, again)
    assert runs.active.get(run_id) is before  # it did not even come back


class Looks:
    """The time of a board that looks for silent scripts; each of its sleeps takes as long as ``takes`` says next."""

    def __init__(self, takes: list[float]) -> None:
        self.now = 1000.0
        self.over = asyncio.Event()
        self._takes = iter(takes)

    def clock(self) -> float:
        return self.now

    async def sleep(self, _: float) -> None:
        if (takes := next(self._takes, None)) is None:
            self.over.set()
            await asyncio.Event().wait()
        else:
            self.now += takes


@pytest.mark.parametrize(
    ("takes", "status"),
    [([1.0] * 29, "running"), ([1.0] * 31, "interrupted"), ([40.0, 1.0], "running"), ([1.0, 400.0] * 3, "running")],
    ids=["29 s", "31 s", "the board was stopped for 40 s", "the board was stopped again and again"],
)
async def test_a_script_is_not_silent_while_the_board_is_away(runs: Runs, takes: list[float], status: str) -> None:
    looks = Looks(takes)
    ingest = Ingest(runs.store, runs.active, sleep=looks.sleep, clock=looks.clock)
    run_id = await runs.script()
    runs.active.get(run_id).heard_at = looks.now
    watching = asyncio.create_task(ingest.watch_silence())
    await looks.over.wait()
    assert await runs.status(run_id) == status
    watching.cancel()


async def test_a_heartbeat_ends_the_silence(runs: Runs) -> None:
    run_id = await runs.script()
    runs.active.get(run_id).heard_at -= 2 * SILENCE_S
    await runs.post(run_id, 0)
    await runs.ingest.interrupt_silent(time.monotonic())
    assert await runs.status(run_id) == "running"


async def test_a_worker_may_be_silent_for_ever(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.ingest.interrupt_silent(time.monotonic() + 1e6)
    assert await runs.status(run_id) == "running"


async def test_a_script_that_was_thought_lost_goes_on(runs: Runs) -> None:
    run_id = await interrupted(runs, await runs.script())
    assert (await runs.post(run_id, 0, 1.0)).control.stop is False
    record = await runs.stored(run_id)
    assert (record.status, record.ended_at, record.error) == ("running", None, None)
    await runs.ingest.interrupt_silent(time.monotonic())
    assert await runs.status(run_id) == "running"


async def test_a_script_that_was_thought_lost_may_still_end(runs: Runs) -> None:
    run_id = await interrupted(runs, await runs.script())
    assert (await runs.finish(run_id, "stopped")).status == "stopped"


async def test_what_an_interrupted_run_has_left_in_its_journal_is_taken_and_nothing_goes_on(runs: Runs) -> None:
    run_id = await interrupted(runs, await runs.start())
    accepted = await runs.post(run_id, 1, 4.0, 3.0)
    assert (accepted.accepted, accepted.control.stop) == (3, True)
    record = await runs.stored(run_id)
    assert (record.status, record.step, record.last) == ("interrupted", 2, {"loss": 3.0})


async def test_an_interrupted_run_whose_only_points_are_in_its_journal_has_started(runs: Runs) -> None:
    run_id = await runs.queue()
    await interrupted(runs, run_id)
    stored = await runs.stored(run_id)
    stored.started_at = None  # as another board finds it
    await runs.store.save_run(stored)
    await runs.post(run_id, 0, 5.0)
    record = await runs.stored(run_id)
    assert record.status == "interrupted"
    assert record.started_at is not None


@pytest.mark.parametrize(
    ("said", "status"), [("finished", "finished"), ("failed", "failed"), ("stopped", "interrupted")]
)
async def test_what_an_interrupted_runs_journal_says_of_its_end(runs: Runs, said: str, status: str) -> None:
    """A worker whose board is gone stops by itself: that is no end that anyone asked for."""
    run_id = await interrupted(runs, await runs.start())
    assert (await runs.finish(run_id, said)).status == status
    assert (await runs.stored(run_id)).status == status


# --- what cannot be stored has not happened ---------------------------------------------------------------------------


async def test_on_a_full_disk_the_first_points_do_not_start_a_run(runs: Runs) -> None:
    run_id = await runs.queue()
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.post(run_id, 0, 5.0)
    record = await runs.service.get(run_id)
    assert (record.status, record.started_at) == ("queued", None)


async def test_points_that_could_not_be_stored_are_taken_when_they_come_again(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.post(run_id, 0, 3.0, 2.0)
    assert (await runs.service.get(run_id)).step is None
    runs.database.full = False
    assert (await runs.post(run_id, 0, 3.0, 2.0)).accepted == 2
    assert await runs.losses(run_id) == [3.0, 2.0]


async def test_on_a_full_disk_a_script_does_not_come_back(runs: Runs) -> None:
    run_id = await interrupted(runs, await runs.script())
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.post(run_id, 0, 1.0)
    assert await runs.status(run_id) == "interrupted"


# --- crossings --------------------------------------------------------------------------------------------------------


async def test_points_that_meet_the_deletion_of_their_run_are_gone(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.service.delete(run_id)):
        posting = await runs.meet(run_id, runs.post(run_id, 0, 1.0))
    with pytest.raises(GoneError):
        await posting


async def test_a_run_that_is_deleted_while_its_points_are_stored_is_gone(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.post(run_id, 0, 1.0)):
        deleting = await runs.meet(run_id, runs.service.delete(run_id))
    await deleting
    assert await runs.store.get_run(run_id) is None


async def test_an_end_that_meets_the_deletion_of_its_run_is_gone(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.service.delete(run_id)):
        ending = await runs.meet(run_id, runs.finish(run_id))
    with pytest.raises(GoneError):
        await ending


async def test_a_run_that_is_deleted_while_it_ends_is_gone(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.finish(run_id)):
        deleting = await runs.meet(run_id, runs.service.delete(run_id))
    await deleting
    assert await runs.store.get_run(run_id) is None


async def test_points_that_meet_the_end_of_their_run_come_too_late(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.finish(run_id)):
        posting = await runs.meet(run_id, runs.post(run_id, 0, 1.0))
    with pytest.raises(ConflictError, match="takes no more points"):
        await posting
    assert await runs.losses(run_id) == []


async def test_an_end_that_meets_points_comes_after_them(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 2.0)
    async with runs.database.held(runs.post(run_id, 1, 1.0)):
        ending = await runs.meet(run_id, runs.finish(run_id))
    assert ((await ending).step, await runs.losses(run_id)) == (1, [2.0, 1.0])


async def test_one_batch_from_many_at_once_is_stored_once(runs: Runs) -> None:
    run_id = await runs.script()
    answers = await asyncio.gather(*(runs.ingest.add_points(run_id, losses_from(0, 3.0, 2.0)) for _ in range(8)))
    assert {answer.accepted for answer in answers} == {2}
    assert await runs.losses(run_id) == [3.0, 2.0]


async def test_a_silent_script_that_is_heard_while_it_is_interrupted_goes_on(runs: Runs) -> None:
    run_id = await runs.script()
    runs.active.get(run_id).heard_at -= 2 * SILENCE_S
    async with runs.database.held(runs.ingest.interrupt_silent(time.monotonic())):
        posting = await runs.meet(run_id, runs.post(run_id, 0, 1.0))
    await posting
    assert (await runs.stored(run_id)).status == "running"


async def test_a_run_ends_no_sooner_than_it_started(runs: Runs) -> None:
    run_id = await runs.start()
    record = await runs.finish(run_id, ended_at=5.0)  # by a clock that is behind
    assert record.ended_at == record.started_at
