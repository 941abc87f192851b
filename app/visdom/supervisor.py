"""A Visdom to connect to: a child process that is kept running, or a server that runs elsewhere."""

import asyncio
import logging
import os
import secrets
import subprocess
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path
from typing import NoReturn

import lossboard
from app import processes
from app.visdom.connection import AnyVisdom
from app.visdom.constants import BASE_PATH, KEY_HEADER

START_TIMEOUT_S = 30.0  # until the child responds; it needs about one
START_CHECK_INTERVAL_S = 0.05
CHECK_INTERVAL_S = 1.0
UNRESPONSIVE_AFTER_S = 5.0  # a Visdom that has not responded for longer hangs
UNRESPONSIVE_CHECKS = 3  # and has failed so many checks in a row
STABLE_AFTER_S = 10.0  # a child that was up for longer did start well: its failure is counted as the first
STOP_GRACE_S = 1.0  # for the child to end when asked to
MAX_RESTART_DELAY_S = 30.0

logger = logging.getLogger(__name__)


class ExternalVisdom(AnyVisdom):
    """A Visdom that runs already, at LOSSBOARD_VISDOM_URL: checked every second."""

    def __init__(self, url: str) -> None:
        super().__init__(url.rstrip("/"), headers={})

    async def _run(self) -> None:
        last_response = -UNRESPONSIVE_AFTER_S
        while True:
            if await self.responds():
                last_response = time.monotonic()
                self._set_state("up")
            elif time.monotonic() - last_response >= UNRESPONSIVE_AFTER_S:
                self._set_state("down", f"No Visdom answers at {self.url}.")
            await asyncio.sleep(CHECK_INTERVAL_S)


class VisdomServer(AnyVisdom):
    """A child process that runs server_process.py: started on a loopback port, restarted when it ends or hangs.

    assets: the folder with the page's scripts, style sheets and fonts
    folder: a folder for the child alone; its style.css is written from `style` at every start
    style: CSS that themes Visdom's page
    port: 0 for any free one
    """

    tells_windows = True

    def __init__(
        self, *, assets: Path, folder: Path, style: str = "", port: int = 0, python: str = sys.executable
    ) -> None:
        super().__init__(f"http://127.0.0.1:{port}{BASE_PATH}", {KEY_HEADER: secrets.token_urlsafe(32)})
        self._folder = folder.absolute()
        self._style = style
        self._command = [
            *(python, "-P", "-W", "ignore", "-m", "app.visdom.server_process"),
            *("--assets", str(assets.absolute()), "--env-path", str(self._folder), "--port", str(port)),
        ]
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return self._child.pid if self._child else None

    async def _run(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            try:
                await self._run_child()
            except _ChildError as error:
                reason = str(error)
            except Exception as error:  # whatever it is, the board goes on without Visdom
                reason = f"Visdom cannot be started: {error}."
            logger.warning("%s", reason)
            was_up = self.state == "up"
            failures = 1 if was_up and time.monotonic() - began > STABLE_AFTER_S else failures + 1
            self._set_state("starting" if was_up else "down", reason)
            await asyncio.sleep(restart_delay(failures))

    async def _run_child(self) -> NoReturn:
        """Start a child, watch it, and end it. Raises _ChildError or OSError."""
        self._write_style()
        self._child = await _Child.start(self._command, key=self.headers[KEY_HEADER])
        try:
            await self._wait_until_responding(self._child)
            self._set_state("up")
            await self._watch(self._child)
        finally:
            await self._child.end()
            self._child = None

    def _write_style(self) -> None:
        self._folder.mkdir(0o700, parents=True, exist_ok=True)
        path = self._folder / "style.css"
        path.unlink(missing_ok=True)  # what a link there points to is not written
        lossboard.write(path, self._style.encode())

    async def _wait_until_responding(self, child: "_Child") -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                self.url = f"http://127.0.0.1:{await child.port()}{BASE_PATH}"
                while not await self.responds():
                    await child.sleep(START_CHECK_INTERVAL_S)
        except TimeoutError:
            raise _ChildError(f"Visdom did not start within {START_TIMEOUT_S:.0f} seconds.") from None

    async def _watch(self, child: "_Child") -> NoReturn:
        """Check the child until it ends or hangs: _ChildError.

        One failed check proves nothing, however long it took: it may be this process that was suspended.
        """
        last_response, failed = time.monotonic(), 0
        while failed < UNRESPONSIVE_CHECKS or time.monotonic() - last_response < UNRESPONSIVE_AFTER_S:
            await child.sleep(CHECK_INTERVAL_S)
            if await self.responds():
                last_response, failed = time.monotonic(), 0
            else:
                failed += 1
        raise _ChildError("Visdom stopped answering.")


def restart_delay(failures: int) -> float:
    """Seconds until the next start: none after the first failure, then 0.5, 1, 2 … up to MAX_RESTART_DELAY_S."""
    return 0.0 if failures < 2 else min(MAX_RESTART_DELAY_S, 0.5 * 2.0 ** min(failures - 2, 10))


class _ChildError(Exception):
    """The child has ended, or has to be ended; the text is a sentence for people."""


class _Child:
    """A running child: it writes its port to its standard output; what it writes to standard error is logged."""

    def __init__(self, process: Process) -> None:
        assert process.stdout and process.stderr  # noqa: S101, PT018  (both are pipes)
        self.pid = process.pid
        self._process = process
        self._output = process.stdout
        self._last_error_line = ""
        self._errors = asyncio.create_task(self._log(process.stderr))

    @classmethod
    async def start(cls, command: list[str], key: str) -> "_Child":
        """Start it, with none of the board's settings, and hand it its key. Raises OSError."""
        root = str(Path(__file__).parents[2])  # where `app` is, installed or not
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LOSSBOARD_")}
        process = await processes.start(command, {**environment, "PYTHONPATH": path}, stderr=subprocess.PIPE)
        assert process.stdin  # noqa: S101  (a pipe)
        process.stdin.write(key.encode() + b"\n")
        return cls(process)

    async def port(self) -> int:
        """The port it listens on. Raises _ChildError."""
        line = await self._output.readline()
        if not line:
            await self._raise_ended()
        return int(line)

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds. Raises _ChildError as soon as the process ends."""
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return
        await self._raise_ended()

    async def end(self) -> None:
        """Ask it to end, kill it after STOP_GRACE_S; return when it has ended and its errors are logged."""
        if not await processes.end(self._process, STOP_GRACE_S):
            logger.warning("Visdom did not end when asked to; it was killed.")
        await asyncio.wait([self._errors], timeout=STOP_GRACE_S)
        self._errors.cancel()

    async def _raise_ended(self) -> NoReturn:
        code = await self._process.wait()
        await asyncio.wait([self._errors], timeout=STOP_GRACE_S)
        raise _ChildError(f"Visdom ended with exit code {code}. {self._last_error_line}".rstrip())

    async def _log(self, errors: asyncio.StreamReader) -> None:
        while chunk := await errors.read(65536):
            if text := chunk.decode(errors="replace").strip():
                logger.warning("Visdom: %s", text)
                self._last_error_line = text.splitlines()[-1]
