"""How large a learning rate may be: for the page's scale, and to explain why a run diverged."""

import math
from typing import Literal

from trainers.problem import Data


def largest_curvature(data: Data, *, bias: bool = False, reduction: Literal["sum", "mean"] = "mean") -> float:
    """The largest eigenvalue of the cost's second derivative, H = (2/N) XᵀX (for a sum: 2 XᵀX).

    Without a bias X is the column x, with one it has a second column of ones. For a quadratic cost,
    batch gradient descent converges for 0 < lr < 2 / this, and goes fastest along that direction at 1 / this.
    """
    x, _ = data.arrays()
    squares = float(x @ x)
    if bias:
        total, n = float(x.sum()), len(data)
        squares = (squares + n) / 2 + math.hypot((squares - n) / 2, total)
    return 2 * squares / (len(data) if reduction == "mean" else 1)


def lr_limit(curvature: float) -> float | None:
    """The learning rate from which on batch gradient descent no longer converges; None on a flat cost."""
    return 2 / curvature if curvature and math.isfinite(2 / curvature) else None


def sequential_factor(data: Data, lr: float) -> float:
    """Π (1 - 2 lr x²): what one epoch of sequential SGD multiplies the distance to an exact fit by.

    It converges, on data that has an exact fit, while this is below 1 in size.
    """
    factor = 1.0
    for x in data.x:
        factor *= 1 - 2 * lr * float(x) * float(x)
    return factor
