"""A stored run's curve, as much of it as one answer holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidError
from app.schemas.responses import Points
from app.storage.batch import Logged, join
from app.storage.chunks import Stretch
from app.storage.downsampling import keep_extremes

MAX_NUMBERS = 10_000_000  # in one answer: 200 MB of JSON


def curve(read: Stretch, max_points: int) -> Points:
    """At most ``max_points`` steps with all of their metrics: the first, the last, and the extremes of every metric.
    InvalidError if they would be too many numbers for one answer."""
    numbers, steps, metrics = join(read.records)
    kept = np.arange(len(steps)) if read.total <= max_points else _extremes(numbers, metrics, max_points)
    if len(kept) * len(metrics) > MAX_NUMBERS:
        raise InvalidError(
            f"With {len(metrics)} metrics, one answer has room for {MAX_NUMBERS // len(metrics)} points; send"
            " max_points no larger than that, or read points.csv.",
            part="query",
            field=("max_points",),
        )
    return Points(
        step=steps[kept].tolist(),
        metrics={name: _at(kept, logged) for name, logged in metrics.items()},
        total=read.total,
        downsampled=len(kept) < read.total,
    )


def _extremes(numbers: NDArray[np.intp], metrics: dict[str, Logged], at_most: int) -> NDArray[np.intp]:
    """Places of records to keep: the first, the last, and of the others an equal share for each metric; what one with
    few points leaves over goes to those with more."""
    kept = {0, len(numbers) - 1}
    by_length = sorted(metrics.values(), key=lambda logged: len(logged[0]))
    for done, (where, values) in enumerate(by_length):
        share = (at_most - len(kept)) // (len(by_length) - done)
        if share >= 2:
            kept.update(where[keep_extremes(numbers[where], values, share)].tolist())
    return np.array(sorted(kept))


def _at(kept: NDArray[np.intp], logged: Logged) -> list[float | None]:
    """The values of a metric at these places, None where it was not logged."""
    where, values = logged
    found = np.searchsorted(where, kept)
    found[found == len(where)] = 0
    here = where[found] == kept if len(where) else np.zeros(len(kept), bool)
    if here.all():
        return list(values[found].tolist())
    column = np.full(len(kept), None, object)
    column[here] = values[found[here]]
    return list(column)
