"""What counts as an explosion, and that every method counts its work alike."""

import numpy as np
import pytest

from trainers import METHODS
from trainers.problem import TEXTBOOK, make_data
from trainers.theory.explosion import cost_scale, is_explosion, mean_squared_error


def scale(name, data=TEXTBOOK, **params):
    method = METHODS[name]
    return cost_scale(method, method.params(**params), data)


def test_the_scale_is_the_larger_of_where_it_began_and_of_what_is_to_be_learnt():
    assert scale("gd", w0=-1) == pytest.approx(42)  # (1 + 4 + 9) / 3 times 3²
    assert scale("gd", w0=2) == pytest.approx(56 / 3)  # at the minimum: the mean of 4, 16 and 36
    assert scale("gd", make_data([1, 2], [0, 0]), w0=0) == 0
    assert scale("sweep") is None


def test_the_scale_of_a_line_has_its_bias():
    start = METHODS["torch"].initial(METHODS["torch"].params(seed=3))
    x, y = TEXTBOOK.arrays()
    assert scale("torch", seed=3) == pytest.approx(max(np.mean((start["w"] * x + start["b"] - y) ** 2), np.mean(y * y)))


def test_an_explosion_is_a_thousand_times_the_scale():
    assert not is_explosion(1000.0, 1.0)
    assert is_explosion(1000.1, 1.0)
    assert is_explosion(float("nan"), 1.0)
    assert not is_explosion(0.0, 0.0)  # at the minimum for ever


def test_the_cost_of_a_line_over_many_samples():
    x = np.linspace(-1, 1, 70_000)
    assert mean_squared_error(make_data(x, 3 * x + 1), {"w": 3.0, "b": 3.0}) == pytest.approx(4)


@pytest.mark.parametrize(
    ("name", "params", "after"),
    [
        ("gd", {}, [0, 5, 10, 15, 20]),
        ("backprop", {}, [0, 5, 10, 15, 20]),
        ("torch", {}, [0, 5, 10, 15, 20]),
        ("sgd", {}, [0, 1, 2, 3, 4]),
        ("autograd", {}, [0, 1, 2, 3, 4]),
        ("minibatch", {"batch_size": 2}, [0, 2, 4, 5, 7]),  # an epoch's third batch has one sample only
        ("minibatch", {"batch_size": 5}, [0, 5, 10, 15, 20]),
        ("sweep", {}, [0, 5, 10, 15, 20]),
    ],
)
def test_work_is_counted_in_gradients_of_single_samples(name, params, after):
    method = METHODS[name]
    counted = method.evaluations(method.params(**params), 5, np.arange(5.0))
    assert counted.tolist() == after


def test_the_loss_of_torch_is_a_sum_or_a_mean():
    torch = METHODS["torch"]
    assert [torch.mean_per_loss(torch.params(reduction=one), 4) for one in ("sum", "mean")] == [0.25, 1]
