"""The data folder: made, claimed for one board alone, and seen to be usable before anything is started."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from app.storage.database import DATABASE_FILE, Database, DatabaseError

LOCK_FILE = "lossboard.lock"


class DataDirError(Exception):
    """The folder cannot be this board's; the text says why and what to do."""


def claim(folder: Path) -> FileLock:
    """Make the folder, take it for this process, and see that its database can be used.

    The lock is the operating system's, on a file in the folder: it is gone with the process, whatever ends that, and
    the file that stays behind means nothing. Keep what is returned for as long as the board lives. Raises DataDirError
    or DatabaseError.
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
    try:
        Database(folder / DATABASE_FILE).close()
    except DatabaseError:
        lock.release()
        raise
    return lock
