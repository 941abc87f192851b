"""Which runs the shared windows show."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.charts.latest import Overlay
from app.schemas.view import Detail
from app.storage.batch import Batch
from app.storage.database import Database
from app.storage.store import RunRecord, Store

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
    await again.load()
    numbers = [drawn.run.number for drawn in overlay.drawn]
    assert [drawn.run.number for drawn in again.drawn] == numbers
    return numbers


async def test_the_latest_runs_are_shown(store: Store) -> None:
    assert await shown(store, [run(number) for number in range(1, 11)]) == list(range(3, 11))


async def test_a_race_is_shown_whole_and_alone(store: Store) -> None:
    before = [run(number) for number in range(1, 4)]
    race = [run(number, group="race", varied={"lr": number}) for number in range(4, 54)]
    assert await shown(store, [*before, *race]) == list(range(4, 54))


async def test_a_run_after_a_race_is_shown_beside_the_single_ones_before_it(store: Store) -> None:
    before = [run(number) for number in range(1, 4)]
    race = [run(number, group="race", varied={"lr": number}) for number in range(4, 54)]
    assert await shown(store, [*before, *race, run(54)]) == [1, 2, 3, 54]


async def test_a_run_after_nothing_but_a_race_is_shown_alone(store: Store) -> None:
    race = [run(number, group="race", varied={"lr": number}) for number in range(1, 20)]
    assert await shown(store, [*race, run(20)]) == [20]


async def test_a_run_that_comes_back_is_shown_as_it_is_now(store: Store) -> None:
    before, racing = run(1), run(2, group="race", varied={"lr": 1})
    overlay = Overlay(store, 8, lambda: None)
    for one in (before, racing):
        await store.add_run(one)
        await overlay.show(one)
    after = run(3)
    await store.add_run(after)
    await overlay.show(after, lambda stored: dataclasses.replace(stored, status="stopped"))
    assert [drawn.run.status for drawn in overlay.drawn] == ["stopped", "running"]


async def test_runs_of_a_group_that_is_no_race_are_as_any_others(store: Store) -> None:
    assert await shown(store, [run(number, group="mine") for number in range(1, 11)]) == list(range(3, 11))


class SlowStore(Store):
    """A store in which reading takes a while, as of a long run."""

    async def some_batches(self, *asked: Any) -> list[Batch]:
        await asyncio.sleep(0.05)
        return await super().some_batches(*asked)


async def on_show(folder: Path, count: int) -> tuple[SlowStore, Overlay, list[RunRecord]]:
    store = SlowStore(Database(folder / "db"))
    overlay = Overlay(store, 2, lambda: None)
    runs = [run(number) for number in range(1, count + 1)]
    for one in runs:
        await store.add_run(one)
        await overlay.show(one)
    return store, overlay, runs


def numbers(overlay: Overlay) -> list[int]:
    return [drawn.run.number for drawn in overlay.drawn]


async def test_a_run_that_starts_while_another_is_replaced_is_shown(tmp_path: Path) -> None:
    store, overlay, runs = await on_show(tmp_path, 3)
    await store.delete_run(runs[2])
    overlay.removed(runs[2].id)
    loading = asyncio.create_task(overlay.load())
    await asyncio.sleep(0.02)
    new = run(4)
    await store.add_run(new)
    await overlay.show(new)
    await loading
    assert numbers(overlay) == [2, 4]
    store.close()


async def test_the_stretch_chosen_last_is_shown(tmp_path: Path) -> None:
    store, overlay, _ = await on_show(tmp_path, 2)
    await overlay.look_at(Detail(from_step=0, to_step=3))
    last = Detail(from_step=7, to_step=8)
    await asyncio.gather(overlay.look_at(None), overlay.look_at(last))
    assert [drawn.detail for drawn in overlay.drawn] == [last, last]
    store.close()


async def test_a_run_deleted_while_a_stretch_is_drawn_stays_away(tmp_path: Path) -> None:
    store, overlay, runs = await on_show(tmp_path, 2)
    looking = asyncio.create_task(overlay.look_at(Detail(from_step=0, to_step=3)))
    await asyncio.sleep(0.02)
    await store.delete_run(runs[1])
    overlay.removed(runs[1].id)
    await overlay.load()
    await looking
    assert numbers(overlay) == [1]
    store.close()


async def test_points_and_ends_that_come_while_pictures_are_drawn_are_in_them(tmp_path: Path) -> None:
    store, overlay, runs = await on_show(tmp_path, 2)
    for doing in (overlay.look_at(Detail(from_step=0, to_step=9)), overlay.load()):
        if not overlay.drawn[0].detail:
            overlay.removed(runs[0].id)  # so that it is loaded again
        task = asyncio.create_task(doing)
        await asyncio.sleep(0.12)
        seq = overlay.drawn[-1].next_seq
        batch = Batch(seq, ("loss",), np.array([[seq, 1.0]]))
        await store.append(runs[1], batch)
        overlay.append(runs[1], batch)
        overlay.refresh(dataclasses.replace(runs[1], name=f"after {seq}"))
        await task
        assert (overlay.drawn[-1].next_seq, overlay.drawn[-1].run.name) == (seq + 1, f"after {seq}")
    store.close()
