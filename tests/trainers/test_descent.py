"""Gradient descent on one weight: the textbook's figures, and the methods against each other and torch."""

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.runs import column, predict, train
from trainers import METHODS
from trainers.descent import batches, samples
from trainers.problem import TEXTBOOK, cost, cost_and_gradient, make_data
from trainers.theory.stability import contraction, largest_curvature, lr_limit, sample_curvatures

values = st.floats(-10, 10).map(lambda v: round(v, 3))
some_data = st.lists(st.tuples(values, values), min_size=1, max_size=80).map(
    lambda rows: make_data(*zip(*rows, strict=True))
)


def test_gd_prints_what_the_textbook_prints():
    points = train("gd")
    assert METHODS["gd"].predict(METHODS["gd"].initial(METHODS["gd"].params()), 4) == 4.0
    assert points[0] == {"w": 1.0933333333333333, "loss": 4.666666666666667, "grad": -28 / 3}
    assert points[99]["loss"] == 1.752432687141379e-08
    assert points[99]["w"] == 1.9999444396553017
    assert predict("gd", points[99]) == 7.999777758621207


def test_gd_is_the_textbooks_loop_to_the_bit():
    xs, ys = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]
    w = 1.0
    for point in train("gd", epochs=200):
        loss = grad = 0
        for x, y in zip(xs, ys, strict=True):
            loss += (x * w - y) ** 2
            grad += 2 * x * (x * w - y)
        loss, grad = loss / len(xs), grad / len(xs)
        w = w - 0.01 * grad
        assert point == {"w": w, "loss": loss, "grad": grad}


@pytest.mark.parametrize("name", ["gd", "sgd", "minibatch", "autograd"])
def test_loss_and_gradient_are_taken_before_the_update(name):
    extra = {"order": "sequential"} if name == "sgd" else {}
    w = 1.0
    for i, point in enumerate(train(name, epochs=5, **extra)):
        if name in {"sgd", "autograd"}:
            x, y = TEXTBOOK.pairs()[i % 3]
            assert point["loss"] == pytest.approx((x * w - y) ** 2, rel=1e-4)
            assert point["grad"] == pytest.approx(2 * x * (x * w - y), rel=1e-4)
        if name == "gd":
            assert (point["loss"], point["grad"]) == cost_and_gradient(TEXTBOOK, w)
        if "mse" in point:
            assert point["mse"] == cost(TEXTBOOK, point["w"])
        assert point["w"] == pytest.approx(w - 0.01 * point["grad"], rel=1e-6)
        w = point["w"]


def test_sequential_sgd():
    points = train("sgd", order="sequential")
    assert len(points) == 300
    assert points[-1]["w"] == 1.9999999999999236
    assert points[-1]["loss"] == pytest.approx(7.82747233205549e-26, rel=1e-12)


def test_random_sgd_draws_every_sample_about_equally_often_with_replacement():
    data = make_data([0, 1, 2, 3], [0, 1, 2, 3])
    drawn = [x for x, _ in islice(samples(data, "random", seed=3), 40_000)]
    counts = np.bincount(np.array(drawn, dtype=int))
    assert counts.sum() == 40_000
    assert abs(counts - 10_000).max() < 500
    assert any(len(set(drawn[i : i + 4])) < 4 for i in range(0, 400, 4))


@pytest.mark.parametrize(
    ("n", "size"),
    [(n, size) for n in (1, 3, 5, 64, 65, 5000) for size in (1, 2, 3, 64, 65, 5000) if size <= n],
)
@pytest.mark.parametrize("order", ["random", "sequential"])
def test_the_batches_of_an_epoch_are_all_of_the_data(n, order, size):
    data = make_data(range(n), range(0, 2 * n, 2))
    per_epoch = METHODS["minibatch"].updates_per_epoch(METHODS["minibatch"].params(batch_size=size), n)
    found = batches(data, size, order, seed=1)
    for _ in range(2):
        epoch = list(islice(found, per_epoch))
        assert {len(batch) for batch in epoch[:-1]} <= {size}
        pairs = [pair for batch in epoch for pair in batch.pairs()]
        assert sorted(pairs) == data.pairs()
        if order == "sequential":
            assert pairs == data.pairs()
        elif n > 5:  # fewer may by chance come out as they were
            assert pairs != data.pairs()


