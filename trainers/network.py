"""The two-layer linear network y_hat = W2 (W1 x + b1) + b2: its forward and backward pass, node by node."""

import math

import numpy as np

from trainers.problem import BLOCK, Data, FloatArray, blocks

PARAMETERS = ("w1", "b1", "w2", "b2")

type Nodes = dict[str, FloatArray]
"""One array per node of the graph: (hidden, samples) in the hidden layer, (samples,) after it."""


def loss_and_gradient(theta: FloatArray, data: Data) -> tuple[float, FloatArray]:
    """The mean loss of all samples, and its gradient in the order of theta."""
    loss, total = 0.0, np.zeros_like(theta)
    for x, y in blocks(data, samples_per_block(theta)):
        values = forward(theta, x, y)
        gradients = backward(values)
        loss += float(values["loss"].sum())
        total += np.concatenate([gradients[name] for name in PARAMETERS]).sum(axis=1)
    return loss / len(data), total / len(data)


def forward(theta: FloatArray, x: FloatArray, y: FloatArray) -> Nodes:
    """The value of every node, for samples x and y of shape (samples,)."""
    w1, b1, w2, b2 = layers(theta)
    m1 = w1 * x  # multiply
    h = m1 + b1  # add
    m2 = w2 * h  # multiply
    s = m2.sum(axis=0)  # add
    y_hat = s + b2  # add
    r = y_hat - y  # subtract
    loss = r * r  # square
    return {
        "x": x, "y": y, "w1": w1, "b1": b1, "w2": w2, "b2": b2,
        "m1": m1, "h": h, "m2": m2, "s": s, "y_hat": y_hat, "r": r, "loss": loss,
    }  # fmt: skip


def backward(values: Nodes) -> Nodes:
    """The gradient of each sample's loss by every node: the chain rule, from the loss back to the start."""
    r = 2 * values["r"]  # square: d(r²) = 2 r dr
    y_hat = r  # subtract: hands its gradient on
    s = b2 = y_hat  # add: hands its gradient on to both
    m2 = s  # add: the same for every hidden unit
    w2, h = m2 * values["h"], m2 * values["w2"]  # multiply: to each its gradient times the other
    m1 = b1 = h  # add
    w1 = m1 * values["x"]  # multiply
    return {
        "w1": w1, "b1": b1, "w2": w2, "b2": b2[np.newaxis],
        "m1": m1, "h": h, "m2": m2, "s": s, "y_hat": y_hat, "r": r,
    }  # fmt: skip


def layers(theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """W1, b1 and W2, each of shape (hidden, 1), and b2, of shape (1,), as views of theta."""
    w1, b1, w2 = theta[:-1].reshape(3, -1, 1)
    return w1, b1, w2, theta[-1:]


def line(theta: FloatArray) -> tuple[float, float]:
    """The network's slope W2 W1 and intercept W2 b1 + b2: layers of a linear network make a line again."""
    w1, b1, w2 = theta[:-1].reshape(3, -1)
    return float(w2 @ w1), float(w2 @ b1 + theta[-1])


def samples_per_block(theta: FloatArray) -> int:
    """So many that the arrays of one pass, (hidden, samples) each, stay in the processor's cache."""
    return max(1, 2 * BLOCK // len(theta))


def initial_parameters(hidden: int, seed: int) -> FloatArray:
    """Random weights and zero biases.

    The weights are uniform within ±sqrt(6 / (inputs + outputs)), after Glorot and Bengio (2010),
    "Understanding the difficulty of training deep feedforward neural networks", equation 16: the more
    hidden units there are, the smaller each weight, so that the same learning rate suits every size.
    """
    rng = np.random.default_rng(seed)
    bound = math.sqrt(6 / (1 + hidden))
    w1, w2 = rng.uniform(-bound, bound, (2, hidden))
    return np.concatenate([w1, np.zeros(hidden), w2, np.zeros(1)])


def parameter_names(hidden: int) -> tuple[str, ...]:
    """The names of theta's numbers, in its order: w1_1, w1_2, …, b1_1, …, w2_1, …, b2."""
    layered = [f"{name}_{unit}" for name in ("w1", "b1", "w2") for unit in range(1, hidden + 1)]
    return (*layered, "b2")


def curvature_at(theta: FloatArray, data: Data) -> float:
    """The largest eigenvalue of the cost's second derivative by all parameters, at theta.

    The cost depends on them through the line w = W2 W1, b = W2 b1 + b2 only, so by the chain rule it is
    Jᵀ H J + g_w ∇²w + g_b ∇²b with the line's own second derivative H and gradient g.
    """
    w1, b1, w2 = theta[:-1].reshape(3, -1)
    hidden = len(w1)
    w, b = line(theta)
    x, y = data.arrays()
    zeros, unit = np.zeros(hidden), np.eye(hidden)
    with np.errstate(over="ignore", invalid="ignore"):
        residual = w * x + b - y
        g_w, g_b = 2 * float((residual * x).mean()), 2 * float(residual.mean())
        bend = 2 * np.array([[float((x * x).mean()), float(x.mean())], [float(x.mean()), 1.0]])
        jacobian = np.array([[*w2, *zeros, *w1, 0.0], [*zeros, *w2, *b1, 1.0]])
        second = jacobian.T @ bend @ jacobian
        for rows, gradient in ((slice(0, hidden), g_w), (slice(hidden, 2 * hidden), g_b)):
            second[rows, 2 * hidden : 3 * hidden] += gradient * unit
            second[2 * hidden : 3 * hidden, rows] += gradient * unit
    return float(np.linalg.eigvalsh(second)[-1]) if np.all(np.isfinite(second)) else math.inf
