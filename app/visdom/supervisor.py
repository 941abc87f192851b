"""A Visdom to connect to: a child of ours that is kept alive, or one that runs elsewhere."""

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

from app.visdom.connection import BASE_PATH, AnyVisdom

KEY_HEADER = "X-Lossboard-Key"
KEY_VARIABLE = "LOSSBOARD_VISDOM_KEY"

START_TIMEOUT = 30.0  # seconds a child may take until it answers; it needs about one
CHECK_INTERVAL = 1.0
SILENCE = 5.0  # a Visdom that has answered nothing for longer hangs
STEADY = 10.0  # a child that lived for longer did start well
GRACE = 1.0  # seconds a child has to end when asked to
LONGEST_PAUSE = 30.0

logger = logging.getLogger(__name__)


class ExternalVisdom(AnyVisdom):
    """A Visdom that runs already, LOSSBOARD_VISDOM_URL: asked every second whether it is there."""

    def __init__(self, url: str) -> None:
        super().__init__(url.rstrip("/"), headers={})

    async def _run(self) -> None:
        last_answer = -SILENCE
        while True:
            if await self.answers():
                last_answer = time.monotonic()
                self._become("up")
            elif time.monotonic() - last_answer >= SILENCE:
                self._become("down", f"No Visdom answers at {self.url}.")
            await asyncio.sleep(CHECK_INTERVAL)


class VisdomServer(AnyVisdom):
    """A Visdom of our own, child.py: started on a free loopback port, restarted when it dies or hangs.

    assets: the folder with the page's scripts, style sheets and fonts
    folder: a folder of the child's own; its style.css is written from `style` at every start
    style: CSS that themes Visdom's page
    port: 0 for any free one
    """

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
                await self._live()
            except _ChildError as error:
                reason = str(error)
            except Exception as error:  # whatever it is, the app lives on
                reason = f"Visdom cannot be started: {error}."
            logger.warning("%s", reason)
            was_up = self.state == "up"
            failures = 1 if was_up and time.monotonic() - began > STEADY else failures + 1
            self._become("starting" if was_up else "down", reason)
            await asyncio.sleep(pause_after(failures))

    async def _live(self) -> NoReturn:
        """See one child through from its start to its end. Raises _ChildError or OSError."""
        self._write_style()
        self._child = await _Child.spawn(self._command, key=self.headers[KEY_HEADER])
        try:
            await self._come_up(self._child)
            self._become("up")
            await self._watch(self._child)
        finally:
            await self._child.end()
            self._child = None

    def _write_style(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "style.css").write_text(self._style, encoding="utf-8")

    async def _come_up(self, child: "_Child") -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                self.url = f"http://127.0.0.1:{await child.port()}{BASE_PATH}"
                while not await self.answers():
                    await child.outlive(0.05)
        except TimeoutError:
            raise _ChildError(f"Visdom did not start within {START_TIMEOUT:.0f} seconds.") from None

    async def _watch(self, child: "_Child") -> NoReturn:
        """Raises _ChildError when the child ends, or has been silent too long.

        One missed answer proves nothing, however late it is: it may be this process that stood still.
        """
        last_answer, missed = time.monotonic(), 0
        while missed < 3 or time.monotonic() - last_answer < SILENCE:
            await child.outlive(CHECK_INTERVAL)
            if await self.answers():
                last_answer, missed = time.monotonic(), 0
            else:
                missed += 1
        raise _ChildError("Visdom stopped answering.")


def pause_after(failures: int) -> float:
    """Seconds until the next start: none after the first failure, then 0.5, 1, 2 … up to LONGEST_PAUSE."""
    return 0.0 if failures < 2 else min(LONGEST_PAUSE, 0.5 * 2.0 ** min(failures - 2, 10))


class _ChildError(Exception):
    """The child is no more, or has to go; the text is a sentence for people."""


class _Child:
    """The child's process: its input ties it to us, its output tells the port, its errors go to our log."""

    def __init__(self, process: Process) -> None:
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018  (all are pipes)
        self.pid = process.pid
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self._last_words = ""
        self._errors = asyncio.create_task(self._log(process.stderr))

    @classmethod
    async def spawn(cls, command: list[str], key: str) -> "_Child":
        """Start it, in a process group of its own: Ctrl-C is for us to handle. Raises OSError."""
        root = str(Path(__file__).parents[2])  # where `app` is, installed or not
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        pipe = subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, KEY_VARIABLE: key, "PYTHONPATH": path},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,  # POSIX
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # Windows
        )
        return cls(process)

    async def port(self) -> int:
        """The port it says it listens on. Raises _ChildError."""
        line = await self._output.readline()
        if not line:
            await self._raise_ended()
        return int(line)

    async def outlive(self, seconds: float) -> None:
        """Wait so long. Raises _ChildError as soon as the process ends."""
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return
        await self._raise_ended()

    async def end(self) -> None:
        """Ask it to end by closing its input, kill it after GRACE; return when it is gone."""
        self._input.close()
        try:
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        except TimeoutError:
            logger.warning("Visdom did not end when asked to; it is killed.")
        finally:
            if self._process.returncode is None:
                self._process.kill()
        await self._process.wait()
        await asyncio.wait([self._errors], timeout=GRACE)
        self._errors.cancel()

    async def _raise_ended(self) -> NoReturn:
        code = await self._process.wait()
        await asyncio.wait([self._errors], timeout=GRACE)
        raise _ChildError(f"Visdom ended with exit code {code}. {self._last_words}".rstrip())

    async def _log(self, errors: asyncio.StreamReader) -> None:
        while chunk := await errors.read(65536):
            if text := chunk.decode(errors="replace").strip():
                logger.warning("Visdom: %s", text)
                self._last_words = text.splitlines()[-1]
