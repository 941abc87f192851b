"""A curve thinned as it grows: what a screen can show of a run of any length, at a cost that does not grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.storage.batch import Floats, is_missing

CAPACITY = 2048  # buckets kept of one curve: more than a screen has pixels across
FINE_BUCKETS = 256  # at the beginning, kept of every size that buckets had; the first of them are single points
BEGINNING_BUCKETS = 16  # on a linear axis, of the points in those: a rise in the first bucket would be a ramp
BEGINNING_SHARE = 4  # they are at most one bucket in so many
EXACT_POINTS = 200  # at the beginning, which are all drawn on a logarithmic axis
EXACT_SHARE = 3  # they are at most one point in so many
MAX_STROKES = 256  # later steps that fall or repeat begin no other stroke
FAR = 1e6  # times its first value, or 1 if that is more: what lies beyond is far away from a curve
_LOW_STEP, _HIGH_STEP, _LOW, _HIGH, _STROKE, _COUNT, _SUM, _END = range(8)  # the rows of a table of buckets
_DRAWN = 6  # the first so many rows are what it takes to draw points

type Place = tuple[float, float]  # a step and a value
type Extent = tuple[float, float]  # the smallest and the largest value


class Curve:
    """One metric of one run, kept as buckets of equal numbers of points with the minimum and maximum of each.

    When the buckets are full, neighbours are merged and each is twice as long from then on: appending a point costs
    the same at any length, and no spike is ever lost. Before that the first FINE_BUCKETS are put aside as they are:
    on a logarithmic axis buckets so have about equal widths, and the beginning is there point by point.

    Where the steps fall or repeat, another stroke begins: no bucket holds points of two. Values that are not finite are
    counted and left out.
    """

    def __init__(self) -> None:
        self.total = 0  # finite values seen
        self.not_finite = 0
        self.not_positive = 0  # of the finite values: those that a logarithmic axis cannot show
        self.far = 0  # of the finite values: those beyond FAR
        self.before_far: Extent | None = None  # of the values before the first of those
        self.first: Place | None = None
        self.last: Place | None = None
        self._extent: Extent | None = None
        self._firsts: list[Place] = []  # of each stroke
        self._lasts: list[Place] = []
        self._bucket_size = 1
        self._buckets = 0
        self._filled = 0  # points in the newest bucket; its size where it is to have no more
        self._table = np.empty((8, CAPACITY))
        self._fine = np.empty((8, 0))  # the buckets put aside
        self._beginning = np.empty((8, 0))  # the same points in few buckets
        self._put_aside = 0  # of the buckets in the table: those at the beginning with the same points
        self._single = 0  # points at the beginning that are kept one by one
        self._asked: dict[tuple[object, ...], tuple[Floats, Floats]] = {}  # what was drawn since the last point

    def append(self, steps: Floats, values: Floats) -> None:
        """Add points in the order in which they were logged; missing values are skipped."""
        finite = np.isfinite(values)
        if not finite.all():
            self.not_finite += int((~finite & ~is_missing(values)).sum())
            steps, values = steps[finite], values[finite]
        if not len(values):
            return
        self._asked.clear()
        if self.first is None:
            self.first = (float(steps[0]), float(values[0]))
        self._measure(values)
        self.total += len(values)
        for begin, end in self._parts(steps):
            if begin or self.last is None or steps[0] <= self.last[0]:
                self._begin_stroke(steps[begin], values[begin])
            self._add(steps[begin:end], values[begin:end])

    def points(self, at_most: int, *, log: bool = False) -> tuple[Floats, Floats]:
        """Steps and values of at most ``at_most`` points (2 or more) in order: the first, the last, and the minimum
        and maximum of every bucket, which are equally long, or with ``log`` equally wide on a logarithmic axis.

        A NaN stands between two strokes. Buckets hold even numbers of points, so that of a curve that goes up and down
        with every point, no two neighbours on the same side are left: it still looks like what it is.
        """
        key = (at_most, log)
        if key not in self._asked:
            self._asked[key] = self._points(at_most, log=log)
        return self._asked[key]

    def _points(self, at_most: int, *, log: bool) -> tuple[Floats, Floats]:
        if self.first is None or self.last is None:
            return np.empty(0), np.empty(0)
        joined = self._joined(at_most)
        firsts, lasts = [self._firsts[0], *self._firsts[joined + 1 :]], self._lasts[joined:]
        room = max(2, at_most - (len(firsts) - 1))
        exact = self._exact(room) if log else 0
        buckets = exact + max(1, (room - exact - 2 * len(firsts)) // 2) if self.total > room else self.total
        table, beginning = self._table_of(_DRAWN, buckets, joined, log=log)
        if table.shape[1] > buckets:
            table = _merged(table, self._starts(table, buckets, exact if log else beginning, log=log))
        ends, strokes = np.array([*firsts, *lasts]).T, np.arange(len(firsts))
        return _in_order(
            np.concatenate([ends[0], table[_LOW_STEP], table[_HIGH_STEP]]),
            np.concatenate([ends[1], table[_LOW], table[_HIGH]]),
            np.concatenate([strokes, strokes, table[_STROKE], table[_STROKE]]),
            room,
        )

    def extent(self) -> Extent | None:
        """The smallest and the largest value, or None if there is none."""
        return self._extent

    def averages(self, span: float, at_most: int, *, log: bool = False) -> tuple[Floats, Floats]:
        """Steps, at most ``at_most`` of them as in ``points``, and there the exponential average of their stroke over
        about ``span`` values: each value counts (span - 1) / (span + 1) times as much as the next one. Once the curve
        is thinned, it is the average of the means of its buckets. A NaN stands between two strokes."""
        key = (span, at_most, log)
        if key not in self._asked:
            self._asked[key] = self._averages(span, at_most, log=log)
        return self._asked[key]

    def _averages(self, span: float, at_most: int, *, log: bool) -> tuple[Floats, Floats]:
        joined = self._joined(at_most)
        room = max(2, at_most - (len(self._firsts) - 1 - joined))
        table, beginning = self._table_of(len(self._table), room, joined, log=log)
        kept = ((span - 1) / (span + 1)) ** table[_COUNT]
        means = table[_SUM] / table[_COUNT]
        average, averages, before = 0.0, [], -1.0
        for share, mean, stroke in zip(kept.tolist(), means.tolist(), table[_STROKE].tolist(), strict=True):
            average = share * average + (1 - share) * mean if stroke == before else mean
            averages.append(average)
            before = stroke
        chosen = np.arange(len(averages))
        if len(chosen) > room:  # the first, and the last of each bucket
            starts = self._starts(table, room - 1, self._exact(room) if log else beginning, log=log)
            chosen = np.union1d(np.append(starts[1:] - 1, chosen[-1]), 0)
        return _with_gaps(table[_END, chosen], np.array(averages)[chosen], table[_STROKE, chosen])

    def _measure(self, values: Floats) -> None:
        """Keep what is known of all values up to date, with these after those before."""
        low, high = float(values[values.argmin()]), float(values[values.argmax()])  # quicker than min and max
        if low <= 0:
            self.not_positive += int((values <= 0).sum())
        before = self._extent
        self._extent = (low, high) if before is None else (min(low, before[0]), max(high, before[1]))
        limit = FAR * max(1.0, abs(self.first[1])) if self.first else FAR
        if max(-low, high) > limit:
            far = np.flatnonzero(np.abs(values) > limit)
            if not self.far:
                nearby = [*(before or ()), *values[: far[0]].tolist()]
                self.before_far = (min(nearby), max(nearby)) if nearby else None
            self.far += len(far)

    def _parts(self, steps: Floats) -> list[tuple[int, int]]:
        """From where to where new steps rise: each part is a stroke, but the first may go on with the newest."""
        if len(steps) == 1 or len(self._firsts) >= MAX_STROKES:
            return [(0, len(steps))]
        falls = steps[1:] <= steps[:-1]
        if not falls[falls.argmax()]:  # of numpy's ways the quickest
            return [(0, len(steps))]
        begins = [0, *(np.flatnonzero(falls)[: MAX_STROKES - len(self._firsts)] + 1).tolist()]
        return list(zip(begins, [*begins[1:], len(steps)], strict=True))

    def _begin_stroke(self, step: float, value: float) -> None:
        if len(self._firsts) == MAX_STROKES:
            return
        self._firsts.append((float(step), float(value)))
        self._lasts.append((float(step), float(value)))
        self._filled = self._bucket_size

    def _add(self, steps: Floats, values: Floats) -> None:
        """Put points of the newest stroke into buckets."""
        added = 0
        with np.errstate(over="ignore"):  # the sum of values near the largest float
            while added < len(values):
                added += self._fill(steps[added:], values[added:])
        self.last = self._lasts[-1] = (float(steps[-1]), float(values[-1]))

    def _fill(self, steps: Floats, values: Floats) -> int:
        """Put as many points of the newest stroke as fit without merging into the buckets; how many that were."""
        if self._buckets == CAPACITY and self._filled == self._bucket_size:
            self._merge()
        if self._buckets and self._filled < self._bucket_size:
            return self._extend_newest(steps, values)
        whole = min(len(values) // self._bucket_size, CAPACITY - self._buckets)
        if not whole:
            self._table[:, self._buckets] = 0, 0, np.inf, -np.inf, len(self._firsts) - 1, 0, 0, 0
            self._buckets += 1
            self._filled = 0
            return self._extend_newest(steps, values)
        taken = whole * self._bucket_size
        new = self._table[:, self._buckets : self._buckets + whole]
        new[_COUNT], new[_STROKE] = self._bucket_size, len(self._firsts) - 1
        if self._bucket_size == 1:
            new[[_LOW_STEP, _HIGH_STEP, _END]], new[[_LOW, _HIGH, _SUM]] = steps[:taken], values[:taken]
        else:
            by_bucket = values[:taken].reshape(whole, -1)
            starts = np.arange(whole) * self._bucket_size
            low, high = by_bucket.argmin(1) + starts, by_bucket.argmax(1) + starts
            new[_LOW], new[_LOW_STEP], new[_HIGH], new[_HIGH_STEP] = values[low], steps[low], values[high], steps[high]
            new[_SUM], new[_END] = by_bucket.sum(1), steps[starts + self._bucket_size - 1]
        self._buckets += whole
        self._filled = self._bucket_size
        return taken

    def _extend_newest(self, steps: Floats, values: Floats) -> int:
        taken = min(len(values), self._bucket_size - self._filled)
        newest = self._table[:, self._buckets - 1]
        low, high = int(values[:taken].argmin()), int(values[:taken].argmax())
        if values[low] < newest[_LOW]:
            newest[_LOW], newest[_LOW_STEP] = values[low], steps[low]
        if values[high] > newest[_HIGH]:
            newest[_HIGH], newest[_HIGH_STEP] = values[high], steps[high]
        newest[_SUM] += values[:taken].sum()
        newest[_END] = steps[taken - 1]
        newest[_COUNT] += taken
        self._filled += taken
        return taken

    def _merge(self) -> None:
        """Make one bucket of every two neighbours of a stroke, and put those at the beginning aside as they are."""
        begins = np.flatnonzero(np.diff(self._table[_STROKE], prepend=-1))
        place = np.arange(CAPACITY) - np.repeat(begins, np.diff(np.append(begins, CAPACITY)))  # within its stroke
        starts = np.flatnonzero(place % 2 == 0)
        put_aside = int(np.searchsorted(starts, FINE_BUCKETS))
        self._single = self._single or int(starts[put_aside])
        self._fine = np.concatenate([self._fine, self._table[:, self._put_aside : starts[put_aside]]], axis=1)
        ends = np.geomspace(2, self._fine.shape[1], BEGINNING_BUCKETS, endpoint=False).astype(np.intp) // 2 * 2
        own = np.flatnonzero(np.diff(self._fine[_STROKE], prepend=-1))
        self._beginning = _merged(self._fine, np.union1d(ends, own))
        self._put_aside, self._buckets = put_aside, len(starts)
        self._table[:, : self._buckets] = _merged(self._table, starts)
        self._bucket_size *= 2
        self._filled = self._bucket_size

    def _joined(self, at_most: int) -> int:
        """How many strokes, the oldest, are to be one with the next, if there are too many for so many points."""
        return max(0, len(self._firsts) - max(1, at_most // 4))

    def _exact(self, room: int) -> int:
        """How many points at the beginning to draw one by one, of so many in all."""
        single = self._single or self._buckets
        return min(single, EXACT_POINTS, room // EXACT_SHARE) // 2 * 2

    def _starts(self, table: Floats, buckets: int, kept: int, *, log: bool) -> NDArray[np.intp]:
        """Where in a table to begin so many buckets, or a few less: the first so many are ``kept`` as they are, and
        each stroke has its own."""
        strokes = int(table[_STROKE, -1]) + 1
        rest, left = table[:, kept:], buckets - kept - (strokes - 1)
        if log:
            starts = kept + _even_on_log(rest, max(1, left // strokes))
            starts[starts < (self._single or self._buckets)] &= ~1  # pairs stay pairs
            starts = starts[np.append(True, starts[1:] != starts[:-1])]
        else:
            most = max(1, min(rest.shape[1], left))
            starts = kept + _even(rest.shape[1], most, pairs=self._bucket_size == 1)
        starts = np.append(np.arange(kept), starts)
        return starts if strokes == 1 else np.union1d(starts, np.flatnonzero(np.diff(table[_STROKE], prepend=-1)))

    def _table_of(self, rows: int, buckets: int, joined: int, *, log: bool) -> tuple[Floats, int]:
        """The first rows of the table from which to draw so many buckets, the oldest strokes ``joined``; and how many
        buckets at its beginning are to stay as they are."""
        beginning = self._fine if log else self._beginning
        few = beginning.shape[1]
        would_be = buckets * self._put_aside / max(1, self._buckets)  # of the table, of as many as there are to draw
        if log or would_be < few <= buckets / BEGINNING_SHARE:
            table = np.concatenate([beginning[:rows], self._table[:rows, self._put_aside : self._buckets]], axis=1)
        else:
            table, few = self._table[:rows, : self._buckets], 0
        if joined:
            table = table.copy()
            table[_STROKE] = np.maximum(table[_STROKE] - joined, 0)
        return table, few


def extremes_of_buckets(columns: Floats, size: int) -> NDArray[np.intp]:
    """Places of the records, of ``columns`` with the shape (records, metrics), that hold a finite minimum or maximum of
    some metric within their bucket of so many records; and of the first and the last record."""
    total, metrics = columns.shape
    padded = -(-total // size) * size
    table = np.full((metrics, padded), np.nan)  # a metric in a row: what lies together is compared much sooner
    table[:, :total] = columns.T
    finite = np.isfinite(table)
    places = [np.array([0, total - 1])]
    begins = np.arange(0, padded, size)
    for worst, choose in ((np.inf, np.argmin), (-np.inf, np.argmax)):
        values = np.where(finite, table, worst).reshape(metrics, -1, size)
        places.append((choose(values, axis=2) + begins).ravel())
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


def _merged(table: Floats, starts: NDArray[np.intp]) -> Floats:
    """A table of buckets, or its first rows, with one bucket for each part from one start to the next."""
    total = table.shape[1]
    low = _arg_reduce(table[_LOW], starts, total, lowest=True)
    high = _arg_reduce(table[_HIGH], starts, total)
    merged = table[:, starts]
    merged[_LOW], merged[_LOW_STEP] = table[_LOW, low], table[_LOW_STEP, low]
    merged[_HIGH], merged[_HIGH_STEP] = table[_HIGH, high], table[_HIGH_STEP, high]
    if len(table) > _DRAWN:
        with np.errstate(over="ignore"):
            merged[_SUM], merged[_COUNT] = np.add.reduceat(table[[_SUM, _COUNT]], starts, axis=1)
        merged[_END] = table[_END, np.append(starts[1:], total) - 1]
    return merged


def _even(count: int, buckets: int, *, pairs: bool) -> NDArray[np.intp]:
    """Where to begin so many buckets of about equal lengths, of ``count`` in all; or fewer, if none is to part the two
    of a pair."""
    if pairs:
        return np.unique(np.arange(buckets) * ((count + 1) // 2) // buckets) * 2
    return np.arange(buckets) * count // buckets


def _even_on_log(table: Floats, buckets: int) -> NDArray[np.intp]:
    """Where to begin at most so many buckets, for each stroke, of equal widths on a logarithmic axis of steps + 1."""
    places = np.log1p(np.maximum(np.minimum(table[_LOW_STEP], table[_HIGH_STEP]), 0))
    low, high = places.min(), places.max()
    cells = np.minimum((places - low) / ((high - low) or 1.0) * buckets, buckets - 1).astype(np.intp)
    return np.flatnonzero(np.diff(cells, prepend=-1))


def _in_order(steps: Floats, values: Floats, strokes: Floats, at_most: int) -> tuple[Floats, Floats]:
    """Sorted by stroke and step, each point once, no more than ``at_most`` and gaps: the ends are kept."""
    order = np.argsort(steps, kind="stable") if strokes[-1] == 0 else np.lexsort((steps, strokes))
    steps, values, strokes = steps[order], values[order], strokes[order]
    different = (np.diff(steps) != 0) | (np.diff(values) != 0) | (np.diff(strokes) != 0)
    chosen = np.flatnonzero(np.append(True, different))
    if len(chosen) > at_most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, at_most).astype(int)]
    return _with_gaps(steps[chosen], values[chosen], strokes[chosen])


def _with_gaps(steps: Floats, values: Floats, strokes: Floats) -> tuple[Floats, Floats]:
    """Steps and values with a NaN before each further stroke, at the step where that begins."""
    at = np.flatnonzero(np.diff(strokes)) + 1
    return np.insert(steps, at, steps[at]), np.insert(values, at, np.nan)
