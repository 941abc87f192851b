"""The data folder is its user's alone: whoever else logs in to the machine neither reads nor changes what is in it."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import lossboard
from app.storage.database import DATABASE_FILE

log = logging.getLogger("lossboard.data")

LOCK_FILE = "lossboard.lock"

# Our files, beside the database with what belongs to it; and our folders.
_FILES = {LOCK_FILE, lossboard.ADDRESS_FILE, lossboard.KEY_FILE, lossboard.TOKENS_FILE}
_FOLDERS = ("journals", "watched", "visdom")
_KEY_BYTES = 32
_OTHERS = 0o077  # what a mode lets its group and everyone else do


class NotPrivateError(OSError):
    """The folder cannot be its user's alone."""


def make_private(folder: Path) -> None:
    """Make a data folder, or close one that is there to other users, with all that is ours in it; that it was open is
    logged. What else lies there is left as it is. OSError.

    Where there are no modes, as on Windows, that is left to whoever makes the folder around it.
    """
    folder.mkdir(0o700, parents=True, exist_ok=True)
    if sys.platform == "win32":
        return
    if folder.stat().st_uid != os.geteuid():
        raise NotPrivateError("it belongs to another user")
    was_open = _close(folder)
    _refuse_links(folder)
    changed = sum(_close(path) for path in _ours(folder))
    if was_open:
        log.warning(
            "%s and %d files and folders in it were readable by others; mended: only you can read them now",
            folder,
            changed,
        )


def identity_key(folder: Path) -> bytes:
    """With what a board shows scripts that it is the one on this data folder; made once. OSError."""
    path = folder / lossboard.KEY_FILE
    with contextlib.suppress(FileNotFoundError):
        key = path.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    key = secrets.token_bytes(_KEY_BYTES)
    lossboard.write(path, key)
    return key


def _is_our_file(path: Path) -> bool:
    return path.name in _FILES or path.name.startswith(DATABASE_FILE)


def _refuse_links(folder: Path) -> None:
    """What a symbolic link points to is neither read nor written in the place of one of our files."""
    for path in folder.iterdir():
        if _is_our_file(path) and path.is_symlink():
            raise NotPrivateError(
                f"{path.name} in it is a symbolic link, which is not followed; remove the link, or put the file there"
            )


def _ours(folder: Path) -> Iterator[Path]:
    """Our files in a data folder, and our folders with all that is in them; links are not followed."""
    yield from (path for path in folder.iterdir() if _is_our_file(path))
    for name in _FOLDERS:
        yield folder / name
        for parent, folders, files in os.walk(folder / name):
            yield from (Path(parent, one) for one in (*folders, *files))


def _close(path: Path) -> bool:
    """Take others' rights away from a file or a folder; whether they had any."""
    try:
        mode = path.lstat().st_mode
        is_open = not stat.S_ISLNK(mode) and bool(mode & _OTHERS)
        if is_open:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
    except FileNotFoundError:  # a script has removed it meanwhile
        return False
    except OSError as error:  # a file system without modes, or one that is read-only
        log.warning("%s cannot be closed to other users: %s", path, error.strerror)
        return False
    return is_open
