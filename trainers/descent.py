"""Gradient descent on one weight: batch, mini-batch and stochastic."""

from collections.abc import Iterator
from itertools import cycle, islice, repeat
from typing import Literal

import numpy as np
from pydantic import Field

from trainers import formulas
from trainers.method import Method
from trainers.params import OneWeightParams, ParameterError, WholeNumber, seed_field
from trainers.problem import Data, cost, cost_and_gradient, updates_per_mse
from trainers.theory.stability import (
    Stability,
    batch_stability,
    cyclic_stability,
    largest_curvature,
    random_stability,
    sample_curvatures,
)

DRAWS = 4096  # random numbers per call of numpy's generator: a call takes as long as 20 updates on three samples
MAX_REDRAWS = 1_000_000  # random numbers that are drawn again to find the samples of a step: at most 30 ms


class SgdParams(OneWeightParams):
    """The parameters of gradient descent, and the order of the samples."""

    order: Literal["random", "sequential"] = Field(
        default="random",
        title="Order",
        description="random: each update draws one sample, any of them. sequential: one after the other.",
    )
    seed: WholeNumber = seed_field("Where the random draws start. The same seed draws the same samples.")


class MinibatchParams(OneWeightParams):
    """The parameters of gradient descent, and how the samples are grouped into batches."""

    batch_size: WholeNumber = Field(
        default=2,
        ge=1,
        le=1_000_000_000,
        title="Batch size",
        description="Samples per update, at most as many as there are. An epoch's last batch may be short.",
    )
    order: Literal["random", "sequential"] = Field(
        default="random",
        title="Order",
        description="random: the samples are shuffled before each epoch. sequential: they stay as they are.",
    )
    seed: WholeNumber = seed_field("Where the shuffling starts. The same seed makes the same batches.")


def gd(data: Data, p: OneWeightParams) -> Iterator[tuple[float, float, float]]:
    """Batch gradient descent: every update looks at all samples."""
    w = p.w0
    for _ in range(p.epochs):
        loss, grad = cost_and_gradient(data, w)
        w -= p.lr * grad
        yield w, loss, grad


def sgd(data: Data, p: SgdParams) -> Iterator[tuple[float, float, float, float | None]]:
    """Stochastic gradient descent: every update looks at one sample."""
    w = p.w0
    n = len(data)
    mse_every = updates_per_mse(n, per_epoch=n)
    updates = islice(samples(data, p.order, p.seed), p.epochs * n)
    for step, (x, y) in enumerate(updates, start=1):
        residual = x * w - y
        loss = residual * residual
        grad = 2 * x * residual
        w -= p.lr * grad
        yield w, loss, grad, cost(data, w) if step % mse_every == 0 else None


def minibatch(data: Data, p: MinibatchParams) -> Iterator[tuple[float, float, float, float | None]]:
    """Mini-batch gradient descent: every update looks at a few samples."""
    w = p.w0
    n = len(data)
    per_epoch = batches_per_epoch(p, n)
    mse_every = updates_per_mse(n, per_epoch)
    updates = islice(batches(data, p.batch_size, p.order, p.seed), p.epochs * per_epoch)
    for step, batch in enumerate(updates, start=1):
        loss, grad = cost_and_gradient(batch, w)
        w -= p.lr * grad
        yield w, loss, grad, cost(data, w) if step % mse_every == 0 else None


def samples(data: Data, order: str, seed: int) -> Iterator[tuple[float, float]]:
    """Samples without end: drawn at random, each time from all of them, or one after the other."""
    if order == "sequential":
        yield from cycle(data.pairs())
    x, y = data.arrays()
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.integers(len(x), size=DRAWS)
        yield from zip(x[drawn].tolist(), y[drawn].tolist(), strict=True)


def batches(data: Data, size: int, order: str, seed: int) -> Iterator[Data]:
    """Batches without end, epoch after epoch; the last one of an epoch may be short."""
    n = len(data)
    x, y = data.arrays()
    for shuffled in shuffles(n, seed) if order == "random" else repeat(np.arange(n)):
        xs, ys = x[shuffled], y[shuffled]
        for start in range(0, n, size):
            yield Data.of(xs[start : start + size], ys[start : start + size])


