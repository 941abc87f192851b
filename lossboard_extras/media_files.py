"""Media on their way to a board: each is a file in ``media/`` of its run's journal until it has arrived.

A file's name has the session and the number by which a board takes each one once: ``<session>-<number>.medium``. Its
first line is JSON with name, kind, step and time, as they are posted, and the CRC-32 of the content after it.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from pathlib import Path
from typing import Any

import lossboard

CONTENT_TYPE = "application/vnd.lossboard.media"
FOLDER = "media"  # in the folder of a journal
_SUFFIX = ".medium"


class DamagedError(Exception):
    """A file is not what was written, or cannot be read."""


class Medium:
    """A text, an image, a histogram or a sound that waits: in a file at ``path``, or in memory where that is None."""

    def __init__(self, session: str, number: int, packed: bytes = b"", path: Path | None = None) -> None:
        self.session = session
        self.number = number
        self.path = path
        self._packed = packed

    def __str__(self) -> str:
        return f"{FOLDER}/{self.path.name}" if self.path else f"number {self.number} of the media"

    def write(self, folder: Path) -> None:
        """Have it in a file instead of in memory. OSError if there is no room for it."""
        folder.mkdir(0o700, exist_ok=True)
        path = folder / f"{self.session}-{self.number:09d}{_SUFFIX}"
        fresh = path.with_suffix(".new")
        try:
            with open(fresh, "wb", opener=lossboard.private) as file:
                file.write(self._packed)
                if (os.environ.get("LOSSBOARD_SYNC") or "0") != "0":
                    file.flush()
                    os.fsync(file.fileno())
            fresh.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                fresh.unlink()
            raise
        self.path, self._packed = path, b""

    def send(self, connection: lossboard.Connection, run_id: str) -> None:
        """Post it. DamagedError, RefusedError, OSError or http.client.HTTPException.

        Where the board lacks some before it, as those that it refused, it takes the number of the first of them.
        """
        try:
            self._post(connection, run_id)
        except lossboard.RefusedError as error:
            wanted = error.body.get("wanted")
            if error.status != 409 or not isinstance(wanted, int) or wanted >= self.number:
                raise
            self._renumber(wanted)  # first: whoever sends it again, after a kill, does so under the same number
            self._post(connection, run_id)

    def remove(self) -> None:
        """It is wanted no more."""
        with contextlib.suppress(OSError):  # what stays is sent again by the next board, which has it then
            if self.path:
                self.path.unlink()

    def _post(self, connection: lossboard.Connection, run_id: str) -> None:
        head, content = self._read()
        line = json.dumps({**head, "session": self.session, "number": self.number}).encode()
        connection.post(f"/api/runs/{run_id}/media", line + b"\n" + content, CONTENT_TYPE)

    def _read(self) -> tuple[dict[str, Any], bytes]:
        try:
            line, _, content = (self.path.read_bytes() if self.path else self._packed).partition(b"\n")
            head = dict(json.loads(line))
            is_sound = head.pop("crc32") == zlib.crc32(content)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise DamagedError(f"it cannot be read ({error!r})") from error
        if not is_sound:
            raise DamagedError("it is not as it was written")
        return head, content

    def _renumber(self, number: int) -> None:
        if self.path:
            path = self.path.with_name(f"{self.session}-{number:09d}{_SUFFIX}")
            if path.exists():  # it is damaged, and stays
                self.session, number = os.urandom(16).hex(), 0
                path = path.with_name(f"{self.session}-{number:09d}{_SUFFIX}")
            self.path = self.path.replace(path)
        self.number = number


def is_for_good(error: lossboard.RefusedError) -> bool:
    """Whether a board that refused a medium so takes it at no other time either."""
    return error.status in (409, 413, 422) and "wanted" not in error.body


def packed(name: str, kind: str, step: float, time: float, content: bytes) -> bytes:
    """What is in the file of a medium."""
    head = {"name": name, "kind": kind, "step": step, "time": time, "crc32": zlib.crc32(content)}
    return json.dumps(head).encode() + b"\n" + content


def waiting(journal: Path) -> list[Medium]:
    """Those in the folder of a journal, in the order in which they were logged."""
    found = []
    for path in sorted((journal / FOLDER).glob(f"*{_SUFFIX}")):
        session, _, number = path.stem.partition("-")
        if number.isdecimal():
            found.append(Medium(session, int(number), path=path))
    return found
