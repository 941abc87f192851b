"""The data folder: made, claimed for one board alone, and seen to be usable before anything is started."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from app.storage.database import DATABASE_FILE, POLL_S, Database, DatabaseLockedError
from app.storage.faults import DatabaseError

log = logging.getLogger("lossboard.data")

LOCK_FILE = "lossboard.lock"


class DataDirError(Exception):
    """The folder cannot be this board's; the text says why and what to do."""


def claim(folder: Path) -> FileLock:
    """Make the folder, take it for this process, and see that its database can be used. Keep what is returned for as
    long as the board lives. Waits while another program holds the database, and says so once. Raises DataDirError or
    DatabaseError."""
    lock = take(folder)
    try:
        wait_until_free(lambda: Database(folder / DATABASE_FILE).close())
    except DatabaseError:
        lock.release()
        raise
    return lock


def take(folder: Path) -> FileLock:
    """Make the folder, and take it for this process. Raises DataDirError.

    The lock is the operating system's, on a file in the folder: it is gone with the process, whatever ends that, and
    the file that stays behind means nothing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK_FILE, blocking=False, fallback_to_soft=False)
        lock.acquire()
    except Timeout:
        raise DataDirError(
            f"Another board is running on the data folder {folder}. Use that one, or start this one on a folder of its"
            " own with --data-dir."
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataDirError(
            f"The data folder {folder} cannot be used: {reason}. Choose another with --data-dir."
        ) from error
    return lock


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
