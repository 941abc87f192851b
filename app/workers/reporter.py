"""How a worker reports: many points at once, packed as the journal keeps them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lossboard
from app.workers.executor import Job

MOST_WAITING = 200_000  # points that wait for the board: the farther ahead, the later is a pause seen


class WorkerRun(lossboard.Run):
    """A run that the board knows already, reported by a worker of one thread."""

    def __init__(self, job: Job) -> None:
        super().__init__(url=job.url, attach_to=job.run_id)
        self.control = self.control or job.control
        self._changes = lossboard.Board(job.url)  # a connection of its own: the other one is the sender's

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
        journal = self.journal
        steps = np.where(table[:, 0] == 0, -0.0, table[:, 0])
        done = 0
        with journal.lock:
            while done < len(table):
                segment = journal.segment_for(names)
                places = list(islice(segment.places, len(table) - done))
                if not places:
                    if self.should_stop:  # the board takes no more of this run
                        return
                    raise OSError("there is no room for more points, neither on disk nor in memory")
                cells = np.frombuffer(segment.cells, np.float64, len(places) * segment.record, 8 * places[0])
                rows = cells.reshape(-1, segment.record)
                rows[:, 1:] = table[done : done + len(rows), 1:]
                rows[:, 0] = steps[done : done + len(rows)]  # last: a record with a step is whole
                done += len(rows)
        while journal.newest.taken - journal.acknowledged > MOST_WAITING and not self.should_stop:
            time.sleep(0.002)
