"""The cost over w and b, against the cost of the samples one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers.problem import make_data
from trainers.theory.cost_surface import CostSurface

numbers = st.floats(-100, 100).map(lambda v: round(v, 3))


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20), numbers, numbers)
def test_it_is_the_mean_squared_error(rows, w, b):
    x, y = np.array(rows).T
    expected = float(np.mean((w * x + b - y) ** 2))
    assert CostSurface.of(make_data(x, y)).cost(w, b) == pytest.approx(expected, rel=1e-7, abs=1e-7)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20, unique_by=lambda row: row[0]))
def test_its_minimum_is_the_least_squares_line(rows):
    x, y = np.array(rows).T
    w, b = np.linalg.lstsq(np.column_stack([x, np.ones_like(x)]), y, rcond=None)[0]
    surface = CostSurface.of(make_data(x, y))
    assert surface.cost(surface.w_star, surface.b_star) == pytest.approx(surface.minimum)
    assert surface.minimum <= np.mean((w * x + b - y) ** 2) * (1 + 1e-9) + 1e-9


def test_equal_x_leave_a_valley():
    surface = CostSurface.of(make_data([2.0, 2.0], [1.0, 3.0]))
    assert surface.spread == 0
    assert surface.cost(0.0, 2.0) == surface.cost(1.0, 0.0) == surface.minimum == 1.0


def test_arrays_and_large_numbers():
    surface = CostSurface.of(make_data([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]))
    assert surface.above_minimum(np.array([2.0, 0.0]), np.array([0.0, 0.0])) == pytest.approx([0.0, 56 / 3])
    huge = CostSurface.of(make_data([1e100, -1e100], [1e100, 1e100]))
    assert huge.spread == pytest.approx(1e200)
