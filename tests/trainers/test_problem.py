"""Data, the cost and its gradient, and the parabola they make."""

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers import ParameterError
from trainers.problem import (
    SHORT,
    TEXTBOOK,
    Data,
    Parabola,
    cost,
    cost_and_gradient,
    make_data,
    sample_losses,
)

values = st.floats(-100, 100).map(lambda v: round(v, 3))
samples = st.lists(st.tuples(values, values), min_size=1, max_size=3 * SHORT)


def test_textbook_figures_to_the_last_digit():
    assert cost(TEXTBOOK, 0.0) == cost(TEXTBOOK, 4.0) == 18.666666666666668
    assert cost(TEXTBOOK, 1.0) == 4.666666666666667
    assert cost(TEXTBOOK, 2.0) == 0.0
    assert cost_and_gradient(TEXTBOOK, 1.0) == (cost(TEXTBOOK, 1.0), -28 / 3)


def test_short_data_is_python_floats_and_long_data_is_arrays():
    short, long = make_data(range(SHORT), range(SHORT)), make_data(range(SHORT + 1), range(SHORT + 1))
    assert isinstance(short.x, tuple)
    assert all(type(v) is float for v in (*short.x, *short.y))
    assert isinstance(long.x, np.ndarray)
    assert long.x.dtype == long.y.dtype == np.float64
    assert len(long) == SHORT + 1


@given(samples, values)
def test_cost_and_gradient_are_the_same_for_short_and_long_data(rows, w):
    x, y = zip(*rows, strict=True)
    loop = [(xi * w - yi, xi) for xi, yi in rows]
    expected_cost = math.fsum(r * r for r, _ in loop) / len(rows)
    expected_gradient = math.fsum(2 * xi * r for r, xi in loop) / len(rows)
    size = math.fsum(abs(2 * xi * r) for r, xi in loop) / len(rows)
    found_cost, found_gradient = cost_and_gradient(make_data(x, y), w)
    assert found_cost == pytest.approx(expected_cost, rel=1e-12)
    assert found_gradient == pytest.approx(expected_gradient, rel=1e-12, abs=1e-12 * size)
    assert type(found_cost) is type(found_gradient) is float


def test_long_data_is_summed_over_all_blocks():
    x = np.linspace(-1, 1, 100_003)
    data = make_data(x, 3 * x + 1)
    residual = x * 0.5 - (3 * x + 1)
    assert cost(data, 0.5) == pytest.approx(np.mean(residual**2), rel=1e-12)
    assert cost_and_gradient(data, 0.5)[1] == pytest.approx(np.mean(2 * x * residual), rel=1e-12)


def test_overflow_is_passed_on_without_a_warning():
    for n in (3, 100):
        data = make_data([1e100] * n, [0.0] * n)
        assert cost(data, 1e100) == math.inf


@pytest.mark.parametrize(
    ("x", "y", "field"),
    [
        ([], [], "x"),
        ([1, 2], [1], "y"),
        ([1, math.nan], [1, 2], "x"),
        ([1, 2], [1, math.inf], "y"),
        ([1.1e100], [1], "x"),
        (["1"], [1], "x"),
        ([True], [1], "x"),
        ([[1], [2]], [1, 2], "x"),
        ([[1], [2, 3]], [1, 2], "x"),
        ([1], [None], "y"),
        ([10**400], [1], "x"),
        (3, [1], "x"),
    ],
)
def test_bad_data_is_refused_by_name(x, y, field):
    with pytest.raises(ParameterError) as refusal:
        make_data(x, y)
    assert refusal.value.field == field
    assert field in refusal.value.message


def test_the_largest_data_is_taken():
    assert make_data([1e100, -1e100], [0, 1e100]).x == (1e100, -1e100)


def test_data_goes_to_another_process():
    assert pickle.loads(pickle.dumps(TEXTBOOK)) == TEXTBOOK  # noqa: S301 - our own


def test_the_arrays_given_are_not_shared():
    x = np.ones(100)
    data = make_data(x, x)
    x[0] = 5
    assert data.x[0] == 1


def test_sample_losses():
    assert sample_losses(TEXTBOOK, 1.0) == [(1.0, 2.0, 1.0, 1.0), (2.0, 4.0, 2.0, 4.0), (3.0, 6.0, 3.0, 9.0)]
    assert sample_losses(TEXTBOOK, 1.0, b=1.0)[0] == (1.0, 2.0, 2.0, 0.0)
    assert len(sample_losses(make_data(range(200), range(200)), 1.0)) == 100


def test_parabola_of_the_textbook():
    parabola = Parabola.of(TEXTBOOK)
    assert (parabola.w_star, parabola.minimum) == (2.0, 0.0)
    assert parabola.curvature == pytest.approx(28 / 3, rel=1e-15)
    # Far below where the sum of squares would lose its digits.
    assert parabola.cost(2.0 + 1e-12) == pytest.approx(14 / 3 * 1e-24, rel=1e-3)


@given(samples, values)
def test_parabola_is_the_cost(rows, w):
    data = make_data(*zip(*rows, strict=True))
    parabola = Parabola.of(data)
    scale = cost(data, 0.0) + parabola.curvature * w * w
    assert parabola.cost(w) == pytest.approx(cost(data, w), rel=1e-9, abs=1e-12 * scale)
    assert parabola.minimum <= cost(data, w) + 1e-12 * scale
    assert parabola.gradient(w) == pytest.approx(cost_and_gradient(data, w)[1], rel=1e-9, abs=1e-10 * (1 + scale))


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-100, 1e100])
def test_parabola_of_data_of_any_size(size):
    parabola = Parabola.of(make_data([size, 2 * size / 4], [1e100, -1e100]))
    for value in (parabola.w_star, parabola.minimum, parabola.curvature, parabola.cost(parabola.w_star)):
        assert math.isfinite(value)


def test_parabola_is_flat_where_all_x_are_zero():
    for n in (2, 200):
        parabola = Parabola.of(make_data([0.0] * n, [3.0] * n))
        assert parabola == Parabola(w_star=0.0, minimum=9.0, curvature=0.0)
        assert parabola.cost(1e100) == 9.0
        assert parabola.gradient(1e100) == 0.0


def test_data_of_chooses_the_form():
    assert Data.of(np.array([1.0]), np.array([2.0])) == make_data([1], [2])
