"""How a worker reports: many points at once, packed as the journal keeps them."""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.typing import NDArray

import lossboard

MOST_WAITING = 2_000_000  # points that wait for the board; unlike a script, a worker may wait for it


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
        steps = np.where(table[:, 0] == 0, -0.0, table[:, 0])
        done = 0
        with journal.lock:
            while done < len(table):
                segment = journal.segment_for(names)
                places = list(islice(segment.places, len(table) - done))
                if not places:
                    raise OSError("there is no room for more points, neither on disk nor in memory")
                cells = np.frombuffer(segment.cells, np.float64, len(places) * segment.record, 8 * places[0])
                rows = cells.reshape(-1, segment.record)
                rows[:, 1:] = table[done : done + len(rows), 1:]
                rows[:, 0] = steps[done : done + len(rows)]  # last: a record with a step is whole
                done += len(rows)
        while journal.newest.taken - journal.acknowledged > MOST_WAITING and not self.should_stop:
            self.wait(0.005)
