"""For which learning rates a method converges: limits, and zones for the page's scale.

Where the loss is quadratic with curvature (second derivative) c, an update multiplies the distance to its minimum by
1 - lr c, and a cycle of updates by the product Π (1 - lr c). The distance shrinks while |Π (1 - lr c)| < 1; for one
curvature that is lr < 2 / c (Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 4.3).
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from trainers.numbers import short
from trainers.problem import Data, FloatArray
from trainers.theory.stable_ranges import stable_ranges

MIN_REDUCTION = 0.01  # of the distance to the minimum: an update that removes less is slow

type ZoneName = Literal["slow", "good", "oscillating", "diverging"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A range of learning rates, from `start` up to `end` (None: infinity), with the same behaviour.

    slow: an update removes less than 1 % of the distance to the minimum. good: more, and no update overshoots.
    oscillating: some update overshoots, but a cycle of updates shrinks the distance. diverging: it does not.
    """

    name: ZoneName
    start: float
    end: float | None


@dataclass(frozen=True, eq=False)
class Stability:
    """What theory says of a method's learning rate on some data.

    curvatures: of shape (updates of a cycle,), the curvature of each update's loss along the steepest direction; empty
    where the updates do not repeat, and so have no limit.
    curvature: the largest of them; where there is no limit, the largest at the start, or None.
    shallowest: with two parameters, the curvature along the other direction.
    lr_limit: the learning rate from which on the method diverges. lr_best: the largest at which no update overshoots.
    lr_sure: where there is no limit, a rate below which the method surely does not diverge, if one is known.
    """

    note: str
    curvatures: FloatArray = field(default_factory=lambda: np.empty(0), repr=False)
    curvature: float | None = None
    shallowest: float | None = None
    lr_limit: float | None = None
    lr_best: float | None = None
    zones: tuple[Zone, ...] = ()
    lr_sure: float | None = None

    @property
    def lr_scale(self) -> float | None:
        """About where the learning rates that matter lie on this data: what a scale of them should show."""
        if self.lr_limit is not None or self.lr_sure is not None:
            return self.lr_limit or self.lr_sure
        return lr_limit(self.curvature) if self.curvature else None

    def factor(self, lr: float) -> float:
        """Π (1 - lr c): the factor by which a cycle of updates multiplies the distance to the solution."""
        return contraction(self.curvatures, lr)


def batch_stability(curvature: float, note: str = "", shallowest: float | None = None) -> Stability:
    """The stability of batch gradient descent, whose updates have one curvature λ: lr_limit is 2 / λ, lr_best 1 / λ.

    With several parameters λ is the largest eigenvalue of the cost's Hessian, and the limits hold along its
    eigenvector (Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 4.3.1).
    """
    limit = lr_limit(curvature)
    if limit is None:
        return Stability("The cost is the same for every w here: no learning rate moves it.")
    best = limit / 2
    said = (
        f"λ = {short(curvature, 3)} is the curvature of the cost. Below 2/λ = {short(limit, 3)} every step comes "
        f"closer to the minimum, and 1/λ = {short(best, 3)} gets there at once; above the limit every step lands "
        "further away."
    )
    zones = _zones(MIN_REDUCTION / curvature, best, [(0.0, limit)])
    return Stability(note or said, np.array([curvature]), curvature, shallowest, limit, best, zones)


def cyclic_stability(curvatures: FloatArray) -> Stability:
    """The stability of updates whose curvatures, of shape (updates,), repeat in every cycle: sequential SGD's epochs.

    |Π (1 - lr c)| may be below 1 again above the first limit, near lr = 1 / c of some sample: `zones` has these ranges
    too, except those narrower than 1/1000 of their lr. Data that no line through the origin fits exactly has no common
    minimum of all updates: the distance is then that to the limit cycle of weights.
    """
    distinct, counts = np.unique(curvatures[_has_limit(curvatures)], return_counts=True)
    if len(distinct) < 2:
        return batch_stability(float(distinct[0]) if len(distinct) else 0.0)
    largest = float(distinct[-1])
    ranges = stable_ranges(distinct, counts)
    if ranges is None:
        note = (
            f"With {len(distinct):,} different samples the limit is not worked out. Below {short(2 / largest, 3)} it "
            "surely settles, as there no single update lands further away than it was."
        )
        return Stability(note, curvatures, largest)
    limit, best = ranges[0][1], 1 / largest
    note = (
        f"An epoch multiplies the distance to the solution by Π(1 − lr·c), with the curvatures c of its updates. "
        f"Below {short(limit, 3)} that is less than 1; from {short(best, 3)} on the update with the largest c, "
        f"{short(largest, 3)}, overshoots."
    )
    if len(ranges) > 1:
        islands = ", ".join(f"{short(low, 3)} to {short(high, 3)}" for low, high in ranges[1:4])
        note += f" Beyond the limit it settles again from {islands}{' and elsewhere' if len(ranges) > 4 else ''}."
    slow = slow_limit(distinct, counts, len(curvatures))
    return Stability(note, curvatures, largest, None, limit, best, _zones(slow, best, ranges))


