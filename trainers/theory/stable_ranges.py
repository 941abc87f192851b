"""The learning rates at which a round of updates with different curvatures comes closer to its solution."""

from collections.abc import Callable

import numpy as np

from trainers.problem import FloatArray

MOST_CURVATURES = 200  # the work grows with their square: 0.1 s here
NARROW = 1e-3  # of its own lr: a stable range smaller than this cannot be aimed at
_HALVINGS = 90

type Slope = Callable[[FloatArray], FloatArray]


def stable_ranges(curvatures: FloatArray, counts: np.ndarray) -> list[tuple[float, float]] | None:
    """Every range of lr > 0 with |Π (1 - lr c)^count| < 1, ascending, the first from 0; None for too many curvatures.

    `curvatures` ascend and are positive. The size's logarithm, Σ count log|1 - lr c|, falls to -∞ at each lr = 1 / c
    and is concave in between: it rises once to a peak and falls again, so that each gap has no crossing of 0 or two,
    and beyond the largest 1 / c there is exactly one. Ranges narrower than NARROW are left out after the first.
    """
    if len(curvatures) > MOST_CURVATURES:
        return None
    roots = 1 / curvatures[::-1]

    def height(lr: FloatArray) -> FloatArray:
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
    peak = _last_positive(slope, low, high)
    unstable = height(peak) > 0
    low, peak, high = low[unstable], peak[unstable], high[unstable]
    ups = [*_last_positive(lambda lr: -height(lr), low, peak)]
    downs = [*_last_positive(height, peak, high)]
    ups += [*_last_positive(lambda lr: -height(lr), roots[-1:], 2 * roots[-1:])]  # at 2 / c all factors are beyond 1
    ranges = list(zip([0.0, *map(float, downs)], map(float, ups), strict=True))
    return [ranges[0], *((start, end) for start, end in ranges[1:] if end - start > NARROW * start)]


def _last_positive(function: Slope, low: FloatArray, high: FloatArray) -> FloatArray:
    """Between each `low` and `high`, where the function falls through 0. It is positive just above `low`."""
    for _ in range(_HALVINGS):
        middle = np.sqrt(low) * np.sqrt(high)  # the ends may be a hundred powers of ten apart
        positive = function(middle) > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return high
