"""Where a run has been in the plane of w and b: as many of its points as a chart needs."""

from __future__ import annotations

import numpy as np

from app.storage.batch import Floats

HEAD_RECORDS = 500  # records at the beginning, where a path goes far, that are all kept
TAIL_RECORDS = 500  # at most so many of those after them, evenly spaced


class Trajectory:
    """The points (step, w, b) of one run: all of its beginning, then every second, fourth, … record.

    A metric's `Curve` keeps the extremes of each bucket; w and b are wanted at the same step, so here records are
    kept or left out whole. Records that are not finite are left out.
    """

    def __init__(self) -> None:
        self._head = np.empty((0, 3))
        self._tail = np.empty((0, 3))
        self._seen = 0  # records after the head
        self._stride = 1

    def append(self, records: Floats) -> None:
        """Add records of shape (n, 3), step, w and b, in the order in which they were logged."""
        records = records[np.isfinite(records).all(axis=1)]
        room = HEAD_RECORDS - len(self._head)
        self._head = np.concatenate([self._head, records[:room]])
        rest = records[max(0, room) :]
        first = -self._seen % self._stride
        self._tail = np.concatenate([self._tail, rest[first :: self._stride]])
        self._seen += len(rest)
        while len(self._tail) > TAIL_RECORDS:
            self._tail = self._tail[::2]
            self._stride *= 2

    def until(self, step: float) -> Floats:
        """The kept records up to a step, of shape (n, 3)."""
        records = np.concatenate([self._head, self._tail])
        return records[records[:, 0] <= step]