def random_stability(data: Data, what: str) -> Stability:
    """The stability of updates on random samples: no limit, but a note of a learning rate that is stable.

    `what` says what is random: the beginning of a sentence.
    """
    curvatures = sample_curvatures(data)
    largest = float(curvatures.max())
    if np.all(curvatures == largest):  # every draw has the same curvature
        return batch_stability(largest)
    safe = lr_limit(largest)  # below it every update comes closer to the minimum of its own samples
    sure = f"Surely stable below 1/max x² = {short(safe, 3)}. " if safe else ""
    return Stability(f"{sure}{what}: theory has no limit to give.", lr_sure=safe)


def largest_curvature(data: Data, *, bias: bool = False, reduction: Literal["sum", "mean"] = "mean") -> float:
    """The largest eigenvalue of the cost's Hessian, H = (2/N) XᵀX (for a sum: 2 XᵀX).

    X is the column x, with a bias also a column of ones. On a quadratic cost batch gradient descent converges for
    0 < lr < 2 / this, and along that eigenvector fastest at 1 / this.
    """
    x, _ = data.arrays()
    squares = float(x @ x)
    if bias:
        total, n = float(x.sum()), len(data)
        squares = (squares + n) / 2 + math.hypot((squares - n) / 2, total)
    return 2 * squares / (len(data) if reduction == "mean" else 1)


def smallest_curvature(data: Data, *, reduction: Literal["sum", "mean"] = "mean") -> float:
    """The smaller eigenvalue of the Hessian with a bias: the determinant, 4 N Σ (x - mean)² of a sum, by the larger."""
    x, _ = data.arrays()
    n = len(data)
    scale = 1 / n if reduction == "mean" else 1.0
    spread = x - x.mean()
    return 4 * scale * scale * n * float(spread @ spread) / largest_curvature(data, bias=True, reduction=reduction)


def lr_limit(curvature: float) -> float | None:
    """2 / curvature, from which on batch gradient descent does not converge; None on a flat cost."""
    return 2 / curvature if curvature and math.isfinite(2 / curvature) else None


def contraction(curvatures: FloatArray, lr: float) -> float:
    """Π (1 - lr c) of these curvatures: the factor by which their updates multiply the distance to an exact fit."""
    with np.errstate(over="ignore"):
        factors = 1 - lr * curvatures
        # a sum of logarithms: partial products could overflow
        size = float(np.exp(np.log(np.abs(factors)).sum())) if np.all(factors) else 0.0
    return -size if np.count_nonzero(factors < 0) % 2 else size


def sample_curvatures(data: Data) -> FloatArray:
    """2 x² of every sample, of shape (N,): the second derivative of its loss (x w - y)² by w."""
    x, _ = data.arrays()
    return 2 * x * x


def slow_limit(distinct: FloatArray, counts: np.ndarray, updates: int) -> float:
    """The learning rate below which an update removes less than MIN_REDUCTION of the distance, in the geometric mean.

    `distinct` are ascending curvatures, `counts` how many of the `updates` have each; found by bisection.
    """
    low, high = 0.0, 1 / float(distinct[-1])  # the product falls from 1 to 0 between them
    wanted = updates * math.log1p(-MIN_REDUCTION)
    for _ in range(100):
        middle = (low + high) / 2
        if float((counts * np.log1p(-middle * distinct)).sum()) > wanted:
            low = middle
        else:
            high = middle
    return high


def _has_limit(curvatures: FloatArray) -> np.ndarray:
    """A mask: where 2 / curvature is finite. A sample with a curvature of about 0 does not move w."""
    with np.errstate(divide="ignore", over="ignore"):
        finite: np.ndarray = np.isfinite(2 / curvatures)
    return finite


def _zones(slow: float, best: float, stable: list[tuple[float, float]]) -> tuple[Zone, ...]:
    """The zones from 0 to infinity; `stable` are the ranges where the distance shrinks, ascending, the first from 0."""
    limit = stable[0][1]
    zones = [Zone("slow", 0.0, slow), Zone("good", slow, best), Zone("oscillating", best, limit)]
    for low, high in stable[1:]:
        zones += [Zone("diverging", limit, low), Zone("oscillating", low, high)]
        limit = high
    return (*zones, Zone("diverging", limit, None))
