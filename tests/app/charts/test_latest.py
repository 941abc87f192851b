"""Which runs the shared windows show."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.charts.latest import LatestRuns
from app.charts.metric_choice import MAX_WINDOWS
from app.schemas.view import MetricsView, StepRange, View
from app.storage.batch import Batch
from app.storage.database import Database
from app.storage.records import RunRecord
from app.storage.store import Store
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio


def run(number: int, **record: Any) -> RunRecord:
    record = {"status": "running", "started_at": 1.0, **record}
    return RunRecord(f"{number:032x}", f"run {number}", "external", {}, created_at=0.0, number=number, **record)


def race(numbers: range) -> list[RunRecord]:
    return [run(number, group="race", varied={"lr": number}) for number in numbers]


def numbers(latest: LatestRuns) -> list[int]:
    return [chart.run.number for chart in latest.charts.all()]


async def shown(store: Store, runs: list[RunRecord]) -> list[int]:
    """The numbers of the runs that are shown after these have started; and the same once the board is started anew."""
    latest = LatestRuns(store, 8)
    for one in runs:
        await store.add_run(one)
        await latest.load()
    again = LatestRuns(store, 8)
    await again.load()
    assert numbers(again) == numbers(latest)
    return numbers(latest)


async def test_the_latest_runs_are_shown(store: Store) -> None:
    assert await shown(store, [run(number) for number in range(1, 11)]) == list(range(3, 11))


async def test_a_race_is_shown_whole_and_alone(store: Store) -> None:
    before = [run(number) for number in range(1, 4)]
    assert await shown(store, [*before, *race(range(4, 54))]) == list(range(4, 54))


async def test_a_run_after_a_race_is_shown_beside_the_single_ones_before_it(store: Store) -> None:
    before = [run(number) for number in range(1, 4)]
    assert await shown(store, [*before, *race(range(4, 54)), run(54)]) == [1, 2, 3, 54]


async def test_a_run_after_nothing_but_a_race_is_shown_alone(store: Store) -> None:
    assert await shown(store, [*race(range(1, 20)), run(20)]) == [20]


async def test_runs_of_a_group_that_is_no_race_are_as_any_others(store: Store) -> None:
    assert await shown(store, [run(number, group="mine") for number in range(1, 11)]) == list(range(3, 11))


async def test_runs_on_the_data_of_the_newest_are_shown(store: Store) -> None:
    here, there = (np.array([1.0]), np.array([2.0])), (np.array([1.0]), np.array([3.0]))
    latest = LatestRuns(store, 2)
    for number, data in enumerate([here, there, here, None, here, here, None], 1):  # a script's data are not known
        await store.add_run(run(number), data)
    seen = []
    for _ in range(7):
        await latest.load()
        seen.append(numbers(latest))
        await store.delete_run(run(max([*numbers(latest), 0])))
    assert seen == [[4, 7], [5, 6], [3, 5], [4], [1, 3], [2], [1]]


async def test_the_view_hides_runs_and_adds_older_ones_on_any_data(store: Store) -> None:
    runs = [run(1), *race(range(2, 4)), run(4), run(5), run(6, status="queued", started_at=None)]
    for one in runs:
        await store.add_run(one)
    latest = LatestRuns(store, 2)
    ids = [one.id for one in runs]
    for hidden, added, wanted in (
        ([], [], [4, 5]),
        ([5], [], [4]),  # and no older one in its place
        ([], [1, 2], [1, 2, 4, 5]),
        ([5, 2], [2, 3], [3, 4]),
        ([], [5], [4, 5]),
        ([], [6], [4, 5]),  # it waits in the queue
    ):
        latest.show(View(hidden=[ids[number - 1] for number in hidden], added=[ids[number - 1] for number in added]))
        await latest.load()
        assert numbers(latest) == wanted
        assert latest.shown == [ids[number - 1] for number in wanted]
        assert latest.by_default == {ids[3], ids[4]}


async def test_whoever_subscribed_is_told_when_other_runs_are_shown(store: Store) -> None:
    latest = LatestRuns(store, 2)
    told: list[list[str]] = []
    latest.subscribe(lambda: told.append(latest.shown))
    one, two = run(1), run(2)
    await store.add_run(one)
    await latest.load()
    latest.show(View(smoothing=3))
    await latest.load()
    await store.add_run(two)
    await latest.load()
    latest.show(View(hidden=[one.id]))
    await latest.load()
    assert told == [[one.id], [one.id, two.id], [two.id]]


async def test_a_run_that_comes_back_is_shown_as_it_is_now(store: Store) -> None:
    latest = LatestRuns(store, 8, lambda: lambda stored: dataclasses.replace(stored, status="stopped"))
    for one in (run(1), *race(range(2, 3)), run(3)):
        await store.add_run(one)
        await latest.load()
    assert [chart.run.status for chart in latest.charts.all()] == ["stopped", "stopped"]


class GatedStore(Store):
    """A store in which reading points waits until it is let through."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading = asyncio.Event()

    async def some_batches(self, *asked: Any) -> list[Batch]:
        self.reading.set()
        await self.gate.wait()
        return await super().some_batches(*asked)

    @asynccontextmanager
    async def held(self, doing: Any) -> AsyncIterator[None]:
        """While the block runs, ``doing`` waits in the middle of its reading; after it, it is done."""
        self.gate.clear()
        self.reading.clear()
        task = asyncio.create_task(doing)
        await self.reading.wait()
        yield
        self.gate.set()
        await task


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[GatedStore]:
    store = GatedStore(Database(tmp_path / "db"))
    yield store
    store.close()


