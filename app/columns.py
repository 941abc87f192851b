"""A batch of points as numbers: what ingest takes in and the store keeps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import lossboard

type Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """Consecutive records of one run.

    ``rows`` has the shape (records, 1 + len(names)): the step, then the metrics. A metric that a record lacks is the
    NaN with the bits ``lossboard.MISSING_BITS``.
    """

    seq: int
    names: tuple[str, ...]
    rows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def after(self, seq: int) -> Batch:
        """The records numbered ``seq`` and later."""
        skipped = max(0, seq - self.seq)
        return Batch(self.seq + skipped, self.names, self.rows[skipped:])

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


def join(batches: Iterable[Batch]) -> tuple[Floats, dict[str, Floats]]:
    """All records of a run: the steps, and each metric with MISSING where a record lacks it."""
    kept = list(batches)
    names = list(dict.fromkeys(name for batch in kept for name in batch.names))
    total = sum(len(batch) for batch in kept)
    steps = np.empty(total)
    metrics = {name: np.full(total, lossboard.MISSING) for name in names}
    start = 0
    for batch in kept:
        stop = start + len(batch)
        steps[start:stop] = batch.rows[:, 0]
        for column, name in enumerate(batch.names, 1):
            metrics[name][start:stop] = batch.rows[:, column]
        start = stop
    return steps, metrics


def parse_binary(body: bytes) -> Batch:
    """A batch in the client's binary form (see lossboard.py). ValueError says what is wrong with it."""
    head, newline, blob = body.partition(b"\n")
    if not newline:
        raise ValueError("the body has no first line; send a line of JSON, then the records")
    try:
        header = json.loads(head)
        seq, names = header["seq"], header["metrics"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError('the first line must be JSON like {"seq": 0, "metrics": ["loss"]}') from None
    if not isinstance(seq, int) or isinstance(seq, bool) or seq < 0:
        raise ValueError("seq must be a whole number from 0")
    if not isinstance(names, list) or not all(isinstance(name, str) and 1 <= len(name) <= 200 for name in names):
        raise ValueError("metrics must be a list of names of 1 to 200 characters")
    if len(set(names)) != len(names):
        raise ValueError("metrics names one metric twice")
    batch = from_blob(seq, names, blob)
    if not np.isfinite(batch.rows[:, 0]).all():
        raise ValueError("every step must be a finite number")
    return batch
