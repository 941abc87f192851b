"""Workers on this machine: forked from fork servers, or started one by one where processes cannot be forked."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
from asyncio.subprocess import Process

from app import processes
from app.workers.executor import Executor, Job, WorkerEndListener, ignore_worker_end
from app.workers.fork_servers import ForkServers, Patience
from app.workers.program import start_module
from trainers import METHODS

STOP_GRACE_S = 1.0  # for a process to end when asked to

log = logging.getLogger("lossboard.workers")


def local_executor(*, preload_torch: bool) -> Executor:
    """The executor that fits this machine."""
    return ForkingExecutor(preload_torch=preload_torch) if hasattr(os, "fork") else SpawningExecutor()


class ForkingExecutor:
    """Forks workers from two fork servers, so that a numpy run never waits for torch to be imported."""

    def __init__(self, *, preload_torch: bool, patience: Patience = Patience()) -> None:  # noqa: B008  (it is frozen)
        self._numpy = ForkServers(patience=patience)
        self._torch = ForkServers("torch", patience=patience)
        self._preload_torch = preload_torch
        self._preloading: asyncio.Task[None] | None = None

    async def start(self, on_end: WorkerEndListener) -> None:
        self._numpy.on_end = self._torch.on_end = on_end
        try:
            await self._numpy.start()
        except OSError as error:  # the first run tries again
            log.warning("no fork server could be started: %s", error)
        if self._preload_torch:
            self._preloading = asyncio.create_task(self._preload())

    async def run(self, job: Job) -> None:
        await (self._torch if METHODS[job.method].needs_torch else self._numpy).run(job)

    async def kill(self, run_id: str) -> None:
        self._numpy.kill(run_id)
        self._torch.kill(run_id)

    async def stop(self) -> None:
        if self._preloading:
            self._preloading.cancel()
        await asyncio.gather(self._numpy.stop(), self._torch.stop())

    async def _preload(self) -> None:
        try:
            await self._numpy.until_ready()  # two imports at once share the cores: the first run would wait longer
            await self._torch.start()
        except OSError as error:  # the first torch run tries again
            log.warning("torch is not imported yet: no fork server could be started (%s)", error)


class SpawningExecutor:
    """Starts a new Python process for every run: slower than forking, and possible on every system."""

    def __init__(self) -> None:
        self._on_end: WorkerEndListener = ignore_worker_end
        self._processes: dict[str, Process] = {}
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self, on_end: WorkerEndListener) -> None:
        self._on_end = on_end

    async def run(self, job: Job) -> None:
        process = await start_module("app.workers.worker")
        assert process.stdin is not None  # noqa: S101  (started with a pipe)
        self._processes[job.run_id] = process
        process.stdin.write(json.dumps(dataclasses.asdict(job)).encode() + b"\n")
        task = asyncio.create_task(self._watch(job.run_id, process))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def kill(self, run_id: str) -> None:
        if process := self._processes.get(run_id):
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    async def stop(self) -> None:
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*(processes.end(process, STOP_GRACE_S) for process in self._processes.values()))

    async def _watch(self, run_id: str, process: Process) -> None:
        exit_code = await process.wait()
        del self._processes[run_id]
        self._on_end(run_id, exit_code)
