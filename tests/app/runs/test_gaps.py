"""Records that never come, and records that no checksum vouches for: the run notes which they are."""

from __future__ import annotations

import pytest

from app.charts.cache import ChartCache
from app.errors import ConflictError
from app.storage.records import MAX_RANGES, with_range, without_range
from tests.harness.runs import Runs, losses_from
from tests.harness.waiting import until

pytestmark = pytest.mark.anyio


async def after_gap(runs: Runs, run_id: str, seq: int, *losses: float) -> int:
    """Post losses, though records before them may be missing; the number that is wanted next."""
    return (await runs.ingest.add_points(run_id, losses_from(seq, *losses), after_gap=True)).accepted


async def test_points_after_a_gap_keep_their_numbers_and_the_run_says_what_is_missing(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0, 2.0)
    assert await after_gap(runs, run_id, 5, 1.0) == 6
    assert (await runs.post(run_id, 6, 0.5)).accepted == 7
    record = await runs.stored(run_id)
    assert record.missing == [[2, 5]]
    batches = await runs.store.some_batches(record, 0, 100)
    assert [(batch.seq, batch.rows[:, 1].tolist()) for batch in batches] == [(0, [3, 2]), (5, [1, 0.5])]
    assert (await runs.store.read_range(record)).total == 4


async def test_what_comes_once_more_changes_nothing(runs: Runs) -> None:
    run_id = await runs.script()
    for _ in range(2):
        assert await after_gap(runs, run_id, 5, 1.0, 0.5) == 7
        assert (await runs.stored(run_id)).missing == [[0, 5]]
    assert await runs.losses(run_id) == [1.0, 0.5]


async def test_what_was_missing_may_come_later(runs: Runs) -> None:
    cache = ChartCache(runs.store)
    run_id = await runs.script()
    await runs.post(run_id, 0, 9.0, 8.0)
    await after_gap(runs, run_id, 6, 3.0)
    await cache.open(await runs.service.get(run_id))
    for _ in range(2):
        accepted = await runs.post(run_id, 3, 6.0, 5.0)
        assert (accepted.accepted, accepted.missing) == (7, [[2, 3], [5, 6]])
    assert await runs.losses(run_id) == [9, 8, 6, 5, 3]
    accepted = await runs.post(run_id, 1, 99.0, 7.0, 99.0, 99.0, 4.0, 99.0, 2.0)  # also what is known, and a new one
    assert (accepted.accepted, accepted.missing) == (8, [])
    assert await runs.losses(run_id) == [9, 8, 7, 6, 5, 4, 3, 2]
    assert (await runs.service.get(run_id)).last == {"loss": 2.0}
    await until(lambda: drawn(cache, run_id) == [9, 8, 7, 6, 5, 4, 3, 2])


def drawn(cache: ChartCache, run_id: str) -> list[float]:
    """The losses in a run's chart."""
    chart = cache.get(run_id)
    return list(chart.curves["loss"].points(100)[1]) if chart else []


async def test_gaps_are_bounded(runs: Runs) -> None:
    run_id = await runs.script()
    for number in range(MAX_RANGES):
        await after_gap(runs, run_id, 2 * number + 1, 1.0)
    with pytest.raises(ConflictError, match=f"Records from {2 * MAX_RANGES} are missing"):
        await after_gap(runs, run_id, 2 * MAX_RANGES + 1, 1.0)
    assert len((await runs.stored(run_id)).missing) == MAX_RANGES


async def test_nothing_after_a_gap_is_no_gap(runs: Runs) -> None:
    run_id = await runs.script()
    assert await after_gap(runs, run_id, 5) == 0
    assert (await runs.stored(run_id)).missing == []


async def test_a_gap_that_is_not_declared_is_refused(runs: Runs) -> None:
    run_id = await runs.script()
    await after_gap(runs, run_id, 5, 1.0)
    with pytest.raises(ConflictError, match="Records from 6 are missing"):
        await runs.post(run_id, 8, 1.0)
    assert (await runs.stored(run_id)).missing == [[0, 5]]


async def test_points_without_checksums_are_marked(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0)
    for seq in (0, 2, 4):  # the first of these brings one that is known and one that is new
        await runs.ingest.add_points(run_id, losses_from(seq, 2.0, 1.0), unchecked=True)
    await runs.post(run_id, 6, 1.0)
    record = await runs.stored(run_id)
    assert (record.unchecked, record.missing) == ([[1, 6]], [])
    assert (await runs.service.get(run_id)).unchecked == [[1, 6]]


async def test_a_chart_goes_on_after_a_gap(runs: Runs) -> None:
    cache = ChartCache(runs.store)
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0, 2.0)
    chart = await cache.open(await runs.service.get(run_id))
    await after_gap(runs, run_id, 5, 1.0)
    await until(lambda: chart.next_seq == 6)
    await runs.post(run_id, 6, 0.5)
    steps, losses = chart.curves["loss"].points(100)
    assert (list(steps), list(losses)) == ([0, 1, 5, 6], [3, 2, 1, 0.5])


async def test_a_run_that_has_ended_says_how_many_points_it_has(runs: Runs) -> None:
    run_id = await runs.script()
    await runs.post(run_id, 0, 3.0, 2.0)
    await runs.finish(run_id)
    with pytest.raises(ConflictError, match=r"has ended \(finished\); it takes no more points than its 2") as refused:
        await runs.post(run_id, 2, 1.0)
    assert refused.value.extra == {"accepted": 2, "missing": []}


def test_ranges_that_touch_are_one() -> None:
    assert with_range([], 3, 5) == [[3, 5]]
    assert with_range([[3, 5]], 5, 6) == [[3, 6]]
    assert with_range([[3, 5]], 7, 8) == [[3, 5], [7, 8]]


@pytest.mark.parametrize(
    ("begin", "end", "left"),
    [
        (0, 3, [[3, 5], [7, 9]]),
        (4, 5, [[3, 4], [7, 9]]),
        (3, 5, [[7, 9]]),
        (4, 8, [[3, 4], [8, 9]]),
        (8, 9, [[3, 5], [7, 8]]),
        (0, 99, []),
    ],
)
def test_what_is_left_of_ranges(begin: int, end: int, left: list[list[int]]) -> None:
    assert without_range([[3, 5], [7, 9]], begin, end) == left


def test_ranges_are_bounded() -> None:
    ranges: list[list[int]] = []
    for number in range(0, 4 * MAX_RANGES, 2):
        ranges = with_range(ranges, number, number + 1)
    assert len(ranges) == MAX_RANGES
    assert ranges[-1][1] == 4 * MAX_RANGES - 1
