"""Charts and the view while the store cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.charts.cache import RETRY_S, ChartCache
from app.charts.view_state import ViewState
from app.errors import UnavailableError
from app.schemas.view import View
from app.storage.batch import Batch
from app.storage.records import RunRecord
from app.storage.store import Store
from tests.harness.gated_database import GatedDatabase
from tests.harness.runs import FakeSleep
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Iterator[GatedDatabase]:
    database = GatedDatabase(tmp_path / "db")
    yield database
    database.close()


async def test_a_chart_that_missed_points_which_cannot_be_read_now_has_them_later(database: GatedDatabase) -> None:
    store, sleep = Store(database), FakeSleep()
    cache = ChartCache(store, sleep=sleep)
    run = RunRecord("1" * 32, "run", "external", {}, "running", 0.0)
    await store.add_run(run)
    chart = await cache.open(run)
    chart.next_seq = -1  # it missed some
    database.unreadable = True
    await store.append(run, Batch(0, ("loss",), np.array([[0.0, 3.0], [1.0, 2.0]])))
    for _ in range(3):
        await until(lambda: sleep.asked == [RETRY_S])
        sleep.over()
        await until(lambda: sleep.asked == [RETRY_S])
    assert chart.curves == {}
    database.unreadable = False
    sleep.over()
    await until(lambda: "loss" in chart.curves)
    assert chart.curves["loss"].total == 2


async def test_a_view_that_cannot_be_stored_is_not_shown(database: GatedDatabase) -> None:
    view_state = ViewState(Store(database))
    before = view_state.get()
    shown: list[View] = []
    view_state.subscribe(lambda _, after: shown.append(after))
    database.full = True
    with pytest.raises(UnavailableError):
        await view_state.change(View(smoothing=5))
    assert view_state.get() == before == shown[-1]


class LateStore:
    """A store that says late of each setting, in their order, whether it could be stored."""

    def __init__(self, outcomes: list[bool]) -> None:
        self.late = asyncio.Event()
        self._outcomes = iter(outcomes)

    async def put_setting(self, *_: object) -> None:
        stored = next(self._outcomes)
        await self.late.wait()
        if not stored:
            raise UnavailableError("The disk is full.")


@pytest.mark.parametrize(
    ("outcomes", "shown"), [([False, True], 6), ([True, False], 5), ([False, False], 0), ([True, True], 6)]
)
async def test_of_two_views_at_once_the_last_that_could_be_stored_is_shown(outcomes: list[bool], shown: int) -> None:
    store = LateStore(outcomes)
    view_state = ViewState(store)  # type: ignore[arg-type]
    changing = asyncio.gather(*(view_state.change(View(smoothing=n)) for n in (5, 6)), return_exceptions=True)
    await asyncio.sleep(0)  # both have begun
    store.late.set()
    await changing
    assert view_state.get().smoothing == shown
