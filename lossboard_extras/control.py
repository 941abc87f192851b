"""What the board asks of a run, heard as soon as it is asked: on a connection of its own, beside that of the points.

Responses to posts say the same, a little later. So a board that does not have this route, or is away, is asked again
now and then, and nothing is lost meanwhile. Of what both say, the run takes the newer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import lossboard

WAIT_S = 20.0  # that the board may keep a request until something else is asked
SPARE_S = 10.0  # that its response may take beyond that
FIRST_RETRY_S = 0.1  # after a failed request; twice that after the next one, and so on
LAST_RETRY_S = 2.0
REFUSED_RETRY_S = 60.0  # the longest interval where a board answers that it does not know this route


def listen(run: lossboard.Run) -> None:
    """Begin to hear what is asked of a run, until it ends. RuntimeError where no thread can be begun."""
    Listener(run, lossboard.Connection(run.sender.connection.named, WAIT_S + SPARE_S), run.sender.done.wait).start()


class Listener(threading.Thread):
    """Hears what is asked of a run, and hands it to the run."""

    def __init__(self, run: lossboard.Run, connection: Any, ended: Callable[[float], bool]) -> None:
        """``ended`` waits so many seconds at most for the end of the run: whether it has come."""
        super().__init__(name="lossboard-control", daemon=True)
        self._run = run
        self._connection = connection
        self._ended = ended

    def run(self) -> None:
        """Runs in the thread, whatever the network does, until the end of the run."""
        known, retry_s = "", FIRST_RETRY_S
        while not self._ended(0):
            path = f"/api/runs/{self._run.id}/control?known={known}&wait_s={WAIT_S}"
            try:
                told = self._connection.request("GET", path)
                self._run.take_control(told["control"])
                known = told["version"]
            except Exception as error:  # whatever it is, the next try may succeed
                self._connection.close()
                refused = isinstance(error, lossboard.RefusedError) and error.status < 500
                known = ""
                self._ended(retry_s)
                retry_s = min(2 * retry_s, REFUSED_RETRY_S if refused else LAST_RETRY_S)
            else:
                retry_s = FIRST_RETRY_S
        self._connection.close()
