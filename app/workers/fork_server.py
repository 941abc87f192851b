"""A program that imports what trainers need once, then forks a worker for each job in milliseconds.

``python -m app.workers.fork_server BOARD_PID [torch]`` reads lines of JSON, ``{"run": {job}}``, ``{"kill": id}`` and
``{"ping": true}``, and writes ``{"ready": true}``, ``{"started": id, "pid": process id}``, ``{"ended": id, "code": exit
code}`` and ``{"pong": true}``. When its standard input closes, at the board's request or its end, it kills its workers
and ends. When it is killed itself, its workers end too.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import sys
import traceback
from contextlib import suppress
from typing import Any

from app import processes
from app.workers.executor import Job
from app.workers.priority import lower_priority
from app.workers.worker import work

READ_SIZE = 1 << 16  # bytes


def main() -> None:
    """Serve until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at Ctrl-C the board ends this process, in its own time
    board, *preload = sys.argv[1:]
    if "torch" in preload:
        with processes.killed_with_parent(int(board)):
            _preload_torch()
    lower_priority()  # not while torch is being imported: a run may wait for it
    with suppress(BrokenPipeError):  # the board has ended; the workers end as their pipe closes with this process
        ForkServer().serve()
    os._exit(0)  # torch takes more than a second for a regular exit


def _preload_torch() -> None:
    torch = importlib.import_module("torch")
    # The first optimizer of a process imports more, which takes seconds.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


class ForkServer:
    """Forks, kills and reaps workers at the board's command."""

    def __init__(self) -> None:
        self._workers: dict[int, str] = {}  # the run of each, by process id
        self._parent_pipe, self._parent_pipe_end = os.pipe()  # of all workers; nothing is written to it
        self._wakeup, wakeup_end = os.pipe()  # gets a byte when a worker has ended
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_end, False)
        signal.set_wakeup_fd(wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Carry out commands until standard input closes."""
        self._send({"ready": True})
        with selectors.DefaultSelector() as selector:
            selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
            selector.register(self._wakeup, selectors.EVENT_READ)
            pending = b""
            while True:
                for key, _ in selector.select():
                    if key.fd == self._wakeup:
                        with suppress(BlockingIOError):
                            os.read(self._wakeup, READ_SIZE)
                        self._reap()
                        continue
                    received = os.read(key.fd, READ_SIZE)
                    if not received:
                        self._kill_all()
                        return
                    *lines, pending = (pending + received).split(b"\n")
                    self._carry_out([json.loads(line) for line in lines])

    def _carry_out(self, commands: list[dict[str, Any]]) -> None:
        """Commands that have come together, as after this process was suspended: what is to be killed by then is not
        started any more."""
        unwanted = {command.get("kill") for command in commands}
        for command in commands:
            match command:
                case {"ping": _}:
                    self._send({"pong": True})
                case {"run": {"run_id": run_id}} if run_id in unwanted:
                    self._send({"ended": run_id, "code": -signal.SIGKILL})
                case {"run": job}:
                    self._fork(Job(**job))
                case {"kill": run_id}:
                    self._kill(run_id)

    def _kill(self, run_id: str) -> None:
        for pid, own in self._workers.items():
            if own == run_id:
                os.kill(pid, signal.SIGKILL)

    def _fork(self, job: Job) -> None:
        try:
            pid = os.fork()
        except OSError as error:  # too many processes; the other workers go on
            sys.stderr.write(f"no worker could be forked: {error}\n")
            self._send({"ended": job.run_id, "code": 1})
            return
        if pid:
            self._workers[pid] = job.run_id
            self._send({"started": job.run_id, "pid": pid})
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
            os._exit(code)  # without the clean-up at a regular exit: it is for the fork server to do

    def _become_worker(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._parent_pipe_end)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # the commands are for the fork server
        os.dup2(2, 1)  # what a trainer prints must not be taken for the fork server's messages
        processes.exit_with_parent(1, self._parent_pipe)

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._send({"ended": self._workers.pop(pid), "code": os.waitstatus_to_exitcode(status)})

    def _kill_all(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)

    @staticmethod
    def _send(message: dict[str, Any]) -> None:
        os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
