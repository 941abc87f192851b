"""What the log says, and what it holds back."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.log import REPEAT_AFTER_S, NoFloods

ROOT = Path(__file__).parents[3]
NO_MORE_FILES = OSError(errno.EMFILE, "Too many open files")


class Log:
    """A logger with the filter, its clock, and what it has said so far."""

    def __init__(self) -> None:
        self.now = 100.0
        self.said: list[str] = []
        self.logger = logging.Logger("test")
        handler = logging.Handler()
        handler.emit = self._emit  # type: ignore[method-assign]
        handler.addFilter(NoFloods(lambda: self.now))
        self.logger.addHandler(handler)

    def _emit(self, record: logging.LogRecord) -> None:
        self.said.append(logging.Formatter("%(levelname)s: %(message)s").format(record))


@pytest.fixture
def log() -> Log:
    return Log()


def test_a_sentence_is_said_once_in_a_while_and_then_how_often_it_was_held_back(log: Log) -> None:
    for _ in range(5):
        log.logger.warning("the disk of %s is full", "a")
    log.logger.warning("the disk of %s is full", "b")
    assert log.said == ["WARNING: the disk of a is full", "WARNING: the disk of b is full"]
    log.now += REPEAT_AFTER_S
    for _ in range(3):
        log.logger.warning("the disk of %s is full", "a")
    assert log.said[2:] == ["WARNING: the disk of a is full (and 4 times more since it was last said)"]
    log.now += REPEAT_AFTER_S
    log.logger.warning("the disk of %s is full", "b")
    assert log.said[3:] == ["WARNING: the disk of b is full"]


def because_of(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        NO_MORE_FILES,
        OSError(errno.ENFILE, "Too many open files in system"),
        because_of(NO_MORE_FILES, RuntimeError("it has started")),
        ExceptionGroup("in a task", [ValueError(), because_of(NO_MORE_FILES, KeyError())]),
    ],
)
def test_that_no_more_files_can_be_opened_is_a_sentence_and_no_traceback(log: Log, error: Exception) -> None:
    for what in ("Exception in ASGI application", "socket.accept() out of system resource"):
        log.logger.error(what, exc_info=error)
    (line,) = log.said
    assert line.startswith("WARNING: No more files can be opened")
    assert "Too many open files" in line
    assert "\n" not in line


def test_every_traceback_of_another_error_is_shown(log: Log) -> None:
    for _ in range(2):
        log.logger.error("it failed", exc_info=FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert log.said == ["ERROR: it failed\nFileNotFoundError: [Errno 2] No such file or directory"] * 2


def test_the_web_server_says_it_no_other_way() -> None:
    program = (
        "import errno, logging, uvicorn; from app.cli import log\n"
        "log.configure(); uvicorn.Config(None, log_level='warning')\n"
        "error = OSError(errno.EMFILE, 'Too many open files')\n"
        "for name in ('uvicorn.error', 'asyncio', 'uvicorn.error'): logging.getLogger(name).error('x', exc_info=error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    (line,) = done.stderr.splitlines()
    assert "No more files can be opened" in line
