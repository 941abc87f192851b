"""Whatever page of a database is damaged: the board works on, all that can be read is read, and what cannot is said."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest

from app.charts.view_state import ViewState
from app.errors import DamagedError, GoneError
from app.runs.scheduler import Limits
from app.schemas.view import View
from app.storage.database import Database
from app.storage.faults import DatabaseError
from app.storage.records import RunRecord
from app.storage.store import Store
from tests.harness import damage
from tests.harness.damage import damage_page, leaves_of, pages_of
from tests.harness.runs import Runs
from tests.harness.stored import DATA, LENGTHS, batches_of, points_of, record_of

pytestmark = pytest.mark.anyio

KINDS = [damage.all_of_it, damage.its_head, damage.one_place, damage.one_bit, damage.zeros]


async def start(folder: Path) -> Runs:
    """The parts of a board that starts on the database in a folder."""
    runs = Runs(folder, Limits(running=4, waiting=4))
    await runs.service.recover()
    await runs.store.look_for_damage()
    await runs.latest.load()
    return runs


async def is_as_stored(runs: Runs, run: RunRecord) -> bool:
    """Whether everything of a run is read as it was stored. DamagedError if it cannot be read."""
    await runs.store.check_points(run)
    stored = [row for batch in batches_of(run.number) for row in batch.rows.tolist()]
    read = [row for batch in await runs.store.some_batches(run, 0, 1000) for row in batch.rows.tolist()]
    thinned = await runs.store.read_range(run, enough=2)
    if run.number % 2:
        x, y = await runs.store.get_data(run)
        assert (x.tolist(), y.tolist()) == (DATA[0].tolist(), DATA[1].tolist())
    fields = ("name", "method", "params", "created_at", "started_at")
    is_same = [getattr(run, name) for name in fields] == [getattr(record_of(run.number), name) for name in fields]
    return is_same and read == stored and thinned.total == len(stored)


async def use(runs: Runs) -> None:
    """Do what people do with a board: what is read is what was stored, or its run is said to be damaged; new runs and
    points are taken in; everything can be deleted."""
    found, total = await runs.service.page(status=None, group=None, limit=100, offset=0)
    assert total == len(found)
    by_number = {run.number: run for run in found}
    assert all(run.damage for run in found) or by_number.keys() == LENGTHS.keys()
    for run in found:
        is_sound = False
        with contextlib.suppress(DamagedError):
            is_sound = await is_as_stored(runs, run)
        stored = await runs.store.get_run(run.id)
        assert stored is not None
        assert is_sound or stored.damage, f"run {run.number} has changed in silence"
        count = await runs.store.count(run)
        for seq in range(count, count + 3):
            assert (await runs.store.append(run, points_of(run.number, seq, seq + 1))).next_seq == seq + 1
    new = await runs.script()
    await runs.post(new, 0, 1.0, 2.0)
    assert await runs.losses(new) == [1.0, 2.0]
    await runs.queue()
    for run in found:
        await runs.service.delete(run.id)
        with pytest.raises(GoneError):
            await runs.service.get(run.id)


async def use_unless_refused(folder: Path) -> None:
    """Do so; or read what to do, where there is nothing to start on."""
    try:
        runs = await start(folder)
    except DatabaseError as error:
        refusal = str(error)
    else:
        return await use(runs)
    assert "cannot be opened" in refusal
    assert "lossboard restore" in refusal
    return None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_whatever_page_is_damaged_the_board_works_on(tmp_path: Path, sound: Path, kind: damage.Damage) -> None:
    for number in pages_of(sound):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(sound, folder / "db")
        damage_page(folder / "db", number, kind)
        if number == 1:  # which says what the other pages are
            await use_unless_refused(folder)
            continue
        runs = await start(folder)
        await use(runs)
        await runs.close()


async def test_points_that_cannot_be_read_cost_their_run_alone(copied: Path) -> None:
    damage_page(copied, leaves_of(copied, "points")[1], damage.all_of_it)
    runs = await start(copied.parent)
    refused = {}
    for number in LENGTHS:
        run = await runs.stored(record_of(number).id)
        try:
            await runs.store.read_range(run)
        except DamagedError as error:
            refused[number] = str(error)
    assert 1 <= len(refused) < len(LENGTHS)
    for number, words in refused.items():
        run = await runs.stored(record_of(number).id)
        assert f"run {number} ({run.id})" in words
        assert "lossboard check" in words
        assert run.damage is not None
    runs.latest.show(View(added=[record_of(number).id for number in LENGTHS]))  # on any data
    await runs.latest.load()
    shown = {chart.run.number for chart in runs.latest.charts.all()}
    assert shown == LENGTHS.keys() - refused.keys()
    await runs.close()


async def test_a_list_of_runs_that_is_damaged_is_rebuilt_and_says_so(
    copied: Path, sound: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage_page(copied, leaves_of(copied, "runs")[0], damage.all_of_it)
    runs = await start(copied.parent)
    found, _ = await runs.service.page(status=None, group=None, limit=100, offset=0)
    assert sorted(run.id for run in found) == [record_of(number).id for number in LENGTHS]
    damaged = [run for run in found if run.damage]
    assert 1 <= len(damaged) < len(found)
    for run in damaged:
        batches = await runs.store.some_batches(run, 0, 1000)
        assert sum(map(len, batches)) == LENGTHS[run.number]
    assert "lossboard check" in caplog.text
    assert len(pages_of(next(copied.parent.glob("db.damaged-*")))) == len(pages_of(sound))
    await runs.close()


async def test_data_that_is_gone_is_damage_and_its_run_is_still_shown(copied: Path) -> None:
    database = Database(copied)
    await database.write(lambda db: db.execute("DELETE FROM datasets"))
    database.close()
    runs = await start(copied.parent)
    run = await runs.stored(record_of(7).id)
    assert run.damage is not None
    assert "Its data cannot be read" in run.damage
    with pytest.raises(DamagedError):
        await runs.store.get_data(run)
    assert runs.latest.charts.get(run.id) is not None
    await runs.close()


@pytest.mark.parametrize("garbled", ["{", b"\xff", '["a list"]', '{"axes": 5, "smoothing": 7}'])
async def test_of_a_view_that_is_garbled_the_valid_parts_are_shown(copied: Path, garbled: str | bytes) -> None:
    database = Database(copied)
    await database.write(lambda db: db.execute("UPDATE board SET value = ?", (garbled,)))
    store = Store(database)
    view_state = ViewState(store)
    await view_state.load()
    assert view_state.get() == View(smoothing=7 if "smoothing" in str(garbled) else 0)
    store.close()


async def test_a_damaged_chunk_is_not_merged_into_sound_ones(store: Store) -> None:
    run = record_of(1)
    await store.add_run(run)
    await store.append(run, points_of(1, 0, 4))
    await store._database.write(lambda db: db.execute("UPDATE points SET rows = zeroblob(length(rows))"))
    for seq in range(4, 40):
        await store.append(run, points_of(1, seq, seq + 1))
    with pytest.raises(DamagedError, match="checksum"):
        await store.check_points(run)
    sound = await store.some_batches(run, 4, 100)
    assert sum(map(len, sound)) == 36
    assert len(sound) < 10
