"""The theory of the learning rate, against runs just below and just above what it says."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.runs import column, train
from trainers import METHODS
from trainers.network import curvature_at, initial_parameters, loss_and_gradient
from trainers.problem import TEXTBOOK, Data, make_data
from trainers.theory.stability import contraction, sample_curvatures
from trainers.theory.stable_ranges import MAX_CURVATURES

EXACT = make_data([0.5, -1.0, 1.5, 2.0], [1.0, -2.0, 3.0, 4.0])


def theory(name: str, data: Data = TEXTBOOK, **params):
    method = METHODS[name]
    return method.stability(method.params(**params), data)


@pytest.mark.parametrize("data", [TEXTBOOK, EXACT], ids=["textbook", "four samples"])
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("gd", {}),
        ("sgd", {"order": "sequential"}),
        ("autograd", {}),
        ("minibatch", {"order": "sequential"}),
        ("minibatch", {"batch_size": 1}),
        ("torch", {}),
        ("torch", {"reduction": "mean"}),
    ],
)
def test_below_the_limit_it_converges_and_above_it_does_not(name, params, data):
    limit = theory(name, data, **params).lr_limit
    losses = {side: column(train(name, data, lr=side * limit, epochs=400, **params), "loss") for side in (0.97, 1.03)}
    n = len(losses[0.97]) // 400
    assert max(losses[0.97][-n:]) < max(losses[0.97][:n])
    assert not max(losses[1.03][-n:]) < 10 * max(losses[1.03][:n])


def test_a_whole_batch_is_gradient_descent():
    assert theory("minibatch", batch_size=3).lr_limit == theory("gd").lr_limit == pytest.approx(3 / 14)


def test_the_textbooks_zones():
    found = theory("gd")
    assert (found.curvature, found.lr_best) == (pytest.approx(28 / 3), pytest.approx(3 / 28))
    assert [zone.name for zone in found.zones] == ["slow", "good", "oscillating", "diverging"]
    assert found.zones[0].end == pytest.approx(0.01 * 3 / 28)
    assert [zone.end for zone in found.zones[1:]] == [found.lr_best, found.lr_limit, None]


@pytest.mark.parametrize("part", [0.9, 1.1])
def test_the_slow_zone_ends_where_a_step_takes_away_one_percent(part):
    for name, params in (("gd", {}), ("autograd", {}), ("minibatch", {"order": "sequential"})):
        found = theory(name, **params)
        updates = len(found.curvatures)
        left = abs(found.factor(part * found.zones[0].end)) ** (1 / updates)
        assert left == pytest.approx(1 - part * 0.01, rel=1e-4)


def test_sequential_sgd_settles_again_beyond_its_limit():
    zones = theory("sgd", order="sequential").zones
    assert [zone.name for zone in zones] == ["slow", "good", "oscillating", "diverging", "oscillating", "diverging"]
    assert zones[4].start < 0.5 < zones[4].end  # at 0.5 the first sample's update lands on w = 2 exactly
    for lr, settles in ((0.5, True), (0.3, False), (zones[4].start * 1.01, True), (zones[4].end * 1.01, False)):
        w = train("sgd", order="sequential", lr=lr, epochs=2000)[-1]["w"]
        assert (abs(w - 2) < 1) == settles, lr


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=8), st.floats(1e-4, 1e2))
@settings(max_examples=200)
def test_the_zones_are_those_of_the_product(xs, lr):
    found = theory("sgd", make_data(xs, xs), order="sequential")
    assert found.zones[0].start == 0
    assert [zone.end for zone in found.zones[:-1]] == [zone.start for zone in found.zones[1:]]
    zone = next(zone for zone in found.zones if zone.end is None or lr < zone.end)
    near_edge = any(
        math.isclose(lr, z.start, rel_tol=2e-3) or math.isclose(lr, z.end or 0, rel_tol=2e-3) for z in [zone]
    )
    size = abs(found.factor(lr))
    if not near_edge and not any(math.isclose(lr, 1 / c, rel_tol=2e-3) for c in found.curvatures):
        assert (size < 1) == (zone.name != "diverging")


def test_data_without_an_exact_fit_settles_on_a_cycle_below_the_limit():
    data = make_data([1.0, 2.0, 3.0], [2.5, 3.0, 6.5])
    limit = theory("autograd", data).lr_limit
    below = column(train("autograd", data, lr=0.9 * limit, epochs=500), "w")
    assert below[-3:] == pytest.approx(below[-6:-3], rel=1e-4)


@pytest.mark.parametrize(
    ("name", "params"),
    [("sgd", {}), ("minibatch", {}), ("torch", {"optimizer": "adam"}), ("backprop", {}), ("sweep", {})],
)
def test_where_theory_has_no_limit_none_is_invented(name, params):
    found = theory(name, **params)
    assert (found.lr_limit, found.lr_best, found.zones) == (None, None, ())
    assert found.note.endswith(".")


def test_draws_that_all_see_the_same_have_a_limit():
    same = make_data([2.0, -2.0], [4.0, -4.0])
    assert theory("sgd", same).lr_limit == theory("gd", same).lr_limit == 0.25
    assert theory("sgd", make_data([2.0], [4.0])).lr_limit == 0.25


def test_below_what_is_called_safe_no_draw_diverges():
    assert "1/max x² = 0.111" in theory("sgd").note
    for seed in range(5):
        w = column(train("sgd", lr=0.11, seed=seed, w0=50.0), "w")
        assert all(abs(after - 2) <= abs(before - 2) + 1e-9 for before, after in itertools.pairwise(w))


def test_the_curvature_of_the_two_layers_is_the_gradients_slope():
    theta = initial_parameters(3, seed=2) + 0.1
    step = 1e-5
    rows = [
        (loss_and_gradient(theta + step * e, TEXTBOOK)[1] - loss_and_gradient(theta - step * e, TEXTBOOK)[1])
        / (2 * step)
        for e in np.eye(len(theta))
    ]
    assert curvature_at(theta, TEXTBOOK) == pytest.approx(np.linalg.eigvalsh(rows)[-1], rel=1e-6)


def test_flat_and_extreme_data_is_no_failure():
    for xs in ([0.0, 0.0], [1e-200] * 2):
        for name in ("gd", "autograd", "sgd", "torch"):
            found = theory(name, make_data(xs, [1.0, 2.0]))
            if name != "torch":
                assert (found.lr_limit, found.zones) == (None, ())
    for xs in ([1e100] * 3, [1e-200, 1e100], [0.0, 1.0, 2.0], [1e-160, 1.0], [1e-150, 1e100, 1.0], [5e-324, 1.0]):
        for name, method in METHODS.items():
            found = method.stability(method.params(), make_data(xs, xs))
            numbers = [found.lr_limit, found.lr_best, *(zone.start for zone in found.zones)]
            assert all(number is None or math.isfinite(number) for number in numbers), name


def test_too_many_different_samples_have_no_limit_but_a_safe_rate():
    data = make_data(np.linspace(1, 2, MAX_CURVATURES + 1), np.zeros(MAX_CURVATURES + 1))
    found = theory("autograd", data)
    assert (found.lr_limit, found.zones) == (None, ())
    assert "Below 0.25 it surely settles" in found.note


def test_a_product_of_many_factors_neither_overflows_nor_loses_its_sign():
    many = make_data([10.0] * 999 + [0.0], [0.0] * 1000)
    assert contraction(sample_curvatures(many), 1.0) == -math.inf
    assert contraction(sample_curvatures(many), 0.005) == 0.0
    assert contraction(np.array([4.0]), 0.5) == pytest.approx(-1.0)
