"""A curve of any length, thinned as it grows, loses neither its ends nor its spikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.downsampling import CAPACITY, FAR, MAX_STROKES, Curve, extremes_of_buckets, keep_extremes
from lossboard import MISSING


def grow(values: np.ndarray, pieces: list[int]) -> Curve:
    curve, start = Curve(), 0
    steps = np.arange(len(values), dtype=float)
    for piece in [*pieces, len(values)]:
        curve.append(steps[start : start + piece], values[start : start + piece])
        start += piece
    return curve


def test_a_short_curve_is_kept_whole() -> None:
    curve = grow(np.array([3.0, 1.0, 2.0]), [1, 1])
    steps, values = curve.points(100)
    assert steps.tolist() == [0, 1, 2]
    assert values.tolist() == [3, 1, 2]


def test_what_has_room_is_kept_whole() -> None:
    values = np.random.default_rng(0).normal(size=40)
    assert grow(values, []).points(40)[1].tolist() == values.tolist()


@pytest.mark.parametrize("count", [2 * CAPACITY + 1, 10_000, 1_000_000])
@pytest.mark.parametrize("at_most", [100, 1999])
def test_a_long_curve_has_all_the_points_it_may_have_at_any_length(count: int, at_most: int) -> None:
    """So a window of it costs the same: were there fewer after 10,000 steps than after a million, it would not."""
    steps, _ = grow(np.random.default_rng(count).normal(size=count), [7]).points(at_most)
    assert at_most - 3 <= len(steps) <= at_most  # two of each bucket, the ends, and an end may be an extreme


@pytest.mark.parametrize("factor", [-0.97, -1.03])
@pytest.mark.parametrize("count", [100, 101, 999, 2 * CAPACITY])
def test_a_thinned_zigzag_is_a_zigzag(factor: float, count: int) -> None:
    """Of a curve that swings with every point, no swing leads from one side to the same one."""
    _, shown = grow(np.sign(factor) ** np.arange(count) * abs(factor) ** (np.arange(count) / 10), []).points(40)
    sides = np.sign(shown[1:-2])  # the ends are there in any case, and the last bucket may be odd
    assert 30 < len(shown) <= 40
    assert (sides[1:] == -sides[:-1]).all()


@given(st.lists(st.integers(1, 4000), max_size=20), st.integers(0, 19_999), st.integers(4, 500))
def test_a_long_curve_keeps_its_ends_and_its_spike(pieces: list[int], spike: int, at_most: int) -> None:
    values = np.sin(np.arange(20_000) / 50)
    values[spike] = 99.0
    steps, shown = grow(values, pieces).points(at_most)
    assert len(steps) <= at_most
    assert (np.diff(steps) >= 0).all()
    assert (steps[0], steps[-1]) == (0, 19_999)
    assert shown.max() == 99.0
    assert spike in steps
    assert np.array_equal(values[steps.astype(int)], shown)  # every point shown was logged


def test_every_bucket_keeps_its_minimum_and_maximum() -> None:
    values = np.random.default_rng(0).normal(size=50 * CAPACITY)
    steps, shown = grow(values, [777] * 60).points(2 * CAPACITY)
    for start in range(0, len(values), 256):
        bucket = values[start : start + 256]
        inside = shown[(steps >= start) & (steps < start + 256)]
        assert bucket.max() in inside
        assert bucket.min() in inside


def descent(count: int) -> np.ndarray:
    """w of a descent from 1 towards 2 that has come halfway after 2,300 updates."""
    return 2 - (1 - 3e-4) ** np.arange(1, count + 1)


@pytest.mark.parametrize("at_most", [600, 1999])
@pytest.mark.parametrize("count", [5000, 1_000_000])
def test_the_first_points_of_a_long_curve_are_all_drawn_on_a_logarithmic_axis(count: int, at_most: int) -> None:
    values = descent(count)
    steps, shown = grow(values, [13, 977]).points(at_most, log=True)
    assert len(steps) <= at_most
    assert steps[:198].tolist() == list(range(198))
    assert np.array_equal(values[steps.astype(int)], shown)
    assert (steps[0], steps[-1]) == (0, count - 1)


@pytest.mark.parametrize(("at_most", "error"), [(100, 0.05), (248, 0.015), (1999, 0.002)])
@pytest.mark.parametrize("count", [3000, 100_000, 1_000_000])
def test_a_curve_on_a_logarithmic_axis_is_the_true_one(count: int, at_most: int, error: float) -> None:
    """Straight lines between the points that are drawn are nowhere far from what was logged."""
    values = descent(count)
    steps, shown = grow(values, [1, 50, 10_000]).points(at_most, log=True)
    places = np.log(np.arange(count) + 1.0)
    assert np.abs(np.interp(places, np.log(steps + 1), shown) - values).max() < error
    assert np.diff(np.log(steps + 1)[steps > 100]).max() < 4 * np.log(count) / (at_most / 2)  # nor are there holes


def test_a_long_curve_that_rises_at_once_is_no_ramp_on_a_linear_axis() -> None:
    steps, shown = grow(2 - 0.9 ** np.arange(1_000_000.0), [1000] * 10).points(248)
    assert steps[np.argmax(shown > 1.99)] < 200  # of 8,000 in a bucket


@pytest.mark.parametrize("log", [False, True])
def test_a_swing_at_the_beginning_of_a_long_curve_looks_like_one(log: bool) -> None:
    values = (-0.999) ** np.arange(1_000_000.0)
    _, shown = grow(values, [7]).points(1000, log=log)
    sides = np.sign(shown[1:100])
    assert (sides[1:] == -sides[:-1]).all()


def test_steps_that_fall_or_repeat_begin_another_stroke() -> None:
    curve = Curve()
    curve.append(np.array([0.0, 1, 2, 1, 2, 3]), np.array([5.0, 5, 5, 1, 1, 1]))
    curve.append(np.array([3.0, 4]), np.array([7.0, 7]))
    curve.append(np.array([9.0]), np.array([8.0]))
    steps, values = curve.points(100)
    assert steps.tolist() == [0, 1, 2, 1, 1, 2, 3, 3, 3, 4, 9]  # a gap is where the next stroke begins
    assert np.array_equal(values, [5, 5, 5, np.nan, 1, 1, 1, np.nan, 7, 7, 8], equal_nan=True)


@given(
    st.lists(st.integers(1, 3000), min_size=1, max_size=12),
    st.lists(st.integers(1, 500), max_size=10),
    st.integers(60, 400),
    st.booleans(),
)
def test_no_bucket_holds_points_of_two_strokes(lengths: list[int], pieces: list[int], at_most: int, log: bool) -> None:
    """Each stroke, here of a value of its own, is shown from its first to its last step."""
    steps = np.concatenate([np.arange(length, dtype=float) for length in lengths])
    values = np.repeat(np.arange(len(lengths), dtype=float), lengths)
    curve, start = Curve(), 0
    for piece in [*pieces, len(steps)]:
        curve.append(steps[start : start + piece], values[start : start + piece])
        start += piece
    shown_steps, shown = curve.points(at_most, log=log)
    assert len(shown) <= at_most
    strokes = np.split(np.arange(len(shown)), np.flatnonzero(np.isnan(shown)))
    assert len(strokes) == len(lengths)
    for number, (places, length) in enumerate(zip(strokes, lengths, strict=True)):
        inside = places[number > 0 :]  # without the gap before it
        assert set(shown[inside]) == {number}
        assert (np.diff(shown_steps[inside]) > 0).all()
        assert (shown_steps[inside[0]], shown_steps[inside[-1]]) == (0, length - 1)


def test_many_short_strokes_are_shown_whole_where_there_is_room() -> None:
    values = np.arange(60.0)
    curve = Curve()
    curve.append(np.tile([0.0, 1.0], 30), values)
    assert set(curve.points(100)[1].tolist()) >= set(values.tolist())


@pytest.mark.parametrize("at_most", [10, 100, 2000])
def test_strokes_without_number_take_no_more_room(at_most: int) -> None:
    steps, values = np.tile(np.arange(5.0), 4000), np.random.default_rng(0).normal(size=20_000)
    curve = Curve()
    for start in range(0, len(steps), 777):
        curve.append(steps[start : start + 777], values[start : start + 777])
    shown = curve.points(at_most)[1]
    assert len(shown) <= at_most
    assert np.isnan(shown).sum() < MAX_STROKES
    assert at_most < 100 or np.nanmax(shown) == values.max()


def test_values_that_are_no_numbers_are_counted_and_left_out() -> None:
    curve = grow(np.array([1.0, np.nan, np.inf, MISSING, 2.0]), [2])
    assert curve.points(10)[1].tolist() == [1, 2]
    assert curve.not_finite == 2  # a missing value was never logged
    assert curve.last == (4, 2)


@given(st.lists(st.integers(1, 600), max_size=8), st.sampled_from([1, 2, 10, 500]))
def test_the_average_of_a_short_curve_is_the_exponential_one(pieces: list[int], span: int) -> None:
    values = np.random.default_rng(span).normal(size=1500)
    steps, averages = grow(values, pieces).averages(span, 5000)
    assert steps.tolist() == list(range(1500))
    share, expected = (span - 1) / (span + 1), values[0]
    for value, average in zip(values, averages, strict=True):
        expected = share * expected + (1 - share) * value
        assert average == pytest.approx(expected)


def test_the_average_of_a_long_curve_follows_its_means() -> None:
    values = np.random.default_rng(0).normal(size=100 * CAPACITY) + np.linspace(5, 0, 100 * CAPACITY)
    steps, averages = grow(values, [5000] * 20).averages(20_000, CAPACITY)
    assert len(steps) == len(averages) <= CAPACITY
    assert steps[-1] == len(values) - 1
    late = steps > 60_000  # an average lags by half its span
    assert np.abs(averages - (5 - 5 * (steps - 10_000) / len(values)))[late].max() < 0.05


def test_an_average_begins_anew_where_the_steps_do() -> None:
    curve = Curve()
    curve.append(np.array([0.0, 1, 2, 0, 1]), np.array([8.0, 8, 8, 2, 2]))
    steps, averages = curve.averages(10, 100)
    assert steps.tolist() == [0, 1, 2, 0, 0, 1]
    assert np.array_equal(averages, [8, 8, 8, np.nan, 2, 2], equal_nan=True)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("at_most", [50, 500])
def test_an_average_has_no_more_points_than_it_may_and_both_ends(at_most: int, log: bool) -> None:
    steps, averages = grow(descent(1_000_000), [999] * 3).averages(10, at_most, log=log)
    assert at_most / 2 < len(steps) == len(averages) <= at_most
    assert (np.diff(steps) > 0).all()
    assert steps[0] == 0 if log else steps[0] < 1000  # the end of the first bucket
    assert steps[-1] == 999_999
    assert averages[-1] == pytest.approx(2)


def test_what_is_far_away_from_the_first_value_is_counted() -> None:
    curve = grow(np.array([2.0, -3.0, 4 * FAR, 1.0, -3 * FAR]), [1, 2])
    assert (curve.far, curve.before_far) == (2, (-3, 2))
    assert grow(np.array([0.0, FAR / 2]), []).far == 0
    assert grow(np.array([0.0, 2 * FAR]), []).before_far == (0, 0)


def test_what_a_logarithmic_axis_cannot_show_is_counted() -> None:
    assert grow(np.array([1.0, 0.0, -2.0, np.nan, 3.0]), [2]).not_positive == 2


def test_the_extent_is_that_of_all_values() -> None:
    assert grow(np.array([5.0, -3.0, 4.0]), []).extent() == (-3, 5)
    assert Curve().extent() is None
    assert len(Curve().points(10)[0]) == 0


@pytest.mark.parametrize("at_most", [2, 3, 10, 1000])
def test_extremes_of_stored_values_are_kept(at_most: int) -> None:
    loss = np.random.default_rng(1).normal(size=5000)
    loss[[0, 1234]] = np.nan, 50.0
    kept = keep_extremes(np.arange(5000), loss, at_most)
    assert len(kept) <= at_most
    assert 0 not in kept
    assert at_most < 10 or 1234 in kept


def test_few_values_are_all_kept() -> None:
    assert keep_extremes(np.array([3, 9]), np.array([1.0, np.nan]), 2).tolist() == [0]
    assert keep_extremes(np.empty(0, int), np.empty(0), 2).tolist() == []


@given(st.integers(1, 300), st.integers(1, 3), st.integers(1, 64), st.integers(0, 2**32))
def test_extremes_of_every_bucket_and_metric(total: int, metrics: int, bucket: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    columns = random.normal(size=(total, metrics))
    columns[random.random(columns.shape) < 0.2] = np.nan
    columns[random.random(columns.shape) < 0.1] = np.inf
    kept = extremes_of_buckets(columns, bucket)
    assert {0, total - 1} <= set(kept.tolist())
    for start in range(0, total, bucket):
        inside = kept[(kept >= start) & (kept < start + bucket)]
        for column in columns.T:
            values = column[start : start + bucket]
            if np.isfinite(values).any():
                finite, shown = values[np.isfinite(values)], column[inside][np.isfinite(column[inside])]
                assert (shown.min(), shown.max()) == (finite.min(), finite.max())


def test_what_is_drawn_again_without_new_points_is_not_computed_again() -> None:
    curve = Curve()
    curve.append(np.arange(5000.0), np.sin(np.arange(5000.0)))
    for ask in (lambda: curve.points(100), lambda: curve.averages(10, 100)):
        before = ask()
        assert ask() is before
        curve.append(np.array([curve.last[0] + 1]), np.array([7.0]))  # type: ignore[index]
        assert ask() is not before
        assert ask()[0][-1] == curve.last[0]  # type: ignore[index]
