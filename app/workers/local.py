"""Workers on this machine: forked from nurseries, or started one by one where processes cannot be forked."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from typing import Any

from app.workers.executor import Ended, Engine, Job, nobody
from trainers import METHODS

log = logging.getLogger("lossboard.workers")


def local_engine(*, preload_torch: bool) -> Engine:
    """The engine that fits this machine."""
    return ForkingEngine(preload_torch=preload_torch) if hasattr(os, "fork") else SpawningEngine()


class ForkingEngine:
    """Two nurseries, so that a numpy run never waits for torch to be imported."""

    def __init__(self, *, preload_torch: bool) -> None:
        self._numpy = NurseryProcess()
        self._torch = NurseryProcess("torch")
        self._preload_torch = preload_torch
        self._preloading: asyncio.Task[None] | None = None

    async def start(self, on_end: Ended) -> None:
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
        await self._numpy.ready.wait()  # the first run need not wait for two imports that share the cores
        await self._torch.start()


class NurseryProcess:
    """A nursery, started again when it is needed and gone."""

    def __init__(self, *preload: str) -> None:
        self.on_end: Ended = nobody
        self.ready = asyncio.Event()  # it has imported what it preloads
        self._preload = preload
        self._process: Process | None = None
        self._starting = asyncio.Lock()  # many runs may find it gone at once: one of them starts it, for all
        self._listening: asyncio.Task[None] | None = None
        self._running: set[str] = set()

    async def start(self) -> None:
        """Start the process unless it runs."""
        async with self._starting:
            if self._process is None:
                self._process = await _start_program("app.workers.fork_server", str(os.getpid()), *self._preload)
                self._listening = asyncio.create_task(self._listen(self._process))

    async def run(self, job: Job) -> None:
        """Have a worker forked; it may have to wait until the nursery has imported what it needs."""
        await self.start()
        self._running.add(job.run_id)
        await self._order({"run": dataclasses.asdict(job)})

    async def kill(self, run_id: str) -> None:
        """Kill a worker of this nursery."""
        if run_id in self._running:
            await self._order({"kill": run_id})

    async def stop(self) -> None:
        """End the nursery and its workers."""
        if self._listening:
            self._listening.cancel()
        if self._process:
            # One that still imports does not read its input.
            await _end_program(self._process, 1 if self.ready.is_set() else 0)

    async def _order(self, order: dict[str, Any]) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            with contextlib.suppress(ConnectionError):  # it died: _listen tells of its workers
                await self._process.stdin.drain()

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101  (started with a pipe)
        async for line in process.stdout:
            said = json.loads(line)
            if "ready" in said:
                self.ready.set()
            if "ended" in said:
                self._running.discard(said["ended"])
                self.on_end(said["ended"], said["code"])
        code = await process.wait()
        log.warning("a nursery of workers ended with exit code %s", code)
        self._process = None
        self.ready.clear()
        lost, self._running = self._running, set()
        for run_id in lost:
            self.on_end(run_id, code)


class SpawningEngine:
    """A fresh program for every run: slower to start, and all that some systems have."""

    def __init__(self) -> None:
        self._on_end: Ended = nobody
        self._processes: dict[str, Process] = {}
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self, on_end: Ended) -> None:
        self._on_end = on_end

    async def run(self, job: Job) -> None:
        process = await _start_program("app.workers.worker")
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
        await asyncio.gather(*(_end_program(process) for process in self._processes.values()))

    async def _watch(self, run_id: str, process: Process) -> None:
        code = await process.wait()
        del self._processes[run_id]
        self._on_end(run_id, code)


def _apart() -> dict[str, Any]:
    """A session of its own: what is typed at the board's terminal does not reach it."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


async def _start_program(module: str, *arguments: str) -> Process:
    # Runs share the cores: more threads for one product of matrices only take them from the others.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = (sys.executable, "-P", "-m", module, *arguments)
    return await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, env=environment, **_apart())


async def _end_program(process: Process, patience: float = 1) -> None:
    """Close its standard input, which ends it; kill it if it has not ended after so many seconds."""
    if process.stdin:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), patience)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
