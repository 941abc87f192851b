"""The view that everyone shares, after runs that it names were deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.charts.view_state import ViewState
from app.errors import UnavailableError
from app.schemas.view import View
from app.storage.records import RunRecord
from app.storage.store import Store
from tests.harness.gated_database import GatedDatabase

pytestmark = pytest.mark.anyio

KEPT, GONE = "1" * 32, "2" * 32


async def stored(view: View, store: Store) -> ViewState:
    """The state of a board on which only the run KEPT is left, which was shown like this."""
    await store.add_run(RunRecord(KEPT, "kept", "external", {}, "running", 0.0))
    state = ViewState(store)
    await state.change(view)
    return state


@pytest.mark.parametrize(
    ("view", "left"),
    [
        (View(run=GONE, at=3, sample=2), View(sample=2)),
        (View(run=KEPT, at=3, hidden=[GONE]), View(run=KEPT, at=3)),
        (View(hidden=[GONE, KEPT], added=[KEPT, GONE]), View(hidden=[KEPT], added=[KEPT])),
        (View(chosen=[GONE, KEPT]), View(chosen=[KEPT])),
    ],
)
async def test_a_deleted_run_is_named_no_more(store: Store, view: View, left: View) -> None:
    state = await stored(view, store)
    told: list[View] = []
    state.subscribe(lambda _, after: told.append(after))
    await state.forget(GONE)
    await state.forget("3" * 32)  # which it does not name
    assert (state.get(), told) == (left, [left])
    again = ViewState(store)
    await again.load()
    assert again.get() == left


async def test_a_run_that_was_deleted_before_the_board_ended_is_not_named_by_the_next(store: Store) -> None:
    await stored(View(run=GONE, hidden=[GONE, KEPT], added=[GONE], chosen=[GONE]), store)
    again = ViewState(store)
    await again.load()
    assert again.get() == View(hidden=[KEPT])


async def test_a_deleted_run_is_named_no_more_where_that_cannot_be_stored(tmp_path: Path) -> None:
    database = GatedDatabase(tmp_path / "db")
    store = Store(database)
    state = await stored(View(run=GONE), store)
    database.full = True
    await state.forget(GONE)
    with pytest.raises(UnavailableError):
        await state.change(View(smoothing=3))
    assert state.get() == View()
    store.close()
