"""How large a learning rate may be: the theory behind the page's scale, and behind why a run diverged.

All of it rests on one fact. Where the loss is quadratic with curvature c, an update turns the distance to its
minimum into 1 - lr c times that distance; the updates of a round multiply. So a round shrinks the distance while
|Π (1 - lr c)| < 1, and for one curvature that is lr < 2 / c.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from trainers.problem import Data, FloatArray
from trainers.theory.stable_ranges import stable_ranges

SLOW = 0.01  # a step that takes away less of the distance than this is slow

type ZoneName = Literal["slow", "good", "oscillating", "diverging"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A range of learning rates, from `start` up to `end` (None: without end), and what happens there.

    slow: a step takes away less than 1 % of the distance. good: more than that, and no update overshoots.
    oscillating: some update overshoots, but a round of them still comes closer. diverging: it does not.
    """

    name: ZoneName
    start: float
    end: float | None


@dataclass(frozen=True, eq=False)
class Stability:
    """What theory says of a method's learning rate on some data.

    curvatures: the second derivative that each update of a round sees, along the steepest direction; empty where no
    round repeats itself, and so theory has no limit.
    curvature: the largest of them; where there is no limit, the largest at the start, or None.
    shallowest: with two parameters, the curvature along the other direction.
    """

    note: str
    curvatures: FloatArray = field(default_factory=lambda: np.empty(0), repr=False)
    curvature: float | None = None
    shallowest: float | None = None
    lr_limit: float | None = None
    lr_best: float | None = None
    zones: tuple[Zone, ...] = ()

    def factor(self, lr: float) -> float:
        """Π (1 - lr c): what a round of updates multiplies the distance to the solution by."""
        return contraction(self.curvatures, lr)


def of_one_curvature(curvature: float, note: str = "", shallowest: float | None = None) -> Stability:
    """Batch gradient descent: every update sees the same curvature λ, so the limit is 2 / λ, the best 1 / λ.

    With several parameters λ is the largest eigenvalue of the cost's second derivative, and all that is said holds
    along its direction (Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 4.3.1).
    """
    limit = lr_limit(curvature)
    if limit is None:
        return Stability("The cost is the same for every w here: no learning rate moves it.")
    best = limit / 2
    said = (
        f"λ = {curvature:.3g} is the curvature of the cost. Below 2/λ = {limit:.3g} every step comes closer to the "
        f"minimum, and 1/λ = {best:.3g} gets there at once; above the limit every step lands further away."
    )
    zones = _zones(SLOW / curvature, best, [(0.0, limit)])
    return Stability(note or said, np.array([curvature]), curvature, shallowest, limit, best, zones)


def of_round(curvatures: FloatArray) -> Stability:
    """Updates that see different curvatures, the same in every round: an epoch of sequential SGD, say.

    The product may come back below 1 beyond the first limit, near lr = 1 / c of some sample: `zones` has these
    ranges too, but for those narrower than a thousandth of their lr. Data that no line through the origin fits
    exactly has no one solution: then it is the cycle of weights that the rounds settle on.
    """
    found, counts = np.unique(curvatures[_usable(curvatures)], return_counts=True)
    if len(found) < 2:
        return of_one_curvature(float(found[0]) if len(found) else 0.0)
    largest = float(found[-1])
    ranges = stable_ranges(found, counts)
    if ranges is None:
        note = (
            f"With {len(found):,} different samples the limit is not worked out. Below {2 / largest:.3g} it surely "
            "settles, as there no single update lands further away than it was."
        )
        return Stability(note, curvatures, largest)
    limit, best = ranges[0][1], 1 / largest
    note = (
        f"An epoch multiplies the distance to the solution by Π(1 − lr·c), with the curvatures c of its updates. "
        f"Below {limit:.3g} that is less than 1; from {best:.3g} on the update with the largest c, {largest:.3g}, "
        "overshoots."
    )
    if len(ranges) > 1:
        islands = ", ".join(f"{low:.3g} to {high:.3g}" for low, high in ranges[1:4])
        note += f" Beyond the limit it settles again from {islands}{' and elsewhere' if len(ranges) > 4 else ''}."
    slow = stable_slowness(found, counts, len(curvatures))
    return Stability(note, curvatures, largest, None, limit, best, _zones(slow, best, ranges))


def of_random(data: Data, what: str) -> Stability:
    """Updates that see other samples each time: there is no one limit, but a learning rate that is surely safe."""
    curvatures = sample_curvatures(data)
    largest = float(curvatures.max())
    if np.all(curvatures == largest):  # whichever is drawn, it sees the same
        return of_one_curvature(largest)
    safe = lr_limit(largest)  # below it no update lands further from its samples' own minimum
    sure = f"Surely stable below 1/max x² = {safe:.3g}. " if safe else ""
    return Stability(f"{sure}{what}: theory has no limit to give.")


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


def smallest_curvature(data: Data, *, reduction: Literal["sum", "mean"] = "mean") -> float:
    """The smaller eigenvalue of H with a bias: its determinant, 4 Σ (x - mean)² N, divided by the larger one."""
    x, _ = data.arrays()
    n = len(data)
    scale = 1 / n if reduction == "mean" else 1.0
    spread = x - x.mean()
    return 4 * scale * scale * n * float(spread @ spread) / largest_curvature(data, bias=True, reduction=reduction)


def lr_limit(curvature: float) -> float | None:
    """The learning rate from which on batch gradient descent no longer converges; None on a flat cost."""
    return 2 / curvature if curvature and math.isfinite(2 / curvature) else None


def contraction(curvatures: FloatArray, lr: float) -> float:
    """Π (1 - lr c): what these updates, one after the other, multiply the distance to an exact fit by."""
    with np.errstate(over="ignore"):
        factors = 1 - lr * curvatures
        # By logarithms, or a product of many factors would overflow on its way to a small number.
        size = float(np.exp(np.log(np.abs(factors)).sum())) if np.all(factors) else 0.0
    return -size if np.count_nonzero(factors < 0) % 2 else size


def sample_curvatures(data: Data) -> FloatArray:
    """2 x² of every sample: the second derivative of its loss (x w - y)² by w."""
    x, _ = data.arrays()
    return 2 * x * x


def stable_slowness(found: FloatArray, counts: np.ndarray, updates: int) -> float:
    """The learning rate below which an update takes away less than SLOW of the distance, in the geometric mean."""
    low, high = 0.0, 1 / float(found[-1])  # here the product falls from 1 to 0
    wanted = updates * math.log1p(-SLOW)
    for _ in range(100):
        middle = (low + high) / 2
        if float((counts * np.log1p(-middle * found)).sum()) > wanted:
            low = middle
        else:
            high = middle
    return high


def _usable(curvatures: FloatArray) -> np.ndarray:
    """Where a curvature is large enough for a limit that is a number: flat samples move nothing."""
    with np.errstate(divide="ignore", over="ignore"):
        usable: np.ndarray = np.isfinite(2 / curvatures)
    return usable


def _zones(slow: float, best: float, stable: list[tuple[float, float]]) -> tuple[Zone, ...]:
    """The zones from 0 on; `stable` are the ranges in which a round comes closer, the first of them from 0."""
    limit = stable[0][1]
    zones = [Zone("slow", 0.0, slow), Zone("good", slow, best), Zone("oscillating", best, limit)]
    for low, high in stable[1:]:
        zones += [Zone("diverging", limit, low), Zone("oscillating", low, high)]
        limit = high
    return (*zones, Zone("diverging", limit, None))
