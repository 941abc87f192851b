"""The computational graph of the two-layer network, with the value and the gradient of every node."""

from collections.abc import Mapping

import numpy as np

from trainers.method import Node
from trainers.network import Nodes, backward, forward, parameter_names, samples_per_block
from trainers.params import ParameterError
from trainers.problem import Data, FloatArray, blocks

# Every kind of node, in topological order: its operation and its inputs.
KINDS = {
    "x": ("input", ()),
    "y": ("input", ()),
    "w1": ("parameter", ()),
    "b1": ("parameter", ()),
    "w2": ("parameter", ()),
    "b2": ("parameter", ()),
    "m1": ("multiply", ("w1", "x")),
    "h": ("add", ("m1", "b1")),
    "m2": ("multiply", ("w2", "h")),
    "s": ("add", ("m2",)),
    "y_hat": ("add", ("s", "b2")),
    "r": ("subtract", ("y_hat", "y")),
    "loss": ("square", ("r",)),
}
PER_UNIT = {"w1", "b1", "w2", "m1", "h", "m2"}  # one node for each hidden unit


def computational_graph(values: Mapping[str, float], data: Data, sample: int | None = None) -> list[Node]:
    """All nodes, inputs before what is made of them, for given parameters.

    `values` holds w1_1, …, b1_1, …, w2_1, …, b2, as a point of the backprop method does. With a `sample`,
    counted from 0, the values and gradients are that sample's; without, they are means over all samples,
    and so those of the parameters are the gradient that the update uses.
    Raises ParameterError if there is no such sample.
    """
    hidden = sum(name.startswith("w1_") for name in values)
    theta = np.array([values[name] for name in parameter_names(hidden)])
    if sample is not None:
        if not 0 <= sample < len(data):
            raise ParameterError("sample", f"there is no sample {sample}: send 0 to {len(data) - 1}")
        x, y = data.arrays()
        data = Data.of(x[sample : sample + 1], y[sample : sample + 1])
    means, mean_gradients = _means(theta, data)
    return [
        Node(name, KINDS[kind][0], _inputs(kind, name, hidden), float(value), float(gradient))
        for kind in KINDS
        for name, value, gradient in zip(_names(kind, hidden), means[kind], mean_gradients[kind], strict=True)
    ]


def _means(theta: FloatArray, data: Data) -> tuple[Nodes, Nodes]:
    """The values and the gradients of all nodes, each an array of (hidden,) or (1,): means over the samples."""
    hidden = len(theta) // 3
    shapes = {kind: hidden if kind in PER_UNIT else 1 for kind in KINDS}
    means = {kind: np.zeros(units) for kind, units in shapes.items()}
    mean_gradients = {kind: np.zeros(units) for kind, units in shapes.items()}
    with np.errstate(over="ignore", invalid="ignore"):
        for x, y in blocks(data, samples_per_block(theta)):
            values = forward(theta, x, y)
            gradients = backward(values)
            gradients["x"] = (gradients["m1"] * values["w1"]).sum(axis=0)
            gradients["y"] = -gradients["r"]
            gradients["loss"] = np.ones_like(x)
            for kind, units in shapes.items():
                every = (units, len(x))  # a parameter is the same for each sample, some gradients for each unit
                means[kind] += np.broadcast_to(values[kind], every).sum(axis=1) / len(data)
                mean_gradients[kind] += np.broadcast_to(gradients[kind], every).sum(axis=1) / len(data)
    return means, mean_gradients


def _names(kind: str, hidden: int) -> list[str]:
    return [f"{kind}_{unit}" for unit in range(1, hidden + 1)] if kind in PER_UNIT else [kind]


def _inputs(kind: str, name: str, hidden: int) -> tuple[str, ...]:
    """The names of a node's inputs: those of its own hidden unit, or, for the sum s, of all units."""
    if kind == "s":
        return tuple(_names("m2", hidden))
    unit = name.removeprefix(kind)
    return tuple(before + unit if before in PER_UNIT else before for before in KINDS[kind][1])
