"""Journals that scripts and workers left behind: a script that was killed, a board that was away.

A journal is a folder ``journals/<run id>`` in the data folder: ``run.json`` introduces the run, ``ending.json`` says
how it ended, ``lock`` is held by a living script; each ``*.points`` holds a line of JSON and records, as
``lossboard.py`` describes them for a post, then zeros.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import lossboard
from app.storage.batch import Floats
from lossboard import Board, RefusedError

log = logging.getLogger("lossboard.leftovers")

_AT_ONCE = 4 << 20  # bytes in one post
_LONGEST_HEAD = 1 << 22  # bytes of a segment's first line
_EVERY = 10.0  # seconds between two looks of a board at its own folder


@dataclass(frozen=True)
class Sent:
    """What became of a journal: its run's id and name; if the board refused it, why, and whether its points stay; what
    it said of the params or the result that it refused, and did without."""

    run_id: str
    name: str
    refusal: str | None = None
    stays: bool = False
    lacking: str = ""


@dataclass(frozen=True)
class Segment:
    """Consecutive records of a journal, the first numbered ``base``; per row the step and the metrics."""

    base: int
    names: list[str]
    rows: Floats


class Leftovers:
    """What was left behind in a board's own folder, sent to the board itself, on the road that all points take."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._one_at_a_time = asyncio.Lock()  # each waits in a thread for answers that need threads themselves
        self._refused: set[str] = set()

    async def watch(self) -> None:
        """Collect what dead scripts and workers left behind: now, and from time to time; runs for ever."""
        while True:
            await self.collect()
            await asyncio.sleep(_EVERY)

    async def collect(self, run_id: str = "*") -> None:
        """Collect the journal of this run, or every one, if no living process has it."""
        async with self._one_at_a_time:
            await asyncio.to_thread(self._collect, run_id)

    def _collect(self, run_id: str) -> None:
        try:
            for sent in sync(self._folder, self._url, run_id):
                if sent.stays and sent.run_id not in self._refused:
                    self._refused.add(sent.run_id)
                    log.warning("the journal of run %s stays where it is: %s", sent.run_id, sent.refusal)
                if sent.lacking:
                    log.warning("run %s has arrived, but %s", sent.run_id, sent.lacking)
        except (OSError, HTTPException) as error:  # this board is ending, most likely; the next one looks again
            log.info("what was left behind stays for now: %s", error)


def sync(folder: Path, url: str, run_id: str = "*") -> Iterator[Sent]:
    """Send every journal in the data folder ``folder`` to the board at ``url``, and remove what has arrived.

    The journals of scripts that still run are left to them. OSError or http.client.HTTPException if the board cannot
    be reached.
    """
    board = Board(url)
    try:
        # Before it holds its journal a script that begins has no run.json there.
        for introduction in sorted((folder / "journals").glob(f"{run_id}/run.json")):
            journal = introduction.parent
            try:
                held = lossboard.hold(journal)
            except OSError as error:
                if not isinstance(error, BlockingIOError) and sys.platform != "win32":  # where that is a lock as well
                    yield Sent(journal.name, "run", f"the journal in {journal} cannot be used ({error})", stays=True)
                continue  # its script lives, or somebody else sends it
            with held:
                yield _send_and_remove(board, journal)
    finally:
        board.close()


def send(board: Board, journal: Path) -> str:
    """Send one journal; what the board has already is left out. RefusedError, OSError, HTTPException.

    What the board said of params or a result that it refused, while it took the rest; "" if it took all.
    """
    lacking: list[str] = []
    path = f"/api/runs/{journal.name}"
    introduction, ending = _read(journal / "run.json"), _read(journal / "ending.json")
    segments = list(_segments(journal))
    if not (introduction or ending or segments):
        return ""  # its script ended before it could log anything
    if introduction and not (segments and segments[0].base):  # if the first points are gone, some board has them
        board.tell("/api/runs", json.dumps(introduction).encode(), lambda _, what: lacking.append(what))
    number = _post(board, path, 0, [], b"")
    for segment in segments:
        if number < segment.base:
            raise RefusedError(409, f"points {number} to {segment.base - 1} are at another board")
        while number < segment.base + len(segment.rows):
            rows = segment.rows[number - segment.base :][: max(1, _AT_ONCE // segment.rows[0].nbytes)]
            accepted = _post(board, path, number, segment.names, rows.tobytes())
            if accepted == number:  # begun when the script ended, in one of several threads: nothing was written
                filler = struct.pack(f"<{rows.shape[1]}d", number or -0.0, *[lossboard.MISSING] * len(segment.names))
                accepted = _post(board, path, number, segment.names, filler)
            number = accepted
    if ending:
        board.tell(f"{path}/finish", json.dumps(ending).encode(), lambda _, what: lacking.append(what))
    return "; ".join(lacking)


def _send_and_remove(board: Board, journal: Path) -> Sent:
    name = "run"
    try:
        name = _read(journal / "run.json").get("name", name)
        sent = Sent(journal.name, name, lacking=send(board, journal))
    except RefusedError as error:
        sent = Sent(journal.name, name, _words_of(error), stays=not error.final)
    except (ValueError, LookupError, TypeError) as error:
        sent = Sent(journal.name, name, f"a file in {journal} cannot be read ({error})", stays=True)
    if sent.stays:
        return sent
    (journal / "run.json").unlink(missing_ok=True)  # first: from now on it is no journal
    shutil.rmtree(journal, ignore_errors=True)
    return sent


def _words_of(error: RefusedError) -> str:
    """The sentence in a board's answer; the whole answer if it is none of ours."""
    status, _, body = str(error).partition(" ")
    try:
        sentence: str = json.loads(body)["detail"][0]["msg"]
    except (ValueError, LookupError, TypeError):
        return f"{status} {body}"
    return f"{status} {sentence}"


def _segments(journal: Path) -> Iterator[Segment]:
    """The files of a journal, in order, without what was never written at the end of each."""
    found = [segment for file in sorted(journal.glob("*.points")) if (segment := _segment(file))]
    for segment, following in pairwise(found):
        yield Segment(segment.base, segment.names, segment.rows[: following.base - segment.base])
    if found:
        newest = found[-1]
        written = np.flatnonzero(newest.rows[:, 0].view(np.uint64))
        yield Segment(newest.base, newest.names, newest.rows[: written[-1] + 1 if len(written) else 0])


def _segment(file: Path) -> Segment | None:
    with file.open("rb") as opened:
        head = opened.readline(_LONGEST_HEAD)
    if not head.endswith(b"\n"):
        return None  # its making was cut short: it has no records yet
    about = json.loads(head)
    record = 1 + len(about["metrics"])
    cells = np.memmap(file, "<f8", "r", offset=len(head))
    return Segment(about["seq"], about["metrics"], cells[: len(cells) // record * record].reshape(-1, record))


def _post(board: Board, path: str, number: int, names: list[str], records: bytes) -> int:
    head = json.dumps({"seq": number, "metrics": names}).encode() + b"\n"
    accepted: int = board.post(f"{path}/points", head + records, lossboard.CONTENT_TYPE)["accepted"]
    return accepted


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of a journal; {} if it is not there, or was cut short by the end of its script. LookupError if it may
    not be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    except PermissionError as error:
        raise LookupError(error) from None
    return content if isinstance(content, dict) else {}
