"""The cost of a line with a bias, y_hat = w x + b, as a function of w and b."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from trainers.problem import Data, FloatArray, blocks


@dataclass(frozen=True, slots=True)
class CostSurface:
    """The mean squared error as a function of w and b: a paraboloid, given by five numbers for any number of samples.

    cost(w, b) = minimum + spread (w - w_star)² + (b - b_star + x_mean (w - w_star))²

    with x_mean = (1/N) Σ x and spread = (1/N) Σ (x - x_mean)²: the quadratic with its squares completed. There is no
    cancellation near the minimum, however small the cost is there. If all x are equal the cost is the same along a
    line: then spread is 0, and so is w_star.
    """

    w_star: float
    b_star: float
    minimum: float
    x_mean: float
    spread: float

    @classmethod
    def of(cls, data: Data) -> Self:
        """The surface of some data: its minimum is the least-squares line, w_star = cov(x, y) / var(x)."""
        x, y = data.arrays()
        x_mean, y_mean = float(x.mean()), float(y.mean())
        scale = float(np.abs(x - x_mean).max()) or 1.0  # so that squares neither vanish nor overflow
        away = (x - x_mean) / scale
        squares = float(away @ away) / len(x)
        w_star = float(away @ (y - y_mean)) / len(x) / squares / scale if squares else 0.0
        b_star = y_mean - w_star * x_mean
        total = 0.0
        with np.errstate(over="ignore", invalid="ignore"):  # w_star and b_star may overflow
            for xs, ys in blocks(data):
                residual = w_star * xs + b_star - ys
                total += float(residual @ residual)
        return cls(w_star, b_star, total / len(x), x_mean, squares * scale * scale)

    def above_minimum[F: (float, FloatArray)](self, w: F, b: F) -> F:
        """The cost at (w, b) less the minimum, for two numbers or for arrays that broadcast."""
        along = w - self.w_star
        across = b - self.b_star + self.x_mean * along
        return self.spread * along * along + across * across

    def cost(self, w: float, b: float) -> float:
        """The mean squared error at (w, b)."""
        return self.minimum + self.above_minimum(w, b)

    def gradient(self, w: float, b: float) -> tuple[float, float]:
        """The derivatives of the cost by w and by b at (w, b)."""
        along = w - self.w_star
        across = b - self.b_star + self.x_mean * along
        return 2 * (self.spread * along + self.x_mean * across), 2 * across
