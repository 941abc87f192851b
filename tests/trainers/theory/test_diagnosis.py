"""Why a run does what it does: the sentence, and that the run does what it says."""

import pytest

from tests.trainers.runs import train
from trainers import METHODS
from trainers.problem import TEXTBOOK, make_data
from trainers.theory.diagnosis import why


def reason(name, status="running", step=None, data=TEXTBOOK, overflowed=True, **params):
    method = METHODS[name]
    return why(method, method.params(**params), data, status, step, overflowed=overflowed)


def test_above_the_limit():
    assert reason("gd", lr=0.3) == (
        "lr 0.3 is above 2/λ = 0.214: each step overshoots the minimum and lands 1.8 times as far away."
    )
    first, second = train("gd", lr=0.3, epochs=2)
    assert (second["w"] - 2) / (first["w"] - 2) == pytest.approx(-1.8)


def test_between_the_best_and_the_limit():
    assert reason("gd", lr=0.2) == (
        "lr 0.2 is between 1/λ = 0.107 and 2/λ = 0.214: each step overshoots the minimum, "
        "but lands only 0.867 times as far away."
    )


def test_at_the_limit():
    assert "is 2/λ, the limit" in reason("gd", lr=3 / 14)


def test_so_close_to_the_limit_that_more_digits_are_needed():
    assert "lr 0.2143 is above 2/λ = 0.21429" in reason("gd", lr=0.2143)
    assert "1.0001 times" in reason("gd", lr=0.2143)


def test_too_slow():
    assert "takes away only 0.093 %" in reason("gd", lr=0.0001)
    first, second = train("gd", lr=0.0001, epochs=2)
    assert 1 - (second["w"] - 2) / (first["w"] - 2) == pytest.approx(0.00093, rel=0.01)


@pytest.mark.parametrize("lr", [0.01, 0.05, 0.1, 3 / 28])
def test_nothing_is_wrong(lr):
    assert reason("gd", lr=lr) is None


def test_a_valley_is_walked_slowly_where_it_is_flat():
    assert "across it, where the cost bends with 0.721 only, each step takes away 0.72 %" in reason("torch", lr=0.01)
    assert "along the steepest direction each step overshoots" in reason("torch", lr=0.07)


def test_a_valley_that_is_flat_is_not_called_slow():
    one_x = make_data([2, 2, 2], [1, 2, 9])
    assert reason("torch", lr=0.01, data=one_x) is None
    assert "each step overshoots the minimum" in reason("torch", lr=0.05, data=one_x)
    assert train("torch", data=one_x, lr=0.01, epochs=50)[-1]["loss"] == pytest.approx(38)


@pytest.mark.parametrize(
    ("lr", "words"),
    [
        (0.3, "land Π|1 − lr·c| = 2.46 times as far away"),
        (0.5, "so near to 1/c of one of them"),
        (0.2, "an epoch still lands only 0.936 times as far away"),
        (0.001, "takes away only 0.94 %"),
    ],
)
def test_the_updates_of_an_epoch(lr, words):
    assert words in reason("sgd", order="sequential", lr=lr)
    assert reason("autograd", lr=0.01) is None


def test_without_a_limit_only_what_was_seen():
    for name in ("sgd", "minibatch", "backprop"):
        assert reason(name, lr=0.5) is None
        assert "went beyond 1e150 after 13 updates" in reason(name, "diverged", 12, lr=0.5)
    assert "steps land further away from lr 0.0406 on" in reason("backprop", "diverged", 3, lr=0.5)
    assert "before the first update was done" in reason("sgd", "diverged", None, lr=0.5)


def test_numbers_too_large_for_a_stable_rate():
    huge = make_data([1e80, 2e80], [1e80, 2e80])
    assert "too large to be calculated with" in reason("gd", "diverged", 0, huge, lr=1e-161, w0=1e90)


def test_what_ended_far_above_where_it_began_is_not_said_to_be_beyond_all_numbers():
    assert "lands 1.8 times as far away" in reason("gd", "diverged", 99, overflowed=False, lr=0.3)
    assert reason("sgd", "diverged", 99, overflowed=False, lr=0.5) == (
        "With lr 0.5 the updates led away from the minimum. Theory has no limit to compare that with; a smaller lr "
        "takes smaller steps."
    )
    assert reason("gd", "diverged", 99, overflowed=False, lr=0.01) == (
        "lr 0.01 is stable here (the limit is 0.214): what drove w away came before, such as a larger learning rate."
    )


def test_a_rate_is_told_as_it_was_given():
    assert reason("gd", lr=0.21999).startswith("lr 0.21999 is above 2/λ = 0.214: ")
    assert reason("gd", lr=1e-5).startswith("lr 1e-5 is far below ")


def test_a_sweep_has_no_learning_rate():
    assert reason("sweep", "diverged", 3) is None
