"""A program that imports what trainers need once, then forks a worker for each job in milliseconds.

``python -m app.workers.fork_server BOARD_PID [torch]`` reads lines of JSON, ``{"run": {job}}`` and ``{"kill": id}``,
and writes ``{"ready": true}`` and ``{"ended": id, "code": exit code}``. When its standard input closes, because the
board asked or died, it kills its workers and ends; when it is killed itself, its workers notice and end.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import selectors
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from app.workers.executor import Job
from app.workers.priority import step_back
from app.workers.worker import work

PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal to get when the parent ends


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal: the board decides what ends
    board, *preload = sys.argv[1:]
    if "torch" in preload:
        with _ending_with(int(board)):
            _preload_torch()
    step_back()  # not while torch is being imported: someone may wait for it
    with suppress(BrokenPipeError):  # the board is gone: its workers end as their pipe closes with this process
        Nursery().serve()
    os._exit(0)  # torch takes a second and more to take itself apart


@contextmanager
def _ending_with(board: int) -> Iterator[None]:
    """While nobody reads standard input, end this process when the board, its parent, is gone."""
    done = threading.Event()
    if sys.platform == "linux":  # a thread would not do: loading torch's libraries holds Python up for seconds
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != board:  # it was gone before
            os._exit(1)

    def watch() -> None:
        while os.getppid() == board:
            if done.wait(0.2):
                return
        os._exit(1)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()  # a process that forks should have no other thread


def _preload_torch() -> None:
    torch = importlib.import_module("torch")
    # The first optimizer of a process imports for seconds more.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


class Nursery:
    """The workers that were forked and have not ended."""

    def __init__(self) -> None:
        self._workers: dict[int, str] = {}
        self._life, self._life_end = os.pipe()  # nothing is ever written: it closes when this process is gone
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Do what comes in until nothing can come any more."""
        self._say({"ready": True})
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            pending = b""
            while True:
                for key, _ in selector.select():
                    if key.fd == self._woken:
                        with suppress(BlockingIOError):
                            os.read(self._woken, 4096)
                        self._reap()
                        continue
                    received = os.read(key.fd, 1 << 16)
                    if not received:
                        self._kill_all()
                        return
                    *lines, pending = (pending + received).split(b"\n")
                    for line in lines:
                        self._obey(json.loads(line))

    def _obey(self, order: dict[str, Any]) -> None:
        if "run" in order:
            self._fork(Job(**order["run"]))
        for pid, run_id in self._workers.items():
            if run_id == order.get("kill"):
                os.kill(pid, signal.SIGKILL)

    def _fork(self, job: Job) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # too many processes: the other workers can go on
            sys.stderr.write(f"no worker could be forked: {error}\n")
            self._say({"ended": job.run_id, "code": 1})
            return
        if pid:
            self._workers[pid] = job.run_id
            return
        code = 1
        try:
            self._become_worker()
            work(job)
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)  # none of what the nursery would clean up belongs to a worker

    def _become_worker(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._life_end)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)  # what a trainer prints must not look like the nursery's own words

        def end_with_the_nursery() -> None:
            os.read(self._life, 1)
            os._exit(1)

        threading.Thread(target=end_with_the_nursery, daemon=True).start()

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._say({"ended": self._workers.pop(pid), "code": os.waitstatus_to_exitcode(status)})

    def _kill_all(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)

    @staticmethod
    def _say(what: dict[str, Any]) -> None:
        os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
