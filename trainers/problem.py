"""The problem that all methods solve: the data, the model y_hat = x * w, its cost and its gradient."""
# ruff: noqa: B905 - x and y are equally long; zip(strict=True) costs a fifth of a step on three samples

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trainers.numbers import short
from trainers.params import LARGEST, ParameterError

type FloatArray = NDArray[np.float64]

# samples; up to so many a loop over Python floats is faster than numpy, whose calls take 3.8 µs (measured)
SHORT = 64
# samples; up to so many, methods with several updates per epoch calculate the cost over all data after each
COST_EVERY_UPDATE = 1000
# samples; a block of so many stays in the processor's cache: 1.4 times as fast at 1,000,000 samples (measured)
BLOCK = 32768


@dataclass(frozen=True, slots=True)
class Data:
    """Samples (x, y): Python floats if there are few, numpy float64 arrays if there are many.

    Made by `make_data`, which checks, or by `of`, which does not.
    """

    x: tuple[float, ...] | FloatArray
    y: tuple[float, ...] | FloatArray

    @classmethod
    def of(cls, x: FloatArray, y: FloatArray) -> Self:
        """Samples from two float64 arrays of equal shape (N,), kept in the form that is fast for N."""
        return cls(tuple(x.tolist()), tuple(y.tolist())) if len(x) <= SHORT else cls(x, y)

    def __len__(self) -> int:
        return len(self.x)

    def arrays(self) -> tuple[FloatArray, FloatArray]:
        """x and y as float64 arrays of shape (N,)."""
        return np.asarray(self.x, dtype=np.float64), np.asarray(self.y, dtype=np.float64)

    def pairs(self) -> list[tuple[float, float]]:
        """The samples (x, y) one by one, as Python floats."""
        x, y = self.arrays()
        return list(zip(x.tolist(), y.tolist()))


def _column(name: str, values: Sequence[float] | FloatArray) -> FloatArray:
    try:
        column = np.asarray(values)
    except ValueError:  # rows of different lengths
        column = np.empty((0, 0))
    if column.ndim != 1 or (column.size and column.dtype.kind not in "iuf"):
        raise ParameterError(name, f"{name} should be a list of numbers, such as [1, 2, 3]")
    if not column.size:
        raise ParameterError(name, f"{name} is empty: send at least one number")
    column = column.astype(np.float64)
    if not np.all(np.abs(column) <= LARGEST):  # also false for NaN
        raise ParameterError(name, f"{name} should hold finite numbers from {short(-LARGEST)} to {short(LARGEST)} only")
    return column


def make_data(x: Sequence[float] | FloatArray, y: Sequence[float] | FloatArray) -> Data:
    """Samples from two sequences of equal length N >= 1.

    Raises ParameterError, with the field "x" or "y", for anything but finite numbers within 1e100.
    """
    xs, ys = _column("x", x), _column("y", y)
    if len(xs) != len(ys):
        raise ParameterError("y", f"x has {len(xs)} values, but y has {len(ys)}: send one y for every x")
    return Data.of(xs, ys)


TEXTBOOK = make_data([1, 2, 3], [2, 4, 6])
"""The data of the textbook: y = 2 x, so the true w is 2."""


def cost_and_gradient(data: Data, w: float) -> tuple[float, float]:
    """The mean squared error (1/N) Σ (x w - y)² and its derivative by w, (1/N) Σ 2 x (x w - y)."""
    n = len(data.x)
    if n > SHORT:
        return _cost_and_gradient_of_arrays(data, w)
    cost = gradient = 0.0
    for x, y in zip(data.x, data.y):
        residual = x * w - y
        cost += residual * residual
        gradient += 2 * x * residual
    return cost / n, gradient / n


def cost(data: Data, w: float) -> float:
    """The mean squared error (1/N) Σ (x w - y)²."""
    n = len(data.x)
    if n > SHORT:
        return _cost_and_gradient_of_arrays(data, w)[0]
    # A loop, as Python's sum() of floats compensates rounding and so gives other last digits than a textbook.
    total = 0.0
    for x, y in zip(data.x, data.y):
        residual = x * w - y
        total += residual * residual
    return total / n


def updates_per_mse(n: int, per_epoch: int) -> int:
    """The number of updates from one calculation of the cost over all n samples to the next: 1, or, above
    COST_EVERY_UPDATE samples, those of an epoch."""
    return 1 if n <= COST_EVERY_UPDATE else per_epoch


def blocks(data: Data, size: int = BLOCK) -> Iterator[tuple[FloatArray, FloatArray]]:
    """All samples in order, as pairs of arrays of at most `size` samples."""
    x, y = data.arrays()
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]


def _cost_and_gradient_of_arrays(data: Data, w: float) -> tuple[float, float]:
    squares = slopes = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # inf and nan are passed on, without a warning
        for x, y in blocks(data):
            residual = x * w
            residual -= y
            squares += float(residual @ residual)
            slopes += 2 * float(x @ residual)
    return squares / len(data), slopes / len(data)


def sample_losses(data: Data, w: float, b: float = 0.0, limit: int = 100) -> list[tuple[float, float, float, float]]:
    """(x, y, y_hat, loss) of each of the first `limit` samples, with y_hat = w x + b, loss = (y_hat - y)²."""
    rows = []
    for x, y in zip(map(float, data.x[:limit]), map(float, data.y[:limit])):
        y_hat = w * x + b
        rows.append((x, y, y_hat, (y_hat - y) * (y_hat - y)))
    return rows


@dataclass(frozen=True, slots=True)
class Parabola:
    """The cost curve of y_hat = x * w: cost(w) = minimum + curvature / 2 · (w - w_star)².

    In this form nothing cancels near the minimum, however small the cost is there.
    If all x are zero the cost is the same for every w: then curvature and w_star are 0.
    """

    w_star: float
    minimum: float
    curvature: float

    @classmethod
    def of(cls, data: Data) -> Self:
        """The parabola of some data: w_star = Σ x y / Σ x², curvature = (2/N) Σ x²."""
        x, y = data.arrays()
        # Scaled by a power of two, which rounds nothing, so that squares of tiny x do not vanish.
        exponent = math.frexp(float(np.abs(x).max()))[1]
        scaled = np.ldexp(x, -exponent)
        squares = float(scaled @ scaled)
        curvature = math.ldexp(2 * squares / len(x), 2 * exponent)
        w_star = math.ldexp(float(scaled @ y) / squares, -exponent) if curvature else 0.0
        return cls(w_star, cost(data, w_star), curvature)

    def cost(self, w: float) -> float:
        """The cost at w."""
        distance = w - self.w_star
        return self.minimum + self.curvature / 2 * distance * distance

    def gradient(self, w: float) -> float:
        """The slope of the curve at w."""
        return self.curvature * (w - self.w_star)
