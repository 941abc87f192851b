"""What counts as an explosion: a descent that ends far above where it began."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainers.method import Method
from trainers.params import Params
from trainers.problem import Data, blocks, cost

EXPLOSION_FACTOR = 1000.0
"""A cost of so many times the scale, and more, has exploded."""


def cost_scale(method: Method[Any], params: Params, data: Data) -> float | None:
    """The larger of the cost before the first update and the mean of y²; None for a search, which cannot explode.

    The mean of y² is the cost of a model that always says 0: a run that begins at the minimum has a scale, too.
    """
    if method.kind != "descent":
        return None
    return max(mean_squared_error(data, method.initial(params)), mean_squared_error(data, {"w": 0.0}))


def is_explosion(final_cost: float, scale: float) -> bool:
    """Whether a cost over all data is above EXPLOSION_FACTOR times the scale, or NaN."""
    return not final_cost <= EXPLOSION_FACTOR * scale  # negated: a comparison with NaN is false


def mean_squared_error(data: Data, values: Mapping[str, float]) -> float:
    """The cost over all data of the model's "w" and "b", which is 0 where it has none: (1/N) Σ (w x + b - y)²."""
    w, b = values["w"], values.get("b", 0.0)
    if not b:
        return cost(data, w)
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # inf and nan are passed on, without a warning
        for x, y in blocks(data):
            residual = w * x + b - y
            total += float(residual @ residual)
    return total / len(data)
