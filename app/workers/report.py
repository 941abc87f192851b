"""How a worker reports: many points at once, packed as the journal keeps them."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

import lossboard

MOST_WAITING = 64 << 20  # bytes that wait for the board; unlike a script, a worker may wait for it


class WorkerRun(lossboard.Run):
    """A run that the board knows already, reported by a worker of one thread."""

    def __init__(self, run_id: str, url: str) -> None:
        super().__init__(url=url, attach_to=run_id)

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake up at once when the board asks the run to stop; True if it did."""
        return self._sender.stop_asked.wait(seconds)

    def log_table(self, names: tuple[str, ...], table: NDArray[np.float64]) -> None:
        """Log a table of points: per row the step, then a value per name, MISSING where there is none.

        Waits while the board is far behind. OSError if there is no room for them, neither on disk nor in memory.
        """
        journal = self.journal
        first = journal.last + 1
        marks = np.arange(first + 1, first + 1 + len(table))
        source = memoryview(np.column_stack([table, marks]).astype("<f8", copy=False).tobytes())
        size = 8 * (2 + len(names))
        with journal.lock:
            if not journal.segments:
                journal.add(names, first)
            number, end = first, first + len(table)
            while number < end:
                segment = journal.segment_of(number)
                if segment is None:
                    raise OSError("there is no room for more points, neither on disk nor in memory")
                count = min(end, segment.end) - number
                place = segment.start + number * size
                segment.buffer[place : place + count * size] = source[: count * size]
                source, number = source[count * size :], number + count
            journal.numbers = itertools.count(end)
            journal.last = end - 1
        while (journal.last - journal.acknowledged) * size > MOST_WAITING and not self.should_stop:
            self.wait(0.005)