async def latest_two(store: Store, count: int) -> tuple[LatestRuns, list[RunRecord]]:
    """The latest two of so many runs, each of which has one point."""
    runs = [run(number) for number in range(1, count + 1)]
    for one in runs:
        await store.add_run(one)
        await store.append(one, Batch(0, ("loss",), np.array([[0.0, 1.0]])))
    latest = LatestRuns(store, 2)
    await latest.load()
    return latest, runs


async def test_a_run_that_starts_while_another_is_replaced_is_shown(gated: GatedStore) -> None:
    latest, runs = await latest_two(gated, 3)
    await gated.delete_run(runs[2])
    following = asyncio.create_task(latest.keep_up())
    async with gated.held(latest.load()):
        await gated.add_run(run(4))
    await until(lambda: numbers(latest) == [2, 4])
    following.cancel()


async def test_the_range_chosen_last_is_shown(gated: GatedStore) -> None:
    latest, _ = await latest_two(gated, 2)
    last = StepRange(from_step=7, to_step=8)
    latest.show(View(detail=StepRange(from_step=0, to_step=3)))
    async with gated.held(latest.load()):
        latest.show(View(detail=last))
    await latest.load()
    assert [chart.detail for chart in latest.charts.all()] == [last, last]


async def test_a_run_deleted_while_a_range_is_drawn_stays_away(gated: GatedStore) -> None:
    latest, runs = await latest_two(gated, 2)
    latest.show(View(detail=StepRange(from_step=0, to_step=3)))
    async with gated.held(latest.load()):
        await gated.delete_run(runs[0])
        await gated.delete_run(runs[1])
    assert numbers(latest) == []


@pytest.mark.parametrize("what", ["a range", "a run"])
async def test_points_and_states_that_come_while_charts_are_drawn_are_in_them(gated: GatedStore, what: str) -> None:
    latest, runs = await latest_two(gated, 2)
    if what == "a range":
        latest.show(View(detail=StepRange(from_step=0, to_step=9)))
    else:
        latest.charts.drop(runs[1].id)  # so that it is opened again
    async with gated.held(latest.load()):
        await gated.append(runs[1], Batch(1, ("loss",), np.array([[1.0, 1.0]])))
        await gated.save_run(dataclasses.replace(runs[1], name="renamed"))
    chart = latest.charts.all()[-1]
    await until(lambda: chart.curves["loss"].total == 2)  # it may have to catch up
    assert (chart.next_seq, chart.curves["loss"].total, chart.run.name) == (2, 2, "renamed")


async def logging(store: Store, number: int, *names: str, **record: Any) -> RunRecord:
    """A script's run with a point that has these metrics."""
    one = run(number, **record)
    await store.add_run(one)
    await store.append(one, Batch(0, names, np.array([[0.0, *range(len(names))]])))
    return one


async def test_scripts_go_with_those_that_log_one_of_the_same_metrics(store: Store) -> None:
    latest = LatestRuns(store, 8)
    for number, names in enumerate([("loss", "epoch"), ("return", "epoch"), ("val_loss", "lr"), ("lr",)], 1):
        await logging(store, number, *names)
    seen = []
    for number in (4, 3, 2):
        await latest.load()
        seen.append(numbers(latest))
        await store.delete_run(run(number))
    assert seen == [[3, 4], [1, 3], [2]]
    await store.add_run(run(5))  # has logged nothing yet
    await latest.load()
    assert numbers(latest) == [1, 5]


async def test_scripts_of_a_group_go_with_that_group(store: Store) -> None:
    latest = LatestRuns(store, 8)
    for number, group in enumerate([None, "a", "b", "a"], 1):
        await logging(store, number, "loss", group=group)
    await latest.load()
    assert numbers(latest) == [2, 4]


async def test_chosen_runs_are_shown_and_no_others_until_they_are_let_go(store: Store) -> None:
    runs = [await logging(store, number, "loss") for number in range(1, 5)]
    latest = LatestRuns(store, 2)
    ids = [one.id for one in runs]
    latest.show(View(chosen=[ids[0], ids[3], ids[1]], hidden=[ids[3]], added=[ids[2]]))
    await latest.load()
    assert numbers(latest) == [1, 2]
    await logging(store, 5, "loss")
    await latest.load()
    assert numbers(latest) == [1, 2]
    latest.show(View())
    await latest.load()
    assert numbers(latest) == [4, 5]


async def test_curves_are_kept_of_metrics_with_a_window_and_others_are_read_when_asked_for(store: Store) -> None:
    many = [f"m{number}" for number in range(100)]
    latest = LatestRuns(store, 8)
    for number in (1, 2):
        await logging(store, number, *many)
    await latest.load()
    first = many[:MAX_WINDOWS]
    assert [list(chart.curves) for chart in latest.charts.all()] == [first, first]
    latest.show(View(metrics=MetricsView(pinned=["m99"])))
    await latest.load()
    assert list(latest.metrics.shown) == ["m99", *first[:-1]]
    for chart in latest.charts.all():
        assert set(chart.curves) == {"m99", *first[:-1]}
        assert chart.curves["m99"].last == (0, 99)


async def test_a_metric_that_is_logged_later_gets_its_window_and_all_its_points(store: Store) -> None:
    one = await logging(store, 1, "loss")
    latest = LatestRuns(store, 8)
    await latest.load()
    following = asyncio.create_task(latest.keep_up())
    for seq, names in enumerate([("acc", "val_loss"), ("acc", "val_loss"), ("acc", "epoch")], 1):
        await store.append(one, Batch(seq, names, np.array([[float(seq), 1.0, 2.0]])))
    await until(lambda: list(latest.metrics.shown) == ["loss", "acc", "epoch"])
    wanted = {"loss": 1, "acc": 3, "val_loss": 2, "epoch": 1}
    await until(lambda: {name: curve.total for name, curve in latest.charts.all()[0].curves.items()} == wanted)
    following.cancel()
