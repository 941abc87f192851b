"""What ended a script or a notebook's cell, where nothing tells the run itself."""

from __future__ import annotations

import functools
import sys
import threading
from typing import Any

from lossboard import Run, active_runs

_left: list[Any] = [None, {}]  # the code of the last sys.exit(), and how many points each run had logged by then


def cell() -> tuple[Any, Any]:
    """The code at the top level that has called this, and where it stands: code that stands in the same place and is
    another is that of a notebook's cell that was run again. None, None outside of such code, as in a thread."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return (frame.f_code, (id(frame.f_globals), frame.f_code.co_filename, frame.f_lineno)) if frame else (None, None)


def begun_by_earlier(now: tuple[Any, Any]) -> list[Run]:
    """The runs that an earlier run of this cell began."""
    return [run for run in [*active_runs] if run.cell[1] == now[1] is not None and run.cell[0] is not now[0]]


def error_of(run: Run, *, rerun: bool = False) -> BaseException | None:
    """What ended the script of a run, or its cell, which is run again; None if nothing did."""
    code, logged = _left
    if code not in (0, None) and logged.get(run.id) == run.journal.taken:
        return SystemExit(code)  # nothing was logged after sys.exit(): it was the end
    error: BaseException | None = getattr(sys, "last_value", None)
    if error is None or not (rerun or not hasattr(sys.modules["__main__"], "__file__")):
        return error
    trace = error.__traceback__  # it may be that of another cell
    while trace and trace.tb_frame.f_code is not run.cell[0]:
        trace = trace.tb_next
    return error if trace else None


@functools.cache
def watch_exits() -> None:
    """Note the code of each sys.exit(), of which nothing is told at the exit of the interpreter."""
    original = sys.exit

    @functools.wraps(original)
    def noting(code: Any = None, /) -> None:
        if threading.current_thread() is threading.main_thread():
            _left[:] = code, {run.id: run.journal.taken for run in [*active_runs]}
        original(code)

    sys.exit = noting  # type: ignore[assignment]
