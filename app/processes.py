"""Child processes: how they are started and ended, and how each ends when its parent does.

The parent keeps the other end of each child's standard input. That pipe closes when the parent asks the child to end,
and also when the parent is killed. So one rule covers both: a child whose standard input has closed ends.

- `start` and `end` are the parent's side, on every system.
- `exit_with_parent` is for a child that has nothing else to do with the pipe: a thread waits for its end. POSIX and
  Windows.
- `killed_with_parent` is for a child that cannot run such a thread, as while it imports a large library. POSIX.
- A child that reads commands from the pipe needs neither: it ends when they do.

Standard library only, and asyncio only where it is used: children import this module too, and should start fast.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio.subprocess import Process

STDIN = 0
PARENT_CHECK_INTERVAL_S = 1.0  # how soon a child notices that its parent ended while another process holds the pipe
IMPORT_CHECK_INTERVAL_S = 0.2
READ_SIZE = 4096  # bytes
PR_SET_PDEATHSIG = 1  # option of Linux's prctl(2): the signal to get when the parent ends

# --- in the parent ----------------------------------------------------------------------------------------------------


async def start(command: Sequence[str], environment: Mapping[str, str], stderr: int | None = None) -> Process:
    """Start a program with a pipe as standard input and another as standard output.

    It gets a session of its own (on Windows, a process group), so that Ctrl-C at the terminal reaches the parent only.
    stderr: subprocess.PIPE to read what it writes there; None, the default: it goes where the parent's does
    Raises OSError if it cannot be started.
    """
    import asyncio  # noqa: PLC0415  (see above)
    import subprocess  # noqa: PLC0415

    return await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        start_new_session=True,  # without effect on Windows
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # only Windows has it
    )


async def end(process: Process, grace_s: float) -> bool:
    """Close a process's standard input, which asks it to end, and kill it after `grace_s` seconds if it still runs.

    Returns when it has ended: True if it did so by itself, False if it was killed. If this call is cancelled, the
    process is killed at once.
    """
    import asyncio  # noqa: PLC0415  (see above)

    if process.stdin is not None:
        process.stdin.close()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
    finally:
        ended_by_itself = process.returncode is not None
        if not ended_by_itself:
            with suppress(ProcessLookupError):
                process.kill()
    await process.wait()
    return ended_by_itself


# --- in the child -----------------------------------------------------------------------------------------------------


def exit_with_parent(exit_code: int, pipe: int = STDIN) -> None:
    """From now on, end this process with `exit_code` when the other end of `pipe` closes or the parent has ended.

    The parent is watched as well, on POSIX, since a process that it forked may hold the other end open.
    """
    threading.Thread(target=_wait_and_exit, args=(exit_code, pipe, os.getppid()), daemon=True).start()


def _wait_and_exit(exit_code: int, pipe: int, parent: int) -> None:
    if sys.platform == "win32":  # select takes no pipes there, and the parent's id stays as it was
        while os.read(pipe, READ_SIZE):
            pass
    else:
        while os.getppid() == parent:
            readable, _, _ = select.select([pipe], [], [], PARENT_CHECK_INTERVAL_S)
            if readable and not os.read(pipe, READ_SIZE):
                break
    os._exit(exit_code)


@contextmanager
def killed_with_parent(parent: int) -> Iterator[None]:
    """End this process if the parent ends while the block runs, or has ended before. POSIX only.

    For imports that load large libraries: they hold the interpreter, hence all of its threads, up for seconds. On
    Linux the kernel sends SIGKILL; elsewhere, a thread notices as soon as it gets to run. The thread has ended when
    the block has: a process that forks should have no other.

    parent: the id of the process that started this one, as that process gave it
    """
    done = threading.Event()

    def watch() -> None:
        while os.getppid() == parent:
            if done.wait(IMPORT_CHECK_INTERVAL_S):
                return
        os._exit(1)

    _set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the signal was set
        os._exit(1)
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        _set_parent_death_signal(0)
        done.set()
        watcher.join()


def _set_parent_death_signal(number: int) -> None:
    """Have Linux send this signal when the parent ends; 0: none. Other systems have nothing like it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
