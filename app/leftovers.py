"""Journals that scripts and workers left behind: a script that was killed, a board that was away."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import lossboard
from lossboard import Board, RefusedError

_NOBODY_WAITS = (404, 409, 410)  # for points of a run that is unknown, has ended, or was deleted
_AT_ONCE = 4 << 20  # bytes in one post


def sync(folder: Path, url: str) -> tuple[int, list[str]]:
    """Send every journal in the data folder ``folder`` to the board at ``url``, and remove it once it has arrived.

    Those of scripts that still run are left to them. Returns how many were sent, and a sentence for each that the
    board refuses. OSError if the board cannot be reached.
    """
    board = Board(url)
    sent, refused = 0, []
    journals = folder / "journals"
    for journal in sorted(journals.iterdir()) if journals.is_dir() else []:
        try:
            held = lossboard.hold(journal)
        except OSError:
            continue
        try:
            send(board, journal)
            sent += 1
        except RefusedError as error:
            if error.status not in _NOBODY_WAITS:
                refused.append(f"{journal.name}: {error}")
                continue
        finally:
            os.close(held)
        shutil.rmtree(journal, ignore_errors=True)
    board.close()
    return sent, refused


def send(board: Board, journal: Path) -> None:
    """Send one journal: what the board has already is left out. RefusedError, OSError."""
    path = f"/api/runs/{journal.name}"
    about = _read(journal / "run.json")
    if about.get("announcement"):
        board.post("/api/runs", json.dumps(about["announcement"]).encode())
    number = _post(board, path, 0, [], b"")
    for base, names, records in segments(journal):
        size = 8 * (2 + len(names))
        while 0 <= number - base < len(records) // size:
            start = (number - base) * size
            piece = records[start : start + max(1, _AT_ONCE // size) * size]
            accepted = _post(board, path, number, names, piece)
            if accepted == number:
                if not _is_written(base, size, records, number):
                    break
                # Begun when the script ended, in one of several threads: a record without metrics takes its place.
                filler = struct.pack(f"<{size // 8}d", number, *[lossboard.MISSING] * len(names), number + 1)
                accepted = _post(board, path, number, names, filler)
            number = accepted
    if ending := _read(journal / "ending.json"):
        board.post(f"{path}/finish", json.dumps(ending).encode())


def segments(journal: Path) -> Iterator[tuple[int, list[str], bytes]]:
    """Of each file of a journal in order: its first record's number, its metrics, its records."""
    for file in sorted(journal.glob("*.points")):
        content = file.read_bytes()
        if content[:8] != lossboard.MAGIC:
            continue  # its making was cut short: it has no records yet
        (length,) = struct.unpack_from("<Q", content, 8)
        head = json.loads(content[16 : 16 + length])
        size = 8 * (2 + len(head["metrics"]))
        yield head["base"], head["metrics"], content[16 + length :][: (len(content) - 16 - length) // size * size]


def _is_written(base: int, size: int, records: bytes, number: int) -> bool:
    """Whether a later record of this file is there."""
    marks = np.frombuffer(records, "<f8").reshape(-1, size // 8)[number - base :, -1]
    return bool(marks.any())


def _post(board: Board, path: str, number: int, names: list[str], records: bytes) -> int:
    head = json.dumps({"seq": number, "metrics": names}).encode() + b"\n"
    accepted: int = board.post(f"{path}/points", head + records, lossboard.CONTENT_TYPE)["accepted"]
    return accepted


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or cut short by the end of its script
        return {}
    return content if isinstance(content, dict) else {}
