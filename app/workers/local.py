"""Workers on this machine: forked from fork servers, or started one by one where processes cannot be forked."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import sys
from asyncio.subprocess import Process
from typing import Any

from app import processes
from app.workers.executor import Executor, Job, WorkerEndListener, ignore_worker_end
from trainers import METHODS

STOP_GRACE_S = 1.0  # for a process to end when asked to

log = logging.getLogger("lossboard.workers")


def local_executor(*, preload_torch: bool) -> Executor:
    """The executor that fits this machine."""
    return ForkingExecutor(preload_torch=preload_torch) if hasattr(os, "fork") else SpawningExecutor()


class ForkingExecutor:
    """Forks workers from two fork servers, so that a numpy run never waits for torch to be imported."""

    def __init__(self, *, preload_torch: bool) -> None:
        self._numpy = ForkServerProcess()
        self._torch = ForkServerProcess("torch")
        self._preload_torch = preload_torch
        self._preloading: asyncio.Task[None] | None = None

    async def start(self, on_end: WorkerEndListener) -> None:
        self._numpy.on_end = self._torch.on_end = on_end
        await self._numpy.start()
        if self._preload_torch:
            self._preloading = asyncio.create_task(self._preload())

    async def run(self, job: Job) -> None:
        await (self._torch if METHODS[job.method].needs_torch else self._numpy).run(job)

    async def kill(self, run_id: str) -> None:
        await self._numpy.kill(run_id)
        await self._torch.kill(run_id)

    async def stop(self) -> None:
        if self._preloading:
            self._preloading.cancel()
        await asyncio.gather(self._numpy.stop(), self._torch.stop())

    async def _preload(self) -> None:
        await self._numpy.ready.wait()  # two imports at once share the cores, and the first run would wait longer
        await self._torch.start()


class ForkServerProcess:
    """A fork server as its parent sees it: started when first needed, and again after it has ended."""

    def __init__(self, *preload: str) -> None:
        self.on_end: WorkerEndListener = ignore_worker_end
        self.ready = asyncio.Event()  # it has imported what it preloads
        self._preload = preload
        self._process: Process | None = None
        self._starting = asyncio.Lock()  # several runs may need it at once: it is started only once
        self._listening: asyncio.Task[None] | None = None
        self._running: set[str] = set()

    async def start(self) -> None:
        """Start the process unless it runs."""
        async with self._starting:
            if self._process is None:
                self._process = await _start_module("app.workers.fork_server", str(os.getpid()), *self._preload)
                self._listening = asyncio.create_task(self._listen(self._process))

    async def run(self, job: Job) -> None:
        """Have a worker forked, which may have to wait until the fork server has imported what it preloads."""
        await self.start()
        self._running.add(job.run_id)
        await self._send({"run": dataclasses.asdict(job)})

    async def kill(self, run_id: str) -> None:
        """Kill a worker of this fork server."""
        if run_id in self._running:
            await self._send({"kill": run_id})

    async def stop(self) -> None:
        """End the fork server and its workers."""
        if self._listening:
            self._listening.cancel()
        if self._process:
            # While it imports it does not read its standard input.
            await processes.end(self._process, STOP_GRACE_S if self.ready.is_set() else 0)

    async def _send(self, command: dict[str, Any]) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            with contextlib.suppress(ConnectionError):  # it has ended: _listen reports the end of its workers
                await self._process.stdin.drain()

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101  (started with a pipe)
        async for line in process.stdout:
            message = json.loads(line)
            if "ready" in message:
                self.ready.set()
            if "ended" in message:
                self._running.discard(message["ended"])
                self.on_end(message["ended"], message["code"])
        exit_code = await process.wait()
        log.warning("a fork server ended with exit code %s", exit_code)
        self._process = None
        self.ready.clear()
        lost, self._running = self._running, set()
        for run_id in lost:
            self.on_end(run_id, exit_code)


class SpawningExecutor:
    """Starts a new Python process for every run: slower than forking, and possible on every system."""

    def __init__(self) -> None:
        self._on_end: WorkerEndListener = ignore_worker_end
        self._processes: dict[str, Process] = {}
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self, on_end: WorkerEndListener) -> None:
        self._on_end = on_end

    async def run(self, job: Job) -> None:
        process = await _start_module("app.workers.worker")
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


async def _start_module(module: str, *arguments: str) -> Process:
    # Runs share the cores: more threads for one product of matrices only take them from the others.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return await processes.start([sys.executable, "-P", "-m", module, *arguments], environment)