def test_every_epoch_is_shuffled_anew():
    data = make_data(range(10), range(10))
    orders = {tuple(batch.x) for batch in islice(batches(data, 10, "random", seed=0), 1000)}
    assert len(orders) > 990


@given(some_data)
@settings(max_examples=50)
def test_minibatch_of_all_samples_is_gd(data):
    lr = 0.001
    ours = train("minibatch", data, batch_size=len(data), epochs=10, lr=lr)
    theirs = train("gd", data, epochs=10, lr=lr)
    scale = cost(data, 0.0) + 1
    for metric in ("w", "loss", "grad"):
        assert column(ours, metric) == pytest.approx(column(theirs, metric), rel=1e-9, abs=1e-12 * scale)


@given(some_data, values)
@settings(max_examples=100)
def test_gradients_equal_torchs(data, w0):
    w = torch.tensor(w0, dtype=torch.float64, requires_grad=True)
    x, y = (torch.tensor(v, dtype=torch.float64) for v in data.arrays())
    loss = torch.mean((x * w - y) ** 2)
    loss.backward()
    scale = float(torch.mean(torch.abs(x * x * w0) + torch.abs(x * y)))
    first = train("gd", data, w0=w0, epochs=1)[0]
    assert first["loss"] == pytest.approx(loss.item(), rel=1e-6)
    assert first["grad"] == pytest.approx(w.grad.item(), rel=1e-6, abs=1e-12 * scale)
    first = train("sgd", data, w0=w0, epochs=1, order="sequential")[0]
    (theirs,) = torch.autograd.grad((x[0] * w - y[0]) ** 2, w)
    assert first["grad"] == pytest.approx(theirs.item(), rel=1e-6, abs=1e-12 * scale)


def test_autograd_prints_what_the_textbook_prints():
    points = train("autograd")
    assert len(points) == 300
    assert points[-1]["w"] == 1.9999996423721313
    assert points[-1]["loss"] == 9.094947017729282e-13
    theirs = train("sgd", order="sequential")
    assert column(points, "w") == pytest.approx(column(theirs, "w"), rel=1e-6)


def test_at_the_limit_w_alternates_for_ever():
    limit = lr_limit(largest_curvature(TEXTBOOK))
    assert limit == pytest.approx(3 / 14)
    assert METHODS["gd"].lr_limit(METHODS["gd"].params(), TEXTBOOK) == limit
    w = column(train("gd", lr=3 / 14, epochs=50), "w")
    assert w[0::2] == pytest.approx([3.0] * 25)
    assert w[1::2] == pytest.approx([1.0] * 25)


def test_below_the_limit_it_converges_and_above_it_does_not():
    assert abs(train("gd", lr=0.99 * 3 / 14, epochs=2000)[-1]["w"] - 2) < 1e-9
    assert abs(train("gd", lr=1.01 * 3 / 14, epochs=2000)[-1]["w"] - 2) > 1e9
    assert abs(train("gd", lr=0.3, epochs=50)[-1]["w"]) > 1e12


def test_half_the_limit_is_there_in_one_step():
    assert train("gd", lr=3 / 28, epochs=1)[0]["w"] == pytest.approx(2.0, rel=1e-15)


@given(st.floats(0.001, 0.3))
@settings(max_examples=30)
def test_the_factor_of_an_epoch_of_sequential_sgd(lr):
    w = train("sgd", order="sequential", lr=lr, epochs=1)[-1]["w"]
    assert w - 2 == pytest.approx(-contraction(sample_curvatures(TEXTBOOK), lr), rel=1e-9, abs=1e-12)


def test_the_largest_curvature_with_a_bias():
    design = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    largest = np.linalg.eigvalsh(2 * design.T @ design).max()
    assert largest_curvature(TEXTBOOK, bias=True, reduction="sum") == pytest.approx(largest)
    assert largest_curvature(TEXTBOOK, bias=True) == pytest.approx(largest / 3)
    assert lr_limit(largest_curvature(make_data([0.0], [1.0]))) is None
