"""The log: sentences on standard error, and none of them again and again."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable

from app.errors import out_of_files

REPEAT_AFTER_S = 60.0  # until what was said before is said again
MAX_REMEMBERED = 1000  # different sentences
CHECK_INTERVAL_S = 5.0  # between two looks whether files can still be opened

_NO_MORE_FILES = (
    "No more files can be opened, connections included (%s): what needs one fails until others are closed. `ulimit -n`"
    " sets how many a program may have open."
)

log = logging.getLogger("lossboard.log")


def configure() -> None:
    """Log warnings and errors to standard error, those of the web server too."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    no_floods = NoFloods()
    for handler in logging.getLogger().handlers:
        handler.addFilter(no_floods)
    logging.getLogger("uvicorn.error").addFilter(no_floods)  # it has a handler of its own


class NoFloods(logging.Filter):
    """Lets the same sentence pass once in REPEAT_AFTER_S, and says how often it was held back. A traceback always
    passes, but for one of an error that is no fault of the program: that no more files can be opened."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is to be written; it may be changed."""
        error = record.exc_info[1] if record.exc_info else None
        if reason := out_of_files(error):
            record.msg, record.args, record.exc_info, record.exc_text = _NO_MORE_FILES, (reason,), None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        elif error:
            return True
        sentence = record.getMessage()
        now = self._clock()
        if now - self._said_at.get(sentence, -math.inf) < REPEAT_AFTER_S:
            self._held_back[sentence] = self._held_back.get(sentence, 0) + 1
            return False
        if len(self._said_at) >= MAX_REMEMBERED:
            self._said_at.clear()
            self._held_back.clear()
        self._said_at[sentence] = now
        if times := self._held_back.pop(sentence, 0):
            record.msg, record.args = "%s (and %d times more since it was last said)", (sentence, times)
        return True


async def watch_open_files() -> None:
    """Say it when no more files can be opened: some of those who need one get no error. Runs for ever."""
    while True:
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            log.warning("no file can be opened", exc_info=error)
        await asyncio.sleep(CHECK_INTERVAL_S)
