"""A real board in a process of its own, as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import psutil

from app.schemas.view import View

PATIENCE = 120.0  # seconds in which whatever must come comes, on any machine; what is quick is measured in benchmarks
ENDED = {"finished", "stopped", "diverged", "failed", "interrupted"}


def wait_for[T](question: Callable[[], T], what: str = "it", seconds: float = PATIENCE) -> T:
    """Ask until the answer is true; AssertionError with the last answer if it never is."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s; last answer: {answer!r}"
        time.sleep(0.02)
    return answer


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; one that has ended and waits for whatever adopted it to notice does not."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def running(program: str, among: list[psutil.Process]) -> list[psutil.Process]:
    """Those of these processes that run this program, a module: a parent first, as psutil lists them."""
    found = []
    for process in alive(among):
        with suppress(psutil.NoSuchProcess):  # it may end at any moment
            if program in process.cmdline():
                found.append(process)
    return found


def suspend(process: psutil.Process) -> None:
    """Stop a process as SIGSTOP does; return when none of its threads runs any more.

    The signal alone is only sent: until the first thread has taken it, the others go on.
    """
    process.suspend()
    wait_for(lambda: process.status() == psutil.STATUS_STOPPED, f"the stop of process {process.pid}")


class BoardProcess:
    """`lossboard` started on a free port with its data in `folder`.

    prefix: a command that starts the command after it
    log: a file to which all that the board says on standard error is added
    """

    def __init__(
        self, folder: Path, *, prefix: Sequence[str] = (), log: Path | None = None, **environment: str
    ) -> None:
        self.folder = folder
        self._prefix = prefix
        self._log = log
        self._environment = {"LOSSBOARD_PRELOAD_TORCH": "false", "LOSSBOARD_TOKEN": "off", **environment}
        self.process: subprocess.Popen[str]
        self.client: httpx2.Client
        self.url = ""

    def start(self, *options: str) -> Self:
        """Start it and wait until it says where it is."""
        command = [
            *self._prefix,
            sys.executable,
            "-m",
            "app.cli",
            "--port",
            "0",
            "--no-browser",
            "--data-dir",
            str(self.folder),
        ]
        with self._log.open("ab") if self._log else nullcontext() as errors:
            self.process = subprocess.Popen(
                [*command, *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **self._environment},
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = next((line for line in self.process.stdout if "Lossboard is at" in line), "")
        assert line, f"the board ended with exit code {self.process.wait()} before it was up"
        self.url = line.split()[3]
        self.client = httpx2.Client(base_url=self.url, timeout=PATIENCE, trust_env=False)
        return self

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """End it with a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        code = self.process.wait(10)
        self.client.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def children(self) -> list[psutil.Process]:
        """Every process that the board has started and that lives."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def visdom(self) -> psutil.Process:
        """The child in which Visdom runs."""
        (child,) = running("app.visdom.server_process", self.children())
        return child

    def fork_server(self) -> psutil.Process:
        """The fork server that it started first, which forks the workers of numpy runs."""
        fork_servers = running("app.workers.fork_server", psutil.Process(self.process.pid).children())
        return min(fork_servers, key=lambda process: process.create_time())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- the API ------------------------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a successful GET."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, method: str = "gd", *, data: dict[str, Any] | None = None, **params: Any) -> dict[str, Any]:
        """Start a run."""
        body: dict[str, Any] = {"method": method, "params": params}
        if data is not None:
            body["data"] = data
        answer = self.client.post("/api/runs", json=body)
        assert answer.status_code == 201, answer.text
        run: dict[str, Any] = answer.json()
        return run

    def wait_until(self, run_id: str, *statuses: str) -> dict[str, Any]:
        """The run, once it has one of these statuses, or has ended; AssertionError if it ends with another."""

        def reached() -> dict[str, Any] | None:
            run: dict[str, Any] = self.get(f"/api/runs/{run_id}")
            return run if run["status"] in {*statuses, *ENDED} else None

        run = wait_for(reached, f"run {run_id} {statuses or 'ended'}")
        assert run is not None
        assert run["status"] in (statuses or ENDED), run
        return run

    def clear(self) -> None:
        """Delete every run, and show the board as it is when it is new."""
        while runs := self.get("/api/runs", limit=1000)["items"]:
            for run in runs:
                assert self.client.delete(f"/api/runs/{run['id']}").status_code == 204
        fresh = View().model_dump()
        assert self.client.patch("/api/board", json=fresh).json().items() >= {**fresh, "shown": []}.items()

    def wait_for_visdom(self) -> None:
        """Return once Visdom is up."""
        wait_for(lambda: self.get("/api/health")["visdom"] == "up", "Visdom up")
