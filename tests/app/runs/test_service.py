"""Runs: made, found, renamed, deleted; and what becomes of them when the board starts and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from app.charts.colours import CATEGORIES, hex_of
from app.errors import ConflictError, GoneError, NotFoundError, UnavailableError
from app.runs.scheduler import Limits
from app.runs.service import INTERRUPTED
from app.storage.batch import Batch
from tests.harness.runs import Runs
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio

NEW_ID = "0123456789abcdef" * 2


async def page(runs: Runs, status: str | None = None, group: str | None = None, **more: int) -> tuple[list[str], int]:
    """The ids of some runs, newest first, and how many there are."""
    records, total = await runs.service.page(status=status, group=group, **({"limit": 100, "offset": 0} | more))
    return [record.id for record in records], total


# --- made -------------------------------------------------------------------------------------------------------------


async def test_a_new_run_is_on_disk_before_it_starts(runs: Runs) -> None:
    async with runs.database.held(runs.queue(lr=0.05)):
        (record,) = (await runs.store.list_runs())[0]
        assert (record.status, record.params["lr"]) == ("queued", 0.05)
        assert runs.executor.started == []
    assert runs.executor.started == [record.id]


async def test_a_new_run_has_the_data_it_runs_on(runs: Runs) -> None:
    record = await runs.stored(await runs.queue())
    x, y = await runs.store.get_data(record)
    assert (x.tolist(), y.tolist()) == ([1, 2, 3], [2, 4, 6])


async def test_a_new_run_says_what_theory_knows_of_it(runs: Runs) -> None:
    record = await runs.stored(await runs.queue(lr=0.2, epochs=50))
    assert "between 1/λ = 0.107 and 2/λ = 0.214" in record.why
    assert record.total_steps == 50


async def test_a_new_run_knows_by_what_cost_it_is_measured(runs: Runs) -> None:
    record = await runs.stored(await runs.queue(w0=-1))
    assert (record.cost_scale, record.samples) == (pytest.approx(42), 3)


async def test_runs_that_are_made_at_the_same_time_have_different_colours(runs: Runs) -> None:
    made = await asyncio.gather(*(runs.queue() for _ in range(8)))
    assert len({(await runs.service.get(run_id)).colour for run_id in made}) == 8


async def test_a_new_run_has_no_colour_that_is_shown(runs: Runs) -> None:
    shown = await runs.start()
    await runs.latest.load()
    for _ in range(20):
        run_id = await runs.script()
        assert (await runs.service.get(run_id)).colour != (await runs.service.get(shown)).colour
        await runs.finish(run_id)


async def test_a_run_that_cannot_be_stored_is_not_made(runs: Runs) -> None:
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.queue()
    assert (list(runs.active), runs.executor.started) == ([], [])


# --- races ------------------------------------------------------------------------------------------------------------


async def test_the_runs_of_a_race_differ_in_what_varies(runs: Runs) -> None:
    group, records = await runs.race(method="gd", vary={"lr": [0.1, 0.2, 0.3]})
    assert [record.params["lr"] for record in records] == [0.1, 0.2, 0.3]
    assert [record.varied for record in records] == [{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}]
    assert {record.group for record in records} == {group}
    assert len({record.shade for record in records}) == 3


async def test_a_race_of_categories_has_colours_without_an_order(runs: Runs) -> None:
    _, records = await runs.race(vary={"method": ["gd", "sgd", "sweep"]})
    assert [record.shade for record in records] == [None] * 3
    assert [hex_of(record) for record in records] == list(CATEGORIES[:3])


async def test_a_race_starts_as_many_as_there_is_room_for(runs: Runs) -> None:
    _, records = await runs.race(method="gd", vary={"lr": [0.1, 0.2, 0.3]})
    assert runs.executor.started == [record.id for record in records[:2]]


async def test_a_race_without_a_name_has_its_first_runs_number(runs: Runs) -> None:
    await runs.script()
    group, records = await runs.race(method="gd", vary={"lr": [0.1, 0.2]})
    assert (group, records[0].number) == ("race 2", 2)


async def test_a_race_without_a_name_takes_none_that_is_used(runs: Runs) -> None:
    await runs.service.create_external("", "script", {}, "race 2")
    group, _ = await runs.race(method="gd", vary={"lr": [0.1, 0.2]})
    assert group == "race 3"


async def test_a_race_is_refused_a_name_that_is_used(runs: Runs) -> None:
    await runs.race(method="gd", vary={"lr": [0.1, 0.2]}, group="mine")
    with pytest.raises(ConflictError, match="send another name") as refused:
        await runs.race(method="gd", vary={"lr": [0.1, 0.2]}, group="mine")
    assert refused.value.place == ("body", "group")


async def test_of_two_races_of_one_name_at_once_one_is_refused(runs: Runs) -> None:
    two = (runs.race(method="gd", vary={"lr": [0.1, 0.2]}, group="mine") for _ in range(2))
    _, refused = await asyncio.gather(*two, return_exceptions=True)
    assert isinstance(refused, ConflictError)
    assert (await page(runs, group="mine"))[1] == 2


async def test_a_race_that_cannot_be_stored_is_not_made(runs: Runs) -> None:
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.race(method="gd", vary={"lr": [0.1, 0.2]}, group="mine")
    assert list(runs.active) == []


# --- scripts ----------------------------------------------------------------------------------------------------------


async def test_a_script_needs_no_worker_and_no_slot(runs: Runs) -> None:
    for _ in range(5):
        assert await runs.status(await runs.script()) == "running"
    assert runs.executor.started == []
    assert await runs.queue() in runs.executor.started


async def test_a_script_that_introduces_itself_again_finds_its_run(runs: Runs) -> None:
    first, new = await runs.service.create_external(NEW_ID, "script", {"lr": 1}, None)
    again, still_new = await runs.service.create_external(NEW_ID, "script", {"lr": 2}, None)
    assert again is first
    assert (new, still_new) == (True, False)


async def test_a_script_that_introduces_itself_twice_at_once_has_one_run(runs: Runs) -> None:
    both = await asyncio.gather(*(runs.service.create_external(NEW_ID, "script", {}, None) for _ in range(2)))
    assert [new for _, new in both] == [True, False]
    assert (await page(runs))[1] == 1


async def test_a_script_whose_run_was_deleted_is_told_so(runs: Runs) -> None:
    await runs.service.create_external(NEW_ID, "script", {}, None)
    await runs.service.delete(NEW_ID)
    with pytest.raises(GoneError):
        await runs.service.create_external(NEW_ID, "script", {}, None)


# --- found ------------------------------------------------------------------------------------------------------------


async def test_a_page_has_the_newest_runs_first(runs: Runs) -> None:
    first, second, third = [await runs.script() for _ in range(3)]
    assert await page(runs, limit=2) == ([third, second], 3)
    assert await page(runs, limit=2, offset=2) == ([first], 3)


async def test_a_page_shows_runs_as_they_are_now(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.post(run_id, 1, 4.0)
    (record,), _ = await runs.service.page(status=None, group=None, limit=1, offset=0)
    assert record.last == {"loss": 4.0}


async def test_a_page_of_a_group_has_its_runs(runs: Runs) -> None:
    await runs.script()
    group, records = await runs.race(method="gd", vary={"lr": [0.1, 0.2]})
    assert await page(runs, group=group) == ([record.id for record in reversed(records)], 2)


async def test_a_page_of_a_status_has_the_runs_that_show_it(runs: Runs) -> None:
    running, _, queued = await runs.start(), await runs.start(), await runs.queue()
    await runs.control.pause(running)
    await runs.settled()
    assert await page(runs, "paused") == ([running], 1)
    assert await page(runs, "queued") == ([queued], 1)


async def test_a_run_that_ends_while_a_page_is_read_is_not_listed_as_running(runs: Runs) -> None:
    ending, staying = await runs.script(), await runs.script()
    found = []

    async def read() -> None:
        found.append(await page(runs, "running"))

    async with runs.database.held(read(), "read"):
        await runs.finish(ending)
    assert found == [([staying], 1)]


async def test_a_run_that_begins_to_run_is_listed_once_it_shows_that(runs: Runs) -> None:
    run_id = await runs.queue()
    found = []

    async def read() -> None:
        found.append(await page(runs, "running"))

    async with runs.database.held(runs.post(run_id, 0, 5.0)):
        await read()  # on disk it runs, and no one has seen it yet
    await read()
    assert found == [([], 0), ([run_id], 1)]


async def test_a_run_is_listed_under_the_status_that_it_shows_before_that_is_on_disk(runs: Runs) -> None:
    run_id = await runs.start()
    async with runs.database.stuck():
        pausing = asyncio.create_task(runs.control.pause(run_id))
        await until(lambda: runs.active.get(run_id).paused)
        listing = asyncio.create_task(page(runs, "paused"))
        await until(lambda: listing.done() or runs.database.waiting == 2)
    await pausing
    assert await listing == ([run_id], 1)


async def test_runs_can_be_listed_by_status_also_on_a_full_disk(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    assert await page(runs, "running") == ([run_id], 1)


async def test_of_some_runs_those_that_exist_are_found_oldest_first(runs: Runs) -> None:
    first, deleted, third = [await runs.script() for _ in range(3)]
    await runs.service.delete(deleted)
    found = await runs.service.some({third, deleted, first, "nonesuch"})
    assert [record.id for record in found] == [first, third]


# --- renamed ----------------------------------------------------------------------------------------------------------


async def test_a_run_is_renamed_while_it_runs(runs: Runs) -> None:
    run_id = await runs.start()
    assert (await runs.service.edit(run_id, name="new")).name == "new"
    await runs.post(run_id, 1, 4.0)
    assert (await runs.finish(run_id)).name == (await runs.stored(run_id)).name == "new"


async def test_a_run_is_renamed_when_it_has_ended(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.finish(run_id)
    await runs.service.edit(run_id, name="new")
    record = await runs.stored(run_id)
    assert (record.name, record.status) == ("new", "finished")


async def test_a_run_that_there_is_not_is_not_renamed(runs: Runs) -> None:
    with pytest.raises(NotFoundError):
        await runs.service.edit("nonesuch", name="new")


async def test_a_name_that_cannot_be_stored_is_not_taken(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.service.edit(run_id, name="new")
    assert (await runs.service.get(run_id)).name == "script"


async def test_a_new_name_that_meets_an_end_is_kept(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.finish(run_id)):
        renaming = await runs.meet(run_id, runs.service.edit(run_id, name="new"))
    await renaming
    record = await runs.stored(run_id)
    assert (record.status, record.name) == ("finished", "new")


async def test_an_end_that_meets_a_new_name_is_kept(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.service.edit(run_id, name="new")):
        ending = await runs.meet(run_id, runs.finish(run_id))
    await ending
    record = await runs.stored(run_id)
    assert (record.status, record.name) == ("finished", "new")


# --- deleted ----------------------------------------------------------------------------------------------------------


async def test_the_worker_of_a_deleted_run_is_killed_and_that_is_no_failure(runs: Runs) -> None:
    run_id = await runs.start()
    await runs.service.delete(run_id)
    await runs.settled()
    assert runs.executor.killed == [run_id]
    assert await runs.store.was_deleted(run_id)


async def test_a_deleted_run_frees_its_slot(runs: Runs) -> None:
    first, _, third = [await runs.queue() for _ in range(3)]
    await runs.service.delete(first)
    assert runs.executor.started[-1] == third


async def test_a_run_that_is_deleted_in_the_queue_does_not_start_meanwhile(runs: Runs) -> None:
    first, second, third = [await runs.queue() for _ in range(3)]
    async with runs.database.held(runs.service.delete(third)):
        await runs.finish(first)
        await runs.settled()
    assert runs.executor.started == [first, second]


async def test_of_two_deletions_the_second_finds_the_run_gone(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.service.delete(run_id)):
        second = await runs.meet(run_id, runs.service.delete(run_id))
    with pytest.raises(GoneError):
        await second


async def test_after_a_deletion_that_cannot_be_stored_the_run_starts_when_its_turn_comes(runs: Runs) -> None:
    first, second, third = [await runs.queue() for _ in range(3)]
    runs.journals.refused = True  # so that the first has no worker, and has not ended
    async with runs.database.stuck():
        deleting = asyncio.create_task(runs.service.delete(third))
        await until(lambda: runs.database.waiting == 1)
        runs.executor.end(first, 1)
        await runs.settled()
        assert runs.executor.started == [first, second]
        deleting.cancel()
    await asyncio.gather(deleting, return_exceptions=True)
    assert runs.executor.started == [first, second, third]


async def test_a_deletion_that_cannot_be_stored_has_not_happened(runs: Runs) -> None:
    run_id = await runs.start()
    runs.database.full = True
    with pytest.raises(UnavailableError):
        await runs.service.delete(run_id)
    runs.database.full = False
    assert (await runs.post(run_id, 1, 4.0)).control.stop is False
    assert runs.executor.killed == []


# --- the board starts and ends ----------------------------------------------------------------------------------------


async def test_what_a_dead_board_left_behind_is_interrupted(runs: Runs, tmp_path: Path) -> None:
    running, finished, queued = await runs.start(), await runs.script(), await runs.queue()
    await runs.post(running, 1, 4.0)
    await runs.finish(finished)
    runs.store.close()  # and nothing else: it was killed
    again = Runs(tmp_path, Limits(running=2, waiting=2))
    await again.service.recover()
    record = await again.stored(running)
    assert (record.status, record.error, record.step, record.last) == ("interrupted", INTERRUPTED, 1, {"loss": 4.0})
    assert record.ended_at is not None
    assert await again.status(queued) == "interrupted"
    assert await again.status(finished) == "finished"
    assert (list(again.active), again.executor.started) == ([], [])
    await again.close()


async def test_what_is_left_behind_has_come_as_far_as_its_largest_step(runs: Runs, tmp_path: Path) -> None:
    script = await runs.script()
    for seq, (name, step) in enumerate([("loss", 12.5), ("val_loss", 0.0)]):
        await runs.ingest.add_points(script, Batch(seq, (name,), np.array([[step, 1.0]])))
    runs.store.close()
    again = Runs(tmp_path, Limits(running=2, waiting=2))
    await again.service.recover()
    assert (await again.stored(script)).step == 12.5
    await again.close()


async def test_a_board_that_ends_interrupts_what_is_under_way(runs: Runs) -> None:
    running, script, queued = await runs.start(), await runs.script(), await runs.queue()
    await runs.service.close()
    for run_id in (running, script, queued):
        record = await runs.stored(run_id)
        assert (record.status, record.error) == ("interrupted", INTERRUPTED)
    assert runs.executor.closed


async def test_a_board_that_ends_starts_nothing_more(runs: Runs) -> None:
    first, second, _ = [await runs.queue() for _ in range(3)]
    await runs.service.close()
    await runs.settled()
    assert runs.executor.started == [first, second]


async def test_a_board_ends_once(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.service.close()
    ended_at = (await runs.stored(run_id)).ended_at
    await runs.service.close()
    assert (await runs.stored(run_id)).ended_at == ended_at


async def test_who_ends_a_board_that_is_ending_waits_until_it_has_ended(runs: Runs) -> None:
    run_id = await runs.script()
    async with runs.database.held(runs.service.close()):
        again = asyncio.create_task(runs.service.close())
        await asyncio.sleep(0)
        assert not again.done()
    await again
    assert await runs.status(run_id) == "interrupted"


async def test_a_board_whose_disk_is_full_ends_all_the_same(runs: Runs) -> None:
    run_id = await runs.script()
    runs.database.full = True
    await runs.service.close()
    assert (await runs.stored(run_id)).status == "running"  # the next board interrupts it