def shuffles(n: int, seed: int) -> Iterator[np.ndarray]:
    """The numbers 0 to n - 1 in a new random order, again and again."""
    rng = np.random.default_rng(seed)
    rows = max(1, DRAWS // n)
    while True:
        yield from rng.permuted(np.tile(np.arange(n), (rows, 1)), axis=1)


def sample_of_step(p: SgdParams, n: int, step: int) -> np.ndarray | None:
    """The number, from 0, of the sample that a step of sgd uses, as an array of shape (1,).

    None where more than MAX_REDRAWS random numbers come before it.
    """
    if p.order == "sequential":
        return np.array([step % n])
    if step > MAX_REDRAWS:
        return None
    rng = np.random.default_rng(p.seed)
    for _ in range(step // DRAWS + 1):
        drawn = rng.integers(n, size=DRAWS)
    return drawn[[step % DRAWS]]


def batch_of_step(p: MinibatchParams, n: int, step: int) -> np.ndarray | None:
    """The numbers, from 0, of the samples in the batch of a step, of shape (batch size,) or shorter.

    None where more than MAX_REDRAWS random numbers come before it.
    """
    epoch, batch = divmod(step, batches_per_epoch(p, n))
    if p.order == "random" and epoch * n > MAX_REDRAWS:
        return None
    shuffled = np.arange(n) if p.order == "sequential" else next(islice(shuffles(n, p.seed), epoch, None))
    return shuffled[batch * p.batch_size : (batch + 1) * p.batch_size]


def batches_per_epoch(p: MinibatchParams, n: int) -> int:
    """N / B, rounded up."""
    return -(-n // p.batch_size)


def _batch_fits(p: MinibatchParams, n: int) -> None:
    if p.batch_size > n:
        raise ParameterError(
            "batch_size",
            f"batch_size {p.batch_size} is more than the {n} samples there are: send 1 to {n}",
            "more_than_samples",
            value=p.batch_size,
            samples=n,
        )


def _sgd_stability(p: SgdParams, data: Data) -> Stability:
    if p.order == "random":
        return random_stability(data, "Each update draws its sample at random")
    return cyclic_stability(sample_curvatures(data))


def _minibatch_stability(p: MinibatchParams, data: Data) -> Stability:
    if p.batch_size == len(data):
        return batch_stability(largest_curvature(data))
    if p.batch_size > 1 and p.order == "random":
        return random_stability(data, "Each epoch cuts the data into other batches")
    # A product does not depend on the order of its factors: batches of one may be shuffled.
    starts = np.arange(0, len(data), p.batch_size)
    sizes = np.diff(np.append(starts, len(data)))
    return cyclic_stability(np.add.reduceat(sample_curvatures(data), starts) / sizes)


GD = Method(
    name="gd",
    title="Gradient descent",
    kind="descent",
    description=(
        "Walks down the cost curve: each epoch takes the slope over all samples and makes one update against it."
    ),
    formula=formulas.GD,
    params=OneWeightParams,
    train=gd,
    metrics=lambda _p: ("w", "loss", "grad"),
    initial=lambda p: {"w": p.w0},
    updates_per_epoch=lambda _p, _n: 1,
    update_line="w -= p.lr * grad",
    listing=(cost_and_gradient,),
    loss_scale=lambda _p, _n: 1.0,
    one_parameter=True,
    stability=lambda _p, data: batch_stability(largest_curvature(data)),
)

SGD = Method(
    name="sgd",
    title="Stochastic gradient descent",
    kind="descent",
    description=(
        "Updates after every single sample. The noise helps to leave saddle points, "
        "but the updates must follow one another and cannot be computed together."
    ),
    formula=formulas.SGD,
    params=SgdParams,
    train=sgd,
    metrics=lambda _p: ("w", "loss", "grad", "mse"),
    initial=lambda p: {"w": p.w0},
    updates_per_epoch=lambda _p, n: n,
    samples_per_update=lambda _p, _n: 1,
    samples_used=sample_of_step,
    update_line="w -= p.lr * grad",
    listing=(samples, cost),
    one_parameter=True,
    stability=_sgd_stability,
)

MINIBATCH = Method(
    name="minibatch",
    title="Mini-batch gradient descent",
    kind="descent",
    description=(
        "Updates after every few samples: less noise than one sample at a time, "
        "more updates than all of them at once. The usual compromise."
    ),
    formula=formulas.MINIBATCH,
    params=MinibatchParams,
    train=minibatch,
    metrics=lambda _p: ("w", "loss", "grad", "mse"),
    initial=lambda p: {"w": p.w0},
    updates_per_epoch=batches_per_epoch,
    samples_per_update=lambda p, _n: p.batch_size,
    samples_used=batch_of_step,
    update_line="w -= p.lr * grad",
    listing=(batches, shuffles, cost_and_gradient, cost),
    one_parameter=True,
    rules=_batch_fits,
    stability=_minibatch_stability,
)
