"""Fork servers as the board sees them: the one in use, and those that hang while their workers go on.

A fork server hangs if it sends nothing in ``Patience.checks`` checks in a row, as after SIGSTOP. Checks are counted,
and not the time that they took: it may be this process that was suspended. Another one takes its place then, with the
jobs that it has not started. Its workers need it no more, they train and report by themselves: it is left alone until
the last of them has ended, and killed then. The jobs of one that has ended go to another too, but only once: it may be
such a job that ended it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import processes
from app.workers.executor import Job, WorkerEndListener, ignore_worker_end
from app.workers.program import start_module

STOP_GRACE_S = 1.0  # for a fork server to end when asked to
PROC = Path("/proc")  # of Linux: what is known of each process

log = logging.getLogger("lossboard.workers")


@dataclass(frozen=True)
class Patience:
    """How often a fork server is checked, and how many checks in a row it may miss: once it is ready, and before, while
    it imports what it preloads. If that was too few for an import, the next one gets twice as many."""

    interval_s: float = 1.0
    checks: int = 10
    import_checks: int = 60


class ForkServers:
    """Starts a fork server when one is first needed, and another after it has ended or while it hangs."""

    def __init__(self, *preload: str, patience: Patience = Patience()) -> None:
        self.on_end: WorkerEndListener = ignore_worker_end
        self._preload = preload
        self._patience = patience
        self._import_checks = patience.import_checks
        self._starting = asyncio.Lock()  # several runs may need one at once: it is started only once
        self._current: ForkServerProcess | None = None
        self._all: set[ForkServerProcess] = set()
        self._tried: set[str] = set()  # runs whose job a fork server had not started when it ended
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> ForkServerProcess:
        """The fork server in use; it is started if there is none. Raises OSError."""
        async with self._starting:
            if self._current is None:
                process = await start_module("app.workers.fork_server", str(os.getpid()), *self._preload)
                self._current = ForkServerProcess(process, self.on_end)
                self._all.add(self._current)
                self._run_in_background(self._keep(self._current))
            return self._current

    async def until_ready(self) -> None:
        """Return once the one in use, or whichever has taken its place by then, is ready. Raises OSError."""
        while not (server := await self.start()).ready.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.ready.wait(), self._patience.interval_s)

    async def run(self, job: Job) -> None:
        """Have a worker forked, which may have to wait until the fork server has imported what it preloads."""
        (await self.start()).run(job)

    def kill(self, run_id: str) -> None:
        """Kill the worker of a run, if it is a fork server's of these."""
        for server in self._all:
            server.kill(run_id)

    async def stop(self) -> None:
        """End every fork server and its workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(server.end() for server in self._all))

    async def _keep(self, server: ForkServerProcess) -> None:
        """Listen to a fork server and watch it until it has ended; then tell that its workers have."""
        watching = asyncio.create_task(self._watch(server))
        try:
            exit_code = await server.listen()
        finally:
            watching.cancel()
        if server is self._current:
            log.warning("a fork server ended with exit code %s", exit_code)
            self._current = None
        server.leave(exit_code, tried=self._tried)
        self._tried |= server.jobs
        if server.jobs:
            await self._give_jobs_of(server)
        self._all.discard(server)

    async def _watch(self, server: ForkServerProcess) -> None:
        missed = 0
        while missed < (self._patience.checks if server.ready.is_set() else self._import_checks):
            await asyncio.sleep(self._patience.interval_s)
            missed = 0 if server.check() else missed + 1
        await self._replace(server)
        while server.has_workers():  # noqa: ASYNC110  (some of their ends nothing tells)
            await asyncio.sleep(self._patience.interval_s)
        await server.end()

    async def _replace(self, server: ForkServerProcess) -> None:
        """Let another one take the place of a fork server that hangs."""
        log.warning("the fork server with process id %s does not respond; another one takes its place", server.pid)
        if not server.ready.is_set():
            self._import_checks *= 2
        if server is self._current:
            self._current = None
        await self._give_jobs_of(server)

    async def _give_jobs_of(self, server: ForkServerProcess) -> None:
        """Give the jobs that a fork server has not started to the one in use. It is started first: a job that is
        nobody's could not be killed meanwhile."""
        try:
            successor = await self.start()
        except OSError as error:
            log.warning("no fork server could be started: %s", error)
            for job in server.retire():
                self.on_end(job.run_id, 1)
        else:
            for job in server.retire():
                successor.run(job)

    def _run_in_background(self, doing: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class ForkServerProcess:
    """One fork server, and the runs that it has. ``ready`` is set once it has imported what it preloads."""

    def __init__(self, process: Process, on_end: WorkerEndListener) -> None:
        self.ready = asyncio.Event()
        self._process = process
        self._on_end = on_end
        self._jobs: dict[str, Job] = {}  # by run id; no worker of theirs is known
        self._workers: dict[str, int] = {}  # the process id of each run's worker
        self._unwanted: set[str] = set()  # runs to be killed that have not ended
        self._heard = True  # it has sent something since the last check
        self._retired = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def jobs(self) -> set[str]:
        """The runs whose job it has not started."""
        return set(self._jobs)

    def run(self, job: Job) -> None:
        """Have a worker forked."""
        self._jobs[job.run_id] = job
        self._send({"run": dataclasses.asdict(job)})

    def kill(self, run_id: str) -> None:
        """Kill the worker of a run, if this fork server has it."""
        if run_id not in self._jobs and run_id not in self._workers:
            return
        self._unwanted.add(run_id)
        if self._retired:
            self._kill_worker(run_id)
        else:
            self._send({"kill": run_id})

    async def listen(self) -> int:
        """Take what it sends until it ends; its exit code."""
        assert self._process.stdout is not None  # noqa: S101  (started with a pipe)
        async for line in self._process.stdout:
            self._heard = True
            self._take(json.loads(line))
        return await self._process.wait()

    def check(self) -> bool:
        """Whether it has sent anything since the last check. If so, it is asked to send something before the next."""
        heard, self._heard = self._heard, False
        if heard and self.ready.is_set():
            self._send({"ping": True})
        return heard

    def retire(self) -> list[Job]:
        """It hangs, or has ended: the jobs that it has not started, for another one to start; should it go on, it
        starts none of them. From now on the worker of a run is killed by its process id."""
        self._retired = True
        jobs, self._jobs = self._jobs, {}
        wanted = [job for run_id, job in jobs.items() if run_id not in self._unwanted]
        for run_id in jobs:
            self._send({"kill": run_id})
        for run_id in [*self._unwanted]:
            if run_id in jobs:
                self._end_run(run_id, -signal.SIGKILL)
            else:
                self._kill_worker(run_id)
        return wanted

    def has_workers(self) -> bool:
        """Whether a retired one still has workers; the ends of those that it has not told are noticed first."""
        for run_id, pid in [*self._workers.items()]:
            if (code := _exit_code_of(pid, self.pid)) is not None:
                self._end_run(run_id, code)
        return bool(self._workers)

    def leave(self, exit_code: int, tried: set[str]) -> None:
        """It has ended, with all of its workers; and so have the runs whose jobs were ``tried`` before in vain."""
        for run_id in [*self._workers, *(self._jobs.keys() & tried)]:
            self._end_run(run_id, exit_code)

    async def end(self) -> None:
        """End it and its workers."""
        if self._retired:
            for run_id in [*self._workers]:
                self._kill_worker(run_id)
        # One that imports does not read its standard input, nor does one that hangs.
        await processes.end(self._process, STOP_GRACE_S if self.ready.is_set() and not self._retired else 0)

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"ready": _}:
                self.ready.set()
            case {"started": run_id, "pid": pid} if run_id in self._jobs:
                del self._jobs[run_id]
                self._workers[run_id] = pid
            case {"ended": run_id, "code": code} if run_id in self._jobs or run_id in self._workers:
                self._end_run(run_id, code)

    def _end_run(self, run_id: str, code: int) -> None:
        self._jobs.pop(run_id, None)
        self._workers.pop(run_id, None)
        self._unwanted.discard(run_id)
        self._on_end(run_id, code)

    def _kill_worker(self, run_id: str) -> None:
        """Kill a worker whose parent hangs: until that has heard of its end, no other process gets its id."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._workers[run_id], signal.SIGKILL)
        if not PROC.exists():  # elsewhere has_workers() cannot notice its end
            self._end_run(run_id, -signal.SIGKILL)

    def _send(self, command: dict[str, Any]) -> None:
        if self._process.stdin and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(command).encode() + b"\n")


def _exit_code_of(pid: int, parent: int) -> int | None:
    """The exit code of a process that has ended and of which its parent has not heard yet. None if that is not so, or
    cannot be known: only Linux tells it to others than the parent."""
    try:
        state, parent_pid, *more = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return os.waitstatus_to_exitcode(int(more[47])) if state == "Z" and int(parent_pid) == parent else None
