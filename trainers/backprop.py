"""A two-layer linear network, y_hat = W2 (W1 x + b1) + b2, trained with backpropagation."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
from pydantic import Field

from trainers import formulas
from trainers.graph import computational_graph
from trainers.method import Method, Point
from trainers.network import (
    backward,
    curvature_at,
    forward,
    initial_parameters,
    layers,
    line,
    loss_and_gradient,
    parameter_names,
)
from trainers.numbers import short
from trainers.params import LearningParams, WholeNumber, seed_field
from trainers.problem import Data
from trainers.theory.stability import Stability


class BackpropParams(LearningParams):
    """The parameters of gradient descent, and the size of the hidden layer."""

    hidden: WholeNumber = Field(
        default=2, ge=1, le=64, title="Hidden units", description="How many nodes the hidden layer has."
    )
    seed: WholeNumber = seed_field("Where the random initial weights come from.")


def backprop(data: Data, p: BackpropParams) -> Iterator[Point]:
    """Batch gradient descent on a two-layer network: forward pass, backward pass, update."""
    theta = initial_parameters(p.hidden, p.seed)  # all of W1, b1, W2 and b2 in one row
    for _ in range(p.epochs):
        with np.errstate(over="ignore", invalid="ignore"):  # inf and nan are passed on, without a warning
            loss, gradient = loss_and_gradient(theta, data)
            theta -= p.lr * gradient
            w, b = line(theta)
            length = math.sqrt(gradient @ gradient)
        yield w, loss, length, b, *theta.tolist()


def _initial(p: BackpropParams) -> dict[str, float]:
    theta = initial_parameters(p.hidden, p.seed)
    w, b = line(theta)
    return {"w": w, "b": b, **dict(zip(parameter_names(p.hidden), theta.tolist(), strict=True))}


def _gradient(values: Mapping[str, float], by_w: float, by_b: float) -> dict[str, float]:
    """Its length, by all weights: the cost depends on them through the line w = W2 W1, b = W2 b1 + b2."""
    hidden = sum(name.startswith("w1_") for name in values)
    w1, b1, w2 = np.array([values[name] for name in parameter_names(hidden)][:-1]).reshape(3, -1)
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = np.concatenate([by_w * w2, by_b * w2, by_w * w1 + by_b * b1, [by_b]])
        return {"grad": math.sqrt(gradient @ gradient)}


def _stability(p: BackpropParams, data: Data) -> Stability:
    note = "With two layers the cost is no parabola: its curvature changes as the weights move, and no one limit holds."
    curvature = curvature_at(initial_parameters(p.hidden, p.seed), data)
    if not 0 < curvature < math.inf:
        return Stability(note)
    note += f" At the start it is {short(curvature, 3)} along the steepest direction."
    return Stability(note, curvature=curvature)


BACKPROP = Method(
    name="backprop",
    title="Backpropagation",
    kind="descent",
    description=(
        "A two-layer linear network, with the forward and the backward pass written out node by node: "
        "the chain rule hands the gradient from the loss back to every weight."
    ),
    formula=formulas.BACKPROP,
    params=BackpropParams,
    train=backprop,
    metrics=lambda p: ("w", "loss", "grad", "b", *parameter_names(p.hidden)),
    initial=_initial,
    updates_per_epoch=lambda _p, _n: 1,
    graph=computational_graph,
    update_line="theta -= p.lr * gradient",
    listing=(loss_and_gradient, forward, backward, layers, line, initial_parameters),
    loss_scale=lambda _p, _n: 1.0,
    gradient=_gradient,
    stability=_stability,
)
