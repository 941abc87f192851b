"""A batch of points as numbers: what ingest takes in and the store keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import lossboard
from app.schemas.limits import MAX_METRICS

type Floats = NDArray[np.float64]
type Logged = tuple[NDArray[np.intp], Floats]  # the places of records that have a metric, and its values there

MAX_PART_BYTES = 1 << 20  # bytes of the records that are stored, and later read, at once


@dataclass(frozen=True)
class Records:
    """Some records of one run, in order: their numbers, and their rows as in Batch."""

    numbers: NDArray[np.intp]
    names: tuple[str, ...]
    rows: Floats

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Point:
    """One record of a run: its step, and by name what it logged."""

    step: float
    values: dict[str, float]


@dataclass(frozen=True)
class Batch:
    """Consecutive records of one run.

    ``rows`` has the shape (records, 1 + len(names)): the step, then the metrics. A metric that a record lacks is the
    NaN with the bits ``lossboard.MISSING_BITS``. ``at``: when they were made, in seconds since 1970; None: just now.
    """

    seq: int
    names: tuple[str, ...]
    rows: Floats
    at: float | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def point(self, place: int) -> Point:
        """The record at a place of the batch, without the metrics that it lacks."""
        step, *values = self.rows[place].tolist()
        missing = is_missing(self.rows[place, 1:])
        logged = zip(self.names, values, missing, strict=True)
        return Point(step, {name: value for name, value, gone in logged if not gone})

    def after(self, seq: int) -> Batch:
        """The records numbered ``seq`` and later."""
        skipped = max(0, seq - self.seq)
        return replace(self, seq=self.seq + skipped, rows=self.rows[skipped:])

    def between(self, begin: int, end: int) -> Batch:
        """The records numbered from ``begin`` to before ``end``."""
        later = self.after(begin)
        return replace(later, rows=later.rows[: max(0, end - later.seq)])

    def parts(self) -> Iterator[Batch]:
        """The batch in parts of a bounded size, at least one: whoever reads them back need not hold a big one."""
        size = max(1, MAX_PART_BYTES // (8 * self.rows.shape[1]))
        for start in range(0, max(1, len(self)), size):
            yield replace(self, seq=self.seq + start, rows=self.rows[start : start + size])

    def blob(self) -> bytes:
        """The rows as the store keeps them."""
        return self.rows.astype("<f8", copy=False).tobytes()


def from_blob(seq: int, names: Sequence[str], blob: bytes) -> Batch:
    """A batch from the bytes of its rows. ValueError if they are not whole records."""
    width = 1 + len(names)
    if len(blob) % (8 * width):
        raise ValueError(f"the records are cut: {len(blob)} bytes are not a multiple of {8 * width}")
    return Batch(seq, tuple(names), np.frombuffer(blob, "<f8").reshape(-1, width))


def from_columns(seq: int, step: Sequence[float], metrics: Mapping[str, Sequence[float | None]]) -> Batch:
    """A batch from columns of equal length, where None is a missing value."""
    rows = np.empty((len(step), 1 + len(metrics)))
    rows[:, 0] = step
    for column, values in enumerate(metrics.values(), 1):
        rows[:, column] = [lossboard.MISSING if value is None else value for value in values]
    return Batch(seq, tuple(metrics), rows)


def is_missing(values: Floats) -> NDArray[np.bool_]:
    """Where a value was never logged (a NaN that was logged is not missing)."""
    missing: NDArray[np.bool_] = np.ascontiguousarray(values).view(np.uint64) == lossboard.MISSING_BITS
    return missing


def join(records: Iterable[Records]) -> tuple[NDArray[np.intp], Floats, dict[str, Logged]]:
    """Records of a run in one: their numbers, their steps, and each metric where it was logged, in the order of first
    appearance.

    It takes memory for what was logged, and none for what was not: a thousand metrics may be named in one record, and
    a million records come without them.
    """
    numbers: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
    steps: list[Floats] = [np.empty(0)]
    parts_of: dict[str, list[Logged]] = {}
    start = 0
    for some in records:
        places = np.arange(start, start + len(some))
        numbers.append(some.numbers)
        steps.append(some.rows[:, 0])
        for column, name in enumerate(some.names, 1):
            values = some.rows[:, column]
            logged = ~is_missing(values)
            parts_of.setdefault(name, []).append((places[logged], values[logged]))
        start += len(some)
    metrics = {name: _concatenate(parts) for name, parts in parts_of.items()}
    return np.concatenate(numbers), np.concatenate(steps), metrics


def _concatenate(parts: list[Logged]) -> Logged:
    return np.concatenate([places for places, _ in parts]), np.concatenate([values for _, values in parts])


def check_names(names: object) -> None:
    """ValueError unless these are names of metrics as a batch may have them."""
    if not isinstance(names, list) or not all(isinstance(name, str) and 1 <= len(name) <= 200 for name in names):
        raise ValueError("metrics must be a list of names of 1 to 200 characters")
    if len(names) > MAX_METRICS:
        raise ValueError(f"metrics must be at most {MAX_METRICS} names")
    if len(set(names)) != len(names):
        raise ValueError("metrics names one metric twice")
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        raise ValueError("metrics must be names in Unicode; half of a surrogate pair is no character") from None
