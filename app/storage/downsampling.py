"""A curve thinned as it grows: what a screen can show of a run of any length, at a cost that does not grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.storage.batch import Floats, is_missing

CAPACITY = 2048  # buckets kept of one curve: more than a screen has pixels across


class Curve:
    """One metric of one run, kept as buckets of equal numbers of points with the minimum and maximum of each.

    When the buckets are full, neighbours are merged and each is twice as long from then on: appending a point costs
    the same at any length, and no spike is ever lost. Values that are not finite are counted and left out.
    """

    def __init__(self) -> None:
        self.total = 0  # finite values seen
        self.not_finite = 0
        self.not_positive = 0  # of the finite values: those that a logarithmic axis cannot show
        self.first: tuple[float, float] | None = None
        self.last: tuple[float, float] | None = None
        self._bucket_size = 1
        self._buckets = 0
        self._filled = 0  # points in the newest bucket
        self._steps = np.empty((2, CAPACITY))  # of each bucket: where the minimum lies, where the maximum
        self._values = np.empty((2, CAPACITY))  # the minimum, the maximum
        self._sums = np.empty(CAPACITY)
        self._ends = np.empty(CAPACITY)  # the step of the last value

    def append(self, steps: Floats, values: Floats) -> None:
        """Add points in the order in which they were logged; missing values are skipped."""
        finite = np.isfinite(values)
        if not finite.all():
            self.not_finite += int((~finite & ~is_missing(values)).sum())
            steps, values = steps[finite], values[finite]
        if not len(values):
            return
        if self.first is None:
            self.first = (float(steps[0]), float(values[0]))
        self.last = (float(steps[-1]), float(values[-1]))
        self.total += len(values)
        self.not_positive += int((values <= 0).sum())
        start = 0
        with np.errstate(over="ignore"):  # the sum of values near the largest float
            while start < len(values):
                start += self._fill(steps[start:], values[start:])

    def points(self, at_most: int) -> tuple[Floats, Floats]:
        """Steps and values of at most ``at_most`` points (2 or more) in order: the first, the last, and the minimum
        and maximum of every bucket. Buckets hold even numbers of points, so that of a curve that goes up and down
        with every point, no two neighbours on the same side are left: it still looks like what it is."""
        if self.first is None or self.last is None:
            return np.empty(0), np.empty(0)
        count = self._buckets
        buckets = max(1, (at_most - 2) // 2)
        low_step, high_step = self._steps[:, :count]
        low, high = self._values[:, :count]
        if count > buckets and self.total > at_most:
            starts = _starts(count, buckets, even=self._bucket_size == 1)
            low_at, high_at = _arg_reduce(low, starts, count, lowest=True), _arg_reduce(high, starts, count)
            low, low_step, high, high_step = low[low_at], low_step[low_at], high[high_at], high_step[high_at]
        return _in_order(
            np.concatenate([[self.first[0]], np.stack([low_step, high_step], 1).ravel(), [self.last[0]]]),
            np.concatenate([[self.first[1]], np.stack([low, high], 1).ravel(), [self.last[1]]]),
            at_most,
        )

    def extent(self) -> tuple[float, float] | None:
        """The smallest and the largest value, or None if there is none."""
        if not self._buckets:
            return None
        return float(self._values[0, : self._buckets].min()), float(self._values[1, : self._buckets].max())

    def averages(self, span: float) -> tuple[Floats, Floats]:
        """Steps, and there the exponential average over about ``span`` values: each value counts
        (span - 1) / (span + 1) times as much as the next one. Once the curve is thinned, it is the average of the means
        of its buckets."""
        lengths = np.full(self._buckets, self._bucket_size)
        lengths[-1:] = self._filled
        kept = ((span - 1) / (span + 1)) ** lengths
        means = self._sums[: self._buckets] / np.maximum(lengths, 1)
        average, averages = float(means[0]) if len(means) else 0.0, []
        for share, mean in zip(kept.tolist(), means.tolist(), strict=True):
            average = share * average + (1 - share) * mean
            averages.append(average)
        return self._ends[: self._buckets].copy(), np.array(averages)

    def _fill(self, steps: Floats, values: Floats) -> int:
        """Put as many points as fit without merging into the buckets; how many that were."""
        if self._buckets == CAPACITY and self._filled == self._bucket_size:
            self._merge()
        if self._buckets and self._filled < self._bucket_size:
            return self._extend_newest(steps, values)
        whole = min(len(values) // self._bucket_size, CAPACITY - self._buckets)
        if not whole:
            self._buckets += 1
            self._filled = 0
            self._values[:, self._buckets - 1] = np.inf, -np.inf
            self._sums[self._buckets - 1] = 0
            return self._extend_newest(steps, values)
        taken = whole * self._bucket_size
        by_bucket = values[:taken].reshape(whole, -1)
        new = slice(self._buckets, self._buckets + whole)
        starts = np.arange(whole) * self._bucket_size
        for row, at in enumerate((by_bucket.argmin(1) + starts, by_bucket.argmax(1) + starts)):
            self._values[row, new], self._steps[row, new] = values[at], steps[at]
        self._sums[new], self._ends[new] = by_bucket.sum(1), steps[starts + self._bucket_size - 1]
        self._buckets += whole
        self._filled = self._bucket_size
        return taken

    def _extend_newest(self, steps: Floats, values: Floats) -> int:
        taken = min(len(values), self._bucket_size - self._filled)
        newest = self._buckets - 1
        low, high = int(values[:taken].argmin()), int(values[:taken].argmax())
        if values[low] < self._values[0, newest]:
            self._values[0, newest], self._steps[0, newest] = values[low], steps[low]
        if values[high] > self._values[1, newest]:
            self._values[1, newest], self._steps[1, newest] = values[high], steps[high]
        self._sums[newest] += values[:taken].sum()
        self._ends[newest] = steps[taken - 1]
        self._filled += taken
        return taken

    def _merge(self) -> None:
        half = CAPACITY // 2
        pairs = self._values.reshape(2, half, 2)
        places = np.arange(half) * 2
        for row, at in enumerate((pairs[0].argmin(1) + places, pairs[1].argmax(1) + places)):
            self._values[row, :half], self._steps[row, :half] = self._values[row, at], self._steps[row, at]
        self._sums[:half] = self._sums.reshape(half, 2).sum(1)
        self._ends[:half] = self._ends[1::2]
        self._buckets = half
        self._bucket_size *= 2
        self._filled = self._bucket_size


def extremes_of_buckets(columns: Floats, size: int) -> NDArray[np.intp]:
    """Places of the records, of ``columns`` with the shape (records, metrics), that hold a finite minimum or maximum of
    some metric within their bucket of so many records; and of the first and the last record."""
    total, metrics = columns.shape
    padded = -(-total // size) * size
    places = [np.array([0, total - 1])]
    begins = np.arange(0, padded, size)[:, np.newaxis]
    for worst, choose in ((np.inf, np.argmin), (-np.inf, np.argmax)):
        values = np.full((padded, metrics), worst)
        np.copyto(values[:total], columns, where=np.isfinite(columns))
        places.append((choose(values.reshape(-1, size, metrics), axis=1) + begins).ravel())
    return np.unique(np.minimum(np.concatenate(places), total - 1))


def keep_extremes(places: NDArray[np.intp], values: Floats, at_most: int) -> NDArray[np.intp]:
    """Which of these values, found at ``places`` of a run, to draw: of each of equally long buckets of the run the
    smallest and the largest, ``at_most`` in all."""
    finite = np.flatnonzero(np.isfinite(values))
    buckets = at_most // 2
    if len(finite) <= at_most or not buckets:
        return finite[:at_most]
    where, found = places[finite], values[finite]
    edges = where[0] + (where[-1] + 1 - where[0]) * np.arange(buckets) // buckets
    starts = np.unique(np.searchsorted(where, edges))
    lowest, largest = _arg_reduce(found, starts, len(found), lowest=True), _arg_reduce(found, starts, len(found))
    kept: NDArray[np.intp] = finite[np.unique(np.concatenate([lowest, largest]))]
    return kept


def _arg_reduce(values: Floats, starts: np.ndarray, total: int, *, lowest: bool = False) -> np.ndarray:
    """For each bucket from one start to the next, the place of its largest (or lowest) value."""
    extreme = (np.minimum if lowest else np.maximum).reduceat(values, starts)
    lengths = np.diff(np.append(starts, total))
    hits = np.flatnonzero(values == np.repeat(extreme, lengths))
    return hits[np.searchsorted(hits, starts)]


def _starts(count: int, buckets: int, *, even: bool) -> NDArray[np.intp]:
    """Where to begin so many buckets of about equal lengths, of ``count`` in all; or fewer, if all are ``even``."""
    if even:
        return np.unique(np.arange(buckets) * ((count + 1) // 2) // buckets) * 2
    return np.arange(buckets) * count // buckets


def _in_order(steps: Floats, values: Floats, at_most: int) -> tuple[Floats, Floats]:
    """Sorted by step, each point once, no more than ``at_most``: the first and the last are kept."""
    order = np.argsort(steps, kind="stable")
    steps, values = steps[order], values[order]
    different = np.append(True, (np.diff(steps) != 0) | (np.diff(values) != 0))
    steps, values = steps[different], values[different]
    if len(steps) > at_most:
        chosen = np.linspace(0, len(steps) - 1, at_most).astype(int)
        return steps[chosen], values[chosen]
    return steps, values
