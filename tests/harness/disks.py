"""A disk that is full for a while."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Protocol

import psutil

from tests.harness.boards import BoardProcess

BLOCK = 1 << 16  # bytes


class Disk(Protocol):
    """Where a board keeps its data."""

    def fill(self, board: BoardProcess) -> None:
        """From now on nothing more can be written."""

    def free(self, board: BoardProcess) -> None:
        """There is room again."""

    def close(self) -> None:
        """It is not needed any more; its board has ended."""


class SmallDisk:
    """A file system of its own, in memory."""

    def __init__(self, folder: Path, megabytes: int = 64) -> None:
        """OSError if nothing can be mounted here."""
        folder.mkdir(parents=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        if os.name != "posix" or subprocess.run(mount, capture_output=True, check=False).returncode:
            raise OSError("no file system can be mounted here")
        self._folder = folder
        self._filler = folder / "filler"

    def fill(self, board: BoardProcess) -> None:
        del board  # whoever writes, there is no room
        try:
            with self._filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(BLOCK))
        except OSError:
            return

    def free(self, board: BoardProcess) -> None:
        del board
        self._filler.unlink()

    def close(self) -> None:
        subprocess.run(["umount", str(self._folder)], check=True)


class LimitedFiles:
    """Stands for a full disk where none can be mounted: no file of the board may grow beyond what its database has."""

    def fill(self, board: BoardProcess) -> None:
        sizes = [path.stat().st_size for path in board.folder.glob("lossboard.sqlite3*")]
        self._limit(board, max(sizes))

    def free(self, board: BoardProcess) -> None:
        self._limit(board, -1)

    def close(self) -> None:
        """Nothing was made."""

    @staticmethod
    def _limit(board: BoardProcess, size: int) -> None:
        process = psutil.Process(board.process.pid)
        _, most = process.rlimit(psutil.RLIMIT_FSIZE)
        process.rlimit(psutil.RLIMIT_FSIZE, (size if size >= 0 else most, most))
