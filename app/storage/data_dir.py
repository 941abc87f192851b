"""The data folder: made, claimed for one board alone, and seen to be usable before anything is started."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from app.storage.database import DATABASE_FILE, POLL_S, Database, DatabaseLockedError
from app.storage.private import LOCK_FILE, make_private

log = logging.getLogger("lossboard.data")


class DataDirError(Exception):
    """The folder cannot be this board's; the text says why and what to do."""


class Claim(contextlib.ExitStack):
    """What keeps other boards off a data folder, until it is released or its process ends, whatever ends that."""

    def release(self) -> None:
        """Let another board have the folder."""
        self.close()


def claim(folder: Path) -> Claim:
    """Make the folder, take it for this process, and see that its database can be used. Keep what is returned for as
    long as the board lives. Waits while another program holds the database, and says so once. Raises DataDirError or
    DatabaseError."""
    with take(folder) as held:
        wait_until_free(lambda: Database(folder / DATABASE_FILE).close())
        return held.pop_all()


def take(folder: Path) -> Claim:
    """Make the folder, and take it for this process; until it is released, what the process and its children make is
    their user's alone. Raises DataDirError.

    The locks are the operating system's: one on a file in the folder, which means nothing when it stays behind, and one
    on the folder itself, as a file may be deleted.
    """
    with Claim() as held:
        try:
            held.callback(os.umask, os.umask(0o077))
            make_private(folder)
            held.enter_context(FileLock(folder / LOCK_FILE, blocking=False, fallback_to_soft=False))
            _lock_folder(folder, held)
        except (Timeout, BlockingIOError):
            raise DataDirError(
                f"Another board is running on the data folder {folder}. Use that one, or start this one on a folder of"
                " its own with --data-dir."
            ) from None
        except (OSError, NotImplementedError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataDirError(
                f"The data folder {folder} cannot be used: {reason}. Choose another with --data-dir."
            ) from error
        return held.pop_all()


def _lock_folder(folder: Path, held: Claim) -> None:
    """Lock the folder itself, if its file system can. BlockingIOError if another process has."""
    if sys.platform == "win32":  # which deletes no file that is open
        return
    fcntl: Any = importlib.import_module("fcntl")  # which Windows lacks
    descriptor = os.open(folder, os.O_RDONLY)  # no child inherits it
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # on some network file systems only files can be locked: then the lock on the file has to do
        return


def wait_until_free(use: Callable[[], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Use a database, again and again while another program holds it; that is said once. ``sleep`` waits so many
    seconds."""
    said = False
    while True:
        try:
            return use()
        except DatabaseLockedError as error:
            if not said:
                log.warning("%s", error)
        said = True
        sleep(POLL_S)
