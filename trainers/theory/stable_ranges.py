"""The learning rates at which a cycle of updates with different curvatures converges."""

from collections.abc import Callable

import numpy as np

from trainers.problem import FloatArray

MAX_CURVATURES = 200  # different ones; the time grows with their square, to 0.1 s here
MIN_RELATIVE_WIDTH = 1e-3  # of a stable range, relative to its start: a narrower one is of no practical use
_BISECTIONS = 90

type Function = Callable[[FloatArray], FloatArray]


def stable_ranges(curvatures: FloatArray, counts: np.ndarray) -> list[tuple[float, float]] | None:
    """Every range of lr > 0 with |Π (1 - lr c)^count| < 1, ascending, the first from 0; None for too many curvatures.

    `curvatures`, of shape (n,), ascend and are positive. The logarithm of the product, Σ count log|1 - lr c|, is -∞ at
    each lr = 1 / c and concave between them: each gap has one maximum, and either no zero or two; above the largest
    1 / c there is exactly one zero. Ranges narrower than MIN_RELATIVE_WIDTH are left out after the first.
    """
    if len(curvatures) > MAX_CURVATURES:
        return None
    roots = 1 / curvatures[::-1]

    def log_factor(lr: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", over="ignore"):
            products = np.minimum(lr[:, np.newaxis] * curvatures, 1e300)  # so that none is infinite
            logs = np.log(np.abs(1 - products))
        total: FloatArray = (counts * logs).sum(axis=1)
        return total

    def slope(lr: FloatArray) -> FloatArray:
        with np.errstate(divide="ignore", over="ignore"):
            total: FloatArray = (counts / (lr[:, np.newaxis] - 1 / curvatures)).sum(axis=1)
        return total

    low, high = roots[:-1], roots[1:]
    apart = high > low * (1 + 1e-9)  # nearly equal roots have nothing between them
    low, high = low[apart], high[apart]
    peak = _falling_zero(slope, low, high)
    unstable = log_factor(peak) > 0
    low, peak, high = low[unstable], peak[unstable], high[unstable]
    ups = [*_falling_zero(lambda lr: -log_factor(lr), low, peak)]
    downs = [*_falling_zero(log_factor, peak, high)]
    ups += [*_falling_zero(lambda lr: -log_factor(lr), roots[-1:], 2 * roots[-1:])]  # at 2 / c all factors are above 1
    ranges = list(zip([0.0, *map(float, downs)], map(float, ups), strict=True))
    return [ranges[0], *((start, end) for start, end in ranges[1:] if end - start > MIN_RELATIVE_WIDTH * start)]


def _falling_zero(function: Function, low: FloatArray, high: FloatArray) -> FloatArray:
    """The zero of a function between each `low` and `high`, by bisection: it is positive above `low`, then negative."""
    for _ in range(_BISECTIONS):
        middle = np.sqrt(low) * np.sqrt(high)  # the geometric mean: they may differ by a hundred decades
        positive = function(middle) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return high
