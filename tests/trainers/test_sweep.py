"""Exhaustive search."""

import pytest

from tests.trainers.runs import column, train
from trainers import METHODS, ParameterError
from trainers.problem import TEXTBOOK, cost


def count(**params):
    method = METHODS["sweep"]
    chosen = method.params(**params)
    method.check(chosen, 3)
    return method.total_steps(chosen, 3)


def test_the_textbook_sweep():
    points = train("sweep")
    assert len(points) == 41
    assert points[0] == {"w": 0.0, "loss": 18.666666666666668}
    assert points[-1] == {"w": 4.0, "loss": 18.666666666666668}
    assert min(points, key=lambda point: point["loss"]) == {"w": 2.0, "loss": 0.0}
    assert column(points, "loss") == [cost(TEXTBOOK, w) for w in column(points, "w")]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"w_stop": 0.3}, 4),  # 0.3 / 0.1 is 2.9999999999999996
        ({"w_start": -1.0, "w_stop": 1.0, "w_step": 0.1}, 21),
        ({"w_stop": 0.35}, 4),
        ({"w_stop": 0.0}, 1),
        ({"w_start": 1e100, "w_stop": 1e100}, 1),
        ({"w_start": -1e100, "w_stop": 1e100, "w_step": 1e100}, 3),
        ({"w_stop": 999_999.0, "w_step": 1.0}, 1_000_000),
        ({"w_stop": 1.0, "w_step": 1e100}, 1),
    ],
)
def test_the_last_candidate_is_included_to_rounding(params, expected):
    assert count(**params) == expected


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"w_start": 1.0, "w_stop": 0.0}, "w_stop"),
        ({"w_stop": 1_000_000.0, "w_step": 1.0}, "w_step"),
        ({"w_step": 5e-324}, "w_step"),
        ({"w_start": -1e100, "w_stop": 1e100}, "w_step"),
        ({"w_start": 1e16, "w_stop": 1e16 + 4, "w_step": 1.0}, "w_step"),
    ],
)
def test_what_is_no_range_of_candidates_is_refused(params, field):
    with pytest.raises(ParameterError) as refusal:
        count(**params)
    assert refusal.value.field == field
    assert "send" in refusal.value.message


def test_the_refusal_names_a_step_that_is_taken():
    with pytest.raises(ParameterError) as refusal:
        count(w_stop=1.0, w_step=1e-9)
    step = float(refusal.value.message.split("at least ")[1].split(",")[0])
    assert count(w_stop=1.0, w_step=step) <= 1_000_000
