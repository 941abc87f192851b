"""The priority of workers: where all cores are busy, the board and the pages that show it come first."""

from __future__ import annotations

import os
import time
from pathlib import Path

NICENESS = 10
AUTOGROUP = Path("/proc/self/autogroup")  # the niceness of this process's session, on Linux
RETRY_INTERVAL_S = 0.1


def lower_priority() -> None:
    """Lower the priority of this process and of those it will fork; to be called by the first process of a session.

    Where Linux shares the cores among sessions before it looks at processes (man 7 sched, "The autogroup feature"),
    niceness counts within the session only, and the session has one of its own.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    while AUTOGROUP.exists():
        try:
            AUTOGROUP.write_text(str(NICENESS))
        except BlockingIOError:  # Linux takes one such change in a tenth of a second, of all sessions together
            time.sleep(RETRY_INTERVAL_S)
        except OSError:  # a container in which it is read-only: the sessions share evenly
            return
        else:
            return
