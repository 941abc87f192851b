"""Journals that scripts and workers left behind: a script that was killed, a board that was away.

``lossboard.py`` says what a journal is, and reads it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import lossboard
from lossboard import Connection, JournalError, RefusedError, SavedSegment

log = logging.getLogger("lossboard.journals")

_POST_BYTES = 4 << 20  # of records in one post
_COLLECT_INTERVAL_S = 10.0  # between two looks of a board at its own folder


@dataclass(frozen=True)
class Sent:
    """What became of a journal: its run's id and name; if the board refused it, why, and whether its points stay; what
    it said of the params or the result that it refused, and did without."""

    run_id: str
    name: str
    refusal: str | None = None
    stays: bool = False
    lacking: str = ""


class JournalCollector:
    """Sends the journals of dead scripts and workers in a board's own folder, on the road that all points take."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._one_at_a_time = asyncio.Lock()  # each waits in a thread for answers that need threads themselves
        self._refused: set[str] = set()

    async def watch(self) -> None:
        """Collect what dead scripts and workers left behind: now, and from time to time; runs for ever."""
        while True:
            await self.collect()
            await asyncio.sleep(_COLLECT_INTERVAL_S)

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
    connection = Connection(url)
    try:
        # Before it holds its journal a script that begins has no run.json there.
        for introduction in sorted((folder / "journals").glob(f"{run_id}/run.json")):
            folder_of_run = introduction.parent
            try:
                held = lossboard.hold(folder_of_run)
            except OSError as error:
                if not isinstance(error, BlockingIOError) and sys.platform != "win32":  # where that is a lock as well
                    refusal = f"the journal in {folder_of_run} cannot be used ({error})"
                    yield Sent(folder_of_run.name, "run", refusal, stays=True)
                continue  # its script lives, or somebody else sends it
            with held:
                yield _send_and_remove(connection, folder_of_run, held.close)
    finally:
        connection.close()


def send(connection: Connection, journal: Path) -> str:
    """Send the journal in a folder; what the board has already is left out. JournalError if it cannot be read;
    RefusedError, OSError, HTTPException.

    What the board said of params or a result that it refused, while it took the rest; "" if it took all.
    """
    lacking: list[str] = []
    path = f"/api/runs/{journal.name}"
    introduction, ending = _read(journal / "run.json"), _read(journal / "ending.json")
    segments, changes = lossboard.read_journal(journal)
    if not (introduction or ending or segments or changes):
        return ""  # its script ended before it could log anything
    if introduction and not (segments and segments[0].base):  # if the first points are gone, some board has them
        connection.tell("/api/runs", json.dumps(introduction).encode(), lambda _, what: lacking.append(what))
    number = _post(connection, path, SavedSegment(0, (), memoryview(b"")), changes)  # before the points made with them
    for segment in segments:
        if number < segment.base:
            raise RefusedError(409, f"points {number} to {segment.base - 1} are at another board")
        most = max(1, _POST_BYTES // segment.record_bytes)
        while number < segment.end:
            accepted = _post(connection, path, segment.between(number, number + most))
            if accepted == number:  # begun when the script ended, in one of several threads: nothing was written
                accepted = _post(connection, path, _filler(number, segment.names))
            number = accepted
    if ending:
        connection.tell(f"{path}/finish", json.dumps(ending).encode(), lambda _, what: lacking.append(what))
    return "; ".join(lacking)


def _filler(number: int, names: tuple[str, ...]) -> SavedSegment:
    """A record without metrics."""
    cells = struct.pack(f"<{1 + len(names)}d", number or -0.0, *[lossboard.MISSING] * len(names))
    return SavedSegment(number, names, memoryview(cells))


def _post(connection: Connection, path: str, segment: SavedSegment, changes: Sequence[Mapping[str, Any]] = ()) -> int:
    """Post some records; the number that the board wants next."""
    body = lossboard.post_head(segment.base, segment.names, changes) + segment.records
    accepted: int = connection.post(f"{path}/points", body, lossboard.CONTENT_TYPE)["accepted"]
    return accepted


def _send_and_remove(connection: Connection, folder: Path, release: Callable[[], None]) -> Sent:
    name = "run"
    try:
        name = _read(folder / "run.json").get("name", name)
        sent = Sent(folder.name, name, lacking=send(connection, folder))
    except RefusedError as error:
        sent = Sent(folder.name, name, _words_of(error), stays=not error.final)
    except (ValueError, LookupError, TypeError) as error:  # JournalError is a ValueError
        sent = Sent(folder.name, name, f"a file in {folder} cannot be read ({error})", stays=True)
    if not sent.stays:
        lossboard.remove_journal(folder, release)
    return sent


def _words_of(error: RefusedError) -> str:
    """The sentence in a board's answer; the whole answer if it is none of ours."""
    status, _, body = str(error).partition(" ")
    try:
        sentence: str = json.loads(body)["detail"][0]["msg"]
    except (ValueError, LookupError, TypeError):
        return f"{status} {body}"
    return f"{status} {sentence}"


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of a journal; {} if it is not there, or was cut short by the end of its script. JournalError if it
    may not be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    except PermissionError as error:
        raise JournalError(str(error)) from None
    return content if isinstance(content, dict) else {}
