"""How a worker reports: many points at once, packed as the journal keeps them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lossboard
from app.workers.executor import Job

MAX_UNACKNOWLEDGED = 200_000  # points: the farther a worker is ahead of the board, the later it sees a pause

_POLL_S = 0.002  # between two looks whether the board has caught up


class WorkerRun(lossboard.Run):
    """A run that the board knows already, reported by a worker of one thread."""

    def __init__(self, job: Job) -> None:
        super().__init__(url=job.url, attach_to=job.run_id)
        self.control = self.control or job.control
        self._changes = lossboard.Connection(job.url)  # a connection of its own: the other one is the sender's

    def report_change(self, step: int, params: Mapping[str, Any]) -> None:
        """Tell the board that these parameters hold from this step on; again until it has heard."""
        body = json.dumps({"step": step, "params": params}).encode()
        while not self.should_stop:
            try:
                self._changes.post(f"/api/runs/{self.id}/changes", body)
            except (lossboard.RefusedError, OSError, HTTPException) as error:
                if isinstance(error, lossboard.RefusedError) and error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    return  # the run has ended there
                self._changes.close()
                self.wait(0.1)
            else:
                return

    def log_table(self, names: tuple[str, ...], table: NDArray[np.float64]) -> None:
        """Log a table of points: per row the step, then a value per name, MISSING where there is none.

        Waits while the board is far behind. OSError if there is no room for them, neither on disk nor in memory.
        """
        steps = np.where(table[:, 0] == 0, -0.0, table[:, 0])
        done = 0
        while done < len(table):
            cells = np.asarray(self.journal.reserve(names, len(table) - done))
            if not len(cells):
                if self.should_stop:  # the board takes no more of this run
                    return
                raise OSError("there is no room for more points, neither on disk nor in memory")
            rows = cells.reshape(-1, table.shape[1])
            rows[:, 1:] = table[done : done + len(rows), 1:]
            rows[:, 0] = steps[done : done + len(rows)]  # last: a record with a step is whole
            done += len(rows)
        while self.journal.unacknowledged > MAX_UNACKNOWLEDGED and not self.should_stop:
            time.sleep(_POLL_S)
