"""The table of runs is what the store has, as it is now."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.runs import Runs

pytestmark = pytest.mark.anyio


async def found(runs: Runs, search: str = "", sort: str = "number", **asked: Any) -> list[str]:
    """The ids of the runs that a page has."""
    page = {"status": None, "group": None, "limit": 100, "offset": 0} | asked
    records, _ = await runs.table.page(search=search, sort=sort, **page)
    return [record.id for record in records]


async def test_runs_of_before_and_after_its_start_are_found(runs: Runs) -> None:
    before = [await runs.script(lr=0.1) for _ in range(3)]
    await runs.service.delete(before[1])
    await runs.table.load()
    after = await runs.script(lr=0.1)
    await runs.script(lr=1)
    assert await found(runs, "lr<0.5") == [before[0], before[2], after]


async def test_a_run_is_found_as_it_is_now(runs: Runs) -> None:
    await runs.table.load()
    run_id = await runs.script(lr=0.1)
    await runs.service.edit(run_id, tags=["kept"])
    await runs.post(run_id, 0, 5.0)
    await runs.post(run_id, 1, 0.5)
    assert await found(runs, "loss<1 tag:kept status:running") == [run_id]
    await runs.finish(run_id)
    assert await found(runs, "loss<1 tag:kept", status="finished") == [run_id]
    assert await found(runs, status="running") == []


async def test_a_deleted_run_is_not_found_until_it_is_restored(runs: Runs) -> None:
    await runs.table.load()
    run_id = await runs.script()
    await runs.service.delete(run_id)
    assert await found(runs) == []
    await runs.service.restore([run_id])
    assert await found(runs) == [run_id]


async def test_a_page_is_a_part_of_what_is_found(runs: Runs) -> None:
    await runs.table.load()
    ids = [await runs.script(lr=1 / number) for number in range(1, 6)]
    records, total = await runs.table.page(search="lr<1", sort="params.lr", status=None, group=None, limit=2, offset=1)
    assert ([record.id for record in records], total) == ([ids[3], ids[2]], 4)


async def test_the_columns_are_what_runs_have_with_the_commonest_first(runs: Runs) -> None:
    await runs.table.load()
    for params in ({"lr": 1}, {"seed": 1, "lr": 2}):
        run_id = await runs.script(**params)
        await runs.post(run_id, 0, 5.0)
        await runs.service.edit(run_id, group="sweep", tags=["old"])
    await runs.finish(run_id, result={"verdict": 1.0})
    columns = await runs.table.columns()
    assert (columns.params, columns.metrics, columns.result) == (["lr", "seed"], ["loss"], ["verdict"])
    assert (columns.groups, columns.tags, columns.summary) == (["sweep"], ["old"], [])
