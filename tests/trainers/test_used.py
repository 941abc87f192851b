"""The samples that a step is said to look at are those that it looked at."""

from __future__ import annotations

from typing import Any

import pytest

from trainers import METHODS
from trainers.problem import make_data

X = [0.5, 1.0, 1.5, 2.0, 2.5]
Y = [1.0, 5.0, 2.0, 7.0, 3.0]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sgd", {"order": "random", "seed": 3}),
        ("sgd", {"order": "sequential"}),
        ("minibatch", {"order": "random", "seed": 3, "batch_size": 2}),
        ("minibatch", {"order": "sequential", "batch_size": 3}),
        ("autograd", {}),
    ],
)
def test_the_gradient_is_that_of_the_samples_used(method: str, params: dict[str, Any]) -> None:
    chosen = METHODS[method]
    p = chosen.params.model_validate({"lr": 0.01, "epochs": 2000, **params})
    assert chosen.samples_used is not None
    w = chosen.initial(p)["w"]
    for step, (after, _, grad, *_) in enumerate(chosen.train(make_data(X, Y), p)):
        if step % 997 < 12:  # also far beyond the first block of random numbers
            used = chosen.samples_used(p, len(X), step)
            assert grad == pytest.approx(
                sum(2 * X[i] * (X[i] * w - Y[i]) for i in used) / len(used), rel=1e-4, abs=1e-5
            )
        w = after


@pytest.mark.parametrize("method", ["sgd", "minibatch"])
def test_the_samples_of_a_very_late_step_are_told_only_where_none_are_drawn_again(method: str) -> None:
    chosen = METHODS[method]
    assert chosen.samples_used is not None
    random, sequential = (chosen.params.model_validate({"order": order}) for order in ("random", "sequential"))
    assert chosen.samples_used(random, 5, 9_000_000) is None
    assert chosen.samples_used(sequential, 5, 9_000_000) is not None
