"""The linear model in torch."""

import math

import pytest
import torch

from tests.trainers.runs import column, predict, train
from trainers import METHODS, ParameterError
from trainers.linear import linear_model
from trainers.problem import TEXTBOOK, make_data


def test_the_reference_figures():
    last = train("torch", device="cpu")[-1]
    assert last["w"] == pytest.approx(1.7462902, abs=1e-4)
    assert last["b"] == pytest.approx(0.5767419, abs=1e-4)
    assert last["loss"] == pytest.approx(0.1452415, abs=1e-4)
    assert predict("torch", last) == pytest.approx(7.5619025, abs=1e-4)


def test_initial_is_the_seeded_layer():
    torch.manual_seed(5)
    layer = torch.nn.Linear(1, 1)
    initial = METHODS["torch"].initial(METHODS["torch"].params(seed=5))
    assert initial == {"w": layer.weight.item(), "b": layer.bias.item()}


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_loss_and_gradients_are_taken_before_the_update(reduction):
    method = METHODS["torch"]
    before = method.initial(method.params())
    total = 3 if reduction == "mean" else 1
    for point in train("torch", epochs=20, reduction=reduction):
        residuals = [(x, before["w"] * x + before["b"] - y) for x, y in TEXTBOOK.pairs()]
        assert point["loss"] == pytest.approx(sum(r * r for _, r in residuals) / total, rel=1e-4)
        assert point["grad"] == pytest.approx(sum(2 * x * r for x, r in residuals) / total, rel=1e-4, abs=1e-4)
        assert point["grad_b"] == pytest.approx(sum(2 * r for _, r in residuals) / total, rel=1e-4, abs=1e-4)
        assert point["w"] == pytest.approx(before["w"] - 0.01 * point["grad"], rel=1e-5)
        assert point["b"] == pytest.approx(before["b"] - 0.01 * point["grad_b"], rel=1e-5)
        before = point


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adagrad", "rmsprop", "adamax", "asgd", "rprop"])
def test_every_optimizer_lowers_the_loss(optimizer):
    losses = column(train("torch", optimizer=optimizer), "loss")
    assert losses[-1] < losses[0] * 0.9
    assert math.isfinite(losses[-1])


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_largest_stable_learning_rate(reduction):
    method = METHODS["torch"]
    limit = method.lr_limit(method.params(reduction=reduction), TEXTBOOK)
    below, above = (train("torch", reduction=reduction, epochs=400, lr=factor * limit) for factor in (0.95, 1.05))
    assert below[-1]["loss"] < below[0]["loss"] / 10
    assert above[-1]["loss"] > above[0]["loss"] * 10
    assert method.lr_limit(method.params(optimizer="adam"), TEXTBOOK) is None


def test_numbers_beyond_float32_diverge_and_do_not_fail():
    last = train("torch", make_data([1e100] * 100, [1e100] * 100), epochs=2)[-1]
    assert not math.isfinite(last["loss"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_said():
    with pytest.raises(ParameterError, match="no CUDA GPU") as refusal:
        train("torch", device="cuda")
    assert refusal.value.field == "device"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_the_gpu_computes_the_same():
    here, there = (train("torch", device=device) for device in ("cpu", "cuda"))
    assert column(here, "w") == pytest.approx(column(there, "w"), abs=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 42, 123_456_789, 2**31, 2**32 - 1])
def test_the_initial_model_is_that_of_torch_to_the_last_bit(seed):
    method = METHODS["torch"]
    model = linear_model(seed)
    assert method.initial(method.params(seed=seed)) == {"w": model.weight.item(), "b": model.bias.item()}
