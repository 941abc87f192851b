"""Children are ended, and end with their parent: real processes, each a line or two of Python."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app import processes
from tests.harness.boards import PATIENCE, alive, wait_for

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX processes")
linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's prctl")

READ_UNTIL_CLOSED = "import sys; sys.stdin.read()"
NEVER_END = "import time; time.sleep(1000)"

# --- in the parent


async def started(program: str) -> Process:
    return await processes.start([sys.executable, "-c", program], ENVIRONMENT)


@pytest.mark.anyio
async def test_a_child_ends_by_itself_when_its_standard_input_closes() -> None:
    child = await started(READ_UNTIL_CLOSED)
    assert await processes.end(child, PATIENCE)
    assert child.returncode == 0


@pytest.mark.anyio
@pytest.mark.parametrize("grace_s", [0, 0.05])
async def test_a_child_that_does_not_end_is_killed(grace_s: float) -> None:
    child = await started(NEVER_END)
    assert not await processes.end(child, grace_s)
    assert child.returncode not in {0, None}


@pytest.mark.anyio
async def test_a_child_that_has_ended_before_has_ended_by_itself() -> None:
    child = await started("raise SystemExit(7)")
    await child.wait()
    assert await processes.end(child, 0)
    assert child.returncode == 7


@pytest.mark.anyio
async def test_a_cancelled_end_kills_at_once() -> None:
    child = await started(NEVER_END)
    ending = asyncio.create_task(processes.end(child, 1000))
    await asyncio.sleep(0)  # it waits now
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert await asyncio.wait_for(child.wait(), PATIENCE) != 0


@posix
@pytest.mark.anyio
async def test_a_child_has_a_session_of_its_own() -> None:
    child = await started(READ_UNTIL_CLOSED)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    await processes.end(child, PATIENCE)


@pytest.mark.anyio
async def test_what_a_child_writes_can_be_read() -> None:
    program = "import sys; print('out'); print('error', file=sys.stderr)"
    child = await processes.start([sys.executable, "-c", program], ENVIRONMENT, stderr=subprocess.PIPE)
    assert [text.split() for text in await child.communicate()] == [[b"out"], [b"error"]]


# --- in the child


@contextmanager
def child_of_another(child: str, parent: str = "sys.stdin.read()") -> Iterator[tuple[psutil.Process, psutil.Process]]:
    """A parent, and the child that it has started with pipes; the child has printed a line. Both are killed after.

    child, parent: Python; what the child does, and what the parent does once the child has printed its line
    """
    start = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\n"
        "print(child.pid, flush=True)\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", start + parent], env=ENVIRONMENT, stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        found = psutil.Process(int(process.stdout.readline()))
        try:
            yield psutil.Process(process.pid), found
        finally:
            for one in alive([found]):
                one.kill()
            process.kill()


def exiting(then: str = "time.sleep(1000)", *, platform: str = sys.platform) -> str:
    """A child that ends with its parent, the way it does on this platform."""
    return (
        "import sys, time\n"
        "from app import processes\n"
        f"sys.platform = {platform!r}\n"
        "processes.exit_with_parent(5)\n"
        f"print('ready', flush=True)\n{then}"
    )


@pytest.mark.parametrize("platform", [sys.platform, "win32"])
def test_it_exits_when_its_standard_input_closes(platform: str) -> None:
    pipe = subprocess.PIPE
    program = [sys.executable, "-c", exiting(platform=platform)]
    with subprocess.Popen(program, env=ENVIRONMENT, stdin=pipe, stdout=pipe, bufsize=0) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"what is written is no end")
        assert child.stdout.readline() == b"ready\n"
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(PATIENCE) == 5


@pytest.mark.parametrize("platform", [sys.platform, "win32"])
def test_it_exits_when_its_parent_is_killed(platform: str) -> None:
    with child_of_another(exiting(platform=platform)) as (parent, child):
        parent.kill()
        wait_for(lambda: not alive([child]), "the end of the child")


@posix
def test_it_exits_when_its_parent_is_killed_and_another_process_holds_the_pipe() -> None:
    holds_the_pipe = f"os.fork() or time.sleep({PATIENCE})\nsys.stdin.read()"
    with child_of_another(exiting(), holds_the_pipe) as (parent, child):
        (holder,) = wait_for(lambda: [one for one in parent.children() if one != child])
        try:
            parent.kill()
            wait_for(lambda: not alive([child]), "the end of the child")
            assert alive([holder])
        finally:
            holder.kill()


IMPORTING = """
import ctypes, os, sys, threading, time
from app import processes
sys.platform = {platform!r}
with processes.killed_with_parent(os.getppid()):
    print("importing", flush=True)
    {importing}
"""


@pytest.mark.parametrize(
    ("platform", "importing"),
    [
        pytest.param("linux", "sum(range(10**15))", marks=linux, id="while no thread runs"),
        pytest.param("darwin", "time.sleep(1000)", marks=posix, id="without the help of Linux"),
    ],
)
def test_it_is_killed_with_its_parent_while_the_block_runs(platform: str, importing: str) -> None:
    with child_of_another(IMPORTING.format(platform=platform, importing=importing)) as (parent, child):
        assert alive([child])
        parent.kill()
        wait_for(lambda: not alive([child]), "the end of the child")


@linux
def test_neither_thread_nor_signal_is_left_after_the_block() -> None:
    program = IMPORTING.format(platform="linux", importing="pass") + (
        "signal = ctypes.c_int(-1)\n"
        "ctypes.CDLL(None).prctl(2, ctypes.byref(signal))\n"  # PR_GET_PDEATHSIG
        "print(threading.active_count(), signal.value)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert done.stdout == "importing\n1 0\n"


@posix
def test_it_ends_at_once_if_the_parent_had_ended_before() -> None:
    program = "import os; from app import processes\nwith processes.killed_with_parent(os.getpid()): print('never')"
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


# --- what every child pays


def test_children_import_it_cheaply() -> None:
    program = (
        "import sys; before = set(sys.modules); import app.processes, app.visdom.constants\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= sys.stdlib_module_names - {"asyncio", "subprocess"} | {"app"}
