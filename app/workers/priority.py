"""Workers stay in the background: where all cores are taken, the board and the pages that watch it come first."""

from __future__ import annotations

import os
import time
from pathlib import Path

NICENESS = 10
_OF_SESSION = Path("/proc/self/autogroup")


def step_back() -> None:
    """Let this process, and those it will fork, come after all others; called by the first process of a session.

    Where Linux shares the cores among sessions before it looks at processes (man 7 sched, "The autogroup feature"),
    niceness counts within the session only, and the session has one of its own.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    while _OF_SESSION.exists():
        try:
            _OF_SESSION.write_text(str(NICENESS))
        except BlockingIOError:  # some session was changed less than a tenth of a second ago
            time.sleep(0.1)
        except OSError:  # a container that has it read-only: the sessions share evenly
            return
        else:
            return
