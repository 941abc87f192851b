"""How a worker reports: many points at once, packed as the journal keeps them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lossboard
from app.workers.executor import Job

MAX_UNACKNOWLEDGED = 200_000  # points: the farther a worker is ahead of the board, the later it sees a pause

_POLL_S = 0.002  # between two looks whether the board has caught up


class WorkerRun(lossboard.Run):
    """A run that the board knows already, reported by a worker of one thread."""

    _is_known = True

    def __init__(self, job: Job) -> None:
        super().__init__(url=job.url, attach_to=job.run_id)
        self.journal.number_records()
        self.control = self.control or job.control

    def report_change(self, step: int, params: Mapping[str, Any]) -> None:
        """Say that these parameters hold from this step on, before its point is logged."""
        self.journal.note_change(step, params)

    def _take_params(self, changed: Mapping[str, Any]) -> None:
        """The worker takes them between two steps, and reports them then."""

    def log_table(self, names: tuple[str, ...], table: NDArray[np.float64]) -> None:
        """Log a table of points: per row the step, then a value per name, MISSING where there is none.

        Waits while the board is far behind. OSError if there is no room for them, neither on disk nor in memory.
        """
        steps = np.where(table[:, 0] == 0, -0.0, table[:, 0])
        done = 0
        while done < len(table):
            rows = self._reserve(names, len(table) - done)
            if not len(rows):
                if self.should_stop:  # the board takes no more of this run
                    return
                raise OSError("there is no room for more points, neither on disk nor in memory")
            rows[:, 1] = list(islice(self.journal.numbers, len(rows)))
            rows[:, 2:] = table[done : done + len(rows), 1:]
            rows[:, 0] = steps[done : done + len(rows)]  # last: a record with a step is whole
            done += len(rows)
        while self.journal.unacknowledged > MAX_UNACKNOWLEDGED and not self.should_stop:
            time.sleep(_POLL_S)

    def _reserve(self, names: tuple[str, ...], count: int) -> NDArray[np.float64]:
        """Room for up to ``count`` new records, a row each: step, number, metrics. No row if there is none."""
        block = self.journal.open_block(names)
        if block is None:
            return np.empty((0, 2 + len(names)))
        places = list(islice(block.places, count))
        begin = places[0] - 1 if places else 0
        return np.asarray(block.cells[begin : begin + len(places) * block.record]).reshape(-1, block.record)
