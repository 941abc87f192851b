"""What ended a script or a cell of a notebook, where nothing tells the run itself."""

from __future__ import annotations

import functools
import sys
import threading
from _sitebuiltins import Quitter
from types import CodeType
from typing import Any

from lossboard import Run, active_runs

_left: list[Any] = [None, {}]  # the code of the last sys.exit(), and how many points each run had logged by then

_executions: list[bool] = []  # of IPython's cells since the first run was begun: whether each failed


def begin() -> tuple[Any, Any]:
    """To be called as a run begins: ends those that an earlier run of the same cell of a notebook began. Gives what
    tells this run of the cell from others, and the cell: None, None outside of one, as in a thread."""
    _watch()
    now = _cell_of_shell() or _cell_of_frames()
    for run in [*active_runs]:
        begun, place = run.cell
        if place == now[1] is not None and (begun is not now[0] if isinstance(begun, CodeType) else begun != now[0]):
            run.end_with(_error_in_cell(run))
    return now


def error_of(run: Run) -> BaseException | None:
    """What ended the script of a run, as its interpreter exits; None if nothing did."""
    code, logged = _left
    if code not in (0, None) and logged.get(run.id) == run.journal.taken:
        return SystemExit(code)  # nothing was logged after sys.exit(): it was the end
    if not hasattr(sys.modules["__main__"], "__file__"):
        return _error_in_cell(run)
    error: BaseException | None = getattr(sys, "last_value", None)
    return error


def _cell_of_frames() -> tuple[Any, Any]:
    """The code at the top level that is run, and where it stands: code that stands in the same place and is another is
    that of a cell that was run again."""
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    return (frame.f_code, (id(frame.f_globals), frame.f_code.co_filename, frame.f_lineno)) if frame else (None, None)


def _cell_of_shell() -> tuple[Any, Any] | None:
    """The same of IPython's: the number of its execution, counted here, and its id or its place. None where there is no
    IPython."""
    shell = _shell()
    if shell is None or threading.current_thread() is not threading.main_thread():
        return None
    place: Any = _cell_of_frames()[1]
    if kernel := getattr(shell, "kernel", None):
        place = kernel.get_parent().get("metadata", {}).get("cellId") or place
    return len(_executions), place


def _shell() -> Any:
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def _error_in_cell(run: Run) -> BaseException | None:
    """The last error that was shown, if it came from the cell that began a run."""
    error: BaseException | None = getattr(sys, "last_value", None)
    trace = error.__traceback__ if error else None
    while trace and trace.tb_frame.f_code is not run.cell[0]:
        trace = trace.tb_next
    return error if trace else None


@functools.cache
def _watch() -> None:
    """Note the code of each sys.exit(), exit() and quit(), of which nothing is told at the exit of the interpreter; and
    hear of cells of IPython that fail."""
    sys.exit = _noting(sys.exit)
    Quitter.__call__ = _noting(Quitter.__call__)  # type: ignore[method-assign]
    if shell := _shell():
        shell.events.register("post_run_cell", _end_with_cell)


def _noting(leave: Any) -> Any:
    @functools.wraps(leave)
    def noting(*given: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            code = next((one for one in given if not isinstance(one, Quitter)), None)
            _left[:] = code, {run.id: run.journal.taken for run in [*active_runs]}
        leave(*given)

    return noting


def _end_with_cell(result: Any) -> None:
    """A cell of IPython has been run: where it failed, so did the runs that it began."""
    error = result.error_in_exec or result.error_before_exec
    for run in [*active_runs] if error else ():
        if run.cell[0] == len(_executions):
            run.end_with(error)
    _executions.append(error is not None)
