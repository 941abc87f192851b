"""Journals that scripts and workers left behind: a script that was killed, a board that was away.

A journal is removed only when a board has acknowledged all that is in it, or when its run was deleted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import lossboard
from app.runs.journal_reader import Damage, Journal, JournalError, Part, read_journal
from app.storage import binary_form
from lossboard import Connection, RefusedError
from lossboard_extras import media_files

log = logging.getLogger("lossboard.journals")

DAMAGED_FILE = "damaged"  # in a journal's folder: what could not be read of it

_COLLECT_INTERVAL_S = 10.0  # between two looks of a board at its own folder
_ABANDONED_S = 60.0  # age of a folder in which nothing was written: its script was killed as it began
_NAME = re.compile("[0-9a-f]{32}(-[0-9a-f]{8})?")  # a run's id, and the session of a process that resumed it


@dataclass(frozen=True)
class Gap:
    """What a board lacks before the records of a journal: those from number ``wanted`` to before ``first``. Another
    board has acknowledged them, or this one before its database was put back to an older state; or they waited in the
    memory of a script that was killed, while there was no room for a file."""

    run_id: str
    name: str
    wanted: int
    first: int

    @property
    def records(self) -> str:
        """Which records these are."""
        last = self.first - 1
        return f"record {last}" if last == self.wanted else f"records {self.wanted} to {last}"

    def __str__(self) -> str:
        return (
            f"this board lacks {self.records}, and the journal has them no more: another board has them, or they are"
            f" lost. `lossboard sync --from-here` sends those from {self.first} on"
        )


type AskedAboutGap = Callable[[Gap], bool]


@dataclass(frozen=True)
class Sent:
    """What became of a journal: its run's id and name; if not all of it has arrived, why, and whether it stays; what
    the board said of the params or the result that it refused, and did without; whether a later try may do better
    without anybody's help."""

    run_id: str
    name: str
    refusal: str | None = None
    stays: bool = False
    lacking: str = ""
    try_again: bool = False


class JournalCollector:
    """Sends the journals of dead scripts and workers in a board's own folder, on the road that all points take."""

    def __init__(self, folder: Path, url: str, token: str = "") -> None:
        self._folder = folder
        self._url = url
        self._token = token
        self._one_at_a_time = asyncio.Lock()  # each waits in a thread for answers that need threads themselves
        self._named: set[str] = set()  # journals that stay, which the log has named

    async def watch(self) -> None:
        """Collect what dead scripts and workers left behind: now, and from time to time; runs for ever."""
        while True:
            await self.collect()
            await asyncio.sleep(_COLLECT_INTERVAL_S)

    async def collect(self, run_id: str = "*") -> bool:
        """Collect the journal of this run, or every one, if no living process has it.

        Whether nothing more can be done for them now: all has arrived, or somebody has to see to what stays. If not,
        as while the board cannot store anything, or a living process has the journal of this run, try again later.
        """
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._collect, run_id)

    def _collect(self, run_id: str) -> bool:
        done, seen = True, set()
        try:
            for sent in sync(self._folder, self._url, run_id, again=False, token=self._token):
                done &= not sent.try_again
                seen.add(sent.run_id)
                if sent.stays and not sent.try_again and sent.run_id not in self._named:
                    self._named.add(sent.run_id)
                    where = self._folder / "journals" / sent.run_id
                    log.warning(
                        "the journal of run %s (%s) stays in %s: %s", sent.run_id, sent.name, where, sent.refusal
                    )
                if sent.lacking:
                    log.warning("run %s has arrived, but %s", sent.run_id, sent.lacking)
        except (
            OSError,
            HTTPException,
        ) as error:  # this board is ending, or has no file to open: the next look finds it
            log.info("what was left behind stays for now: %s", error)
            return False
        journal = self._folder / "journals" / run_id
        is_held = (journal / "run.json").exists() and run_id not in seen and not (journal / DAMAGED_FILE).exists()
        return done and not is_held


def sync(
    folder: Path,
    url: str | None,
    run_id: str = "*",
    *,
    may_skip: AskedAboutGap = lambda _: False,
    again: bool = True,
    token: str | None = None,
) -> Iterator[Sent]:
    """Send every journal in the data folder ``folder`` to the board at ``url``, None for the one that scripts find, and
    remove what has arrived.

    may_skip: asked whether to send what there is after a gap
    again: also those of which a part was found to be damaged before
    token: the board's, unless it is found as scripts find it

    The journals of scripts that still run are left to them. OSError or http.client.HTTPException if the board cannot
    be reached.
    """
    connection = Connection(url, token=token)
    try:
        for found in sorted((folder / "journals").glob(run_id if run_id == "*" else f"{run_id}*")):
            if found.suffix == lossboard.DONE and _NAME.fullmatch(found.stem):  # its removal was cut short
                shutil.rmtree(found, ignore_errors=True)
            elif found.is_symlink():
                yield Sent(found.name, "no run", "it is a symbolic link, which is not followed", stays=True)
            elif not _NAME.fullmatch(found.name) and found.is_dir():
                yield Sent(found.name, "no run", "its name is not that of a run, 32 hex digits", stays=True)
            elif _NAME.fullmatch(found.name) and (again or not (found / DAMAGED_FILE).exists()):
                yield from _send_one(connection, found, may_skip)
    finally:
        connection.close()


def _send_one(connection: Connection, folder: Path, may_skip: AskedAboutGap) -> Iterator[Sent]:
    try:
        held = lossboard.hold(folder)
    except OSError as error:
        if isinstance(error, BlockingIOError) or sys.platform == "win32":  # where that is a lock as well
            return  # its script lives, or somebody else sends it
        yield Sent(folder.name, "run", f"it cannot be used ({error})", stays=True)
        return
    with held:
        try:
            journal = read_journal(folder)
        except JournalError as error:
            yield Sent(folder.name, "run", f"it cannot be used ({error})", stays=True)
            return
        if journal.is_empty and not media_files.waiting(folder):
            _remove_if_abandoned(folder, held.close)
        else:
            yield _send_and_remove(connection, journal, held.close, may_skip)


def _remove_if_abandoned(folder: Path, release: Callable[[], None]) -> None:
    """A script that begins has made its folder, and may not have written anything in it yet: that takes no minute."""
    if time.time() - folder.stat().st_mtime > _ABANDONED_S or (folder / "run.json").exists():
        lossboard.remove_journal(folder, release)


def _send_and_remove(
    connection: Connection, journal: Journal, release: Callable[[], None], may_skip: AskedAboutGap
) -> Sent:
    folder = journal.folder
    name = str(journal.introduction.get("name", "run"))
    try:
        lacking = "; ".join(filter(None, [send(connection, journal, may_skip), *_send_media(connection, journal)]))
    except GapError as error:
        return Sent(folder.name, name, str(error.gap), stays=True)
    except JournalError as error:
        return Sent(folder.name, name, f"it cannot be used ({error})", stays=True)
    except RefusedError as error:
        was_deleted = error.status == 410
        if was_deleted:
            lossboard.remove_journal(folder, release)
        return Sent(folder.name, name, str(error), stays=not was_deleted, try_again=error.status == 503)
    if journal.damage:
        return Sent(folder.name, name, _note_damage(journal), stays=True, lacking=lacking)
    lossboard.remove_journal(folder, release)
    return Sent(folder.name, name, lacking=lacking)


def _send_media(connection: Connection, journal: Journal) -> list[str]:
    """Send the media of a journal, and remove what has arrived; what the board said of those that it refused, and did
    without. RefusedError, OSError, HTTPException."""
    refused = []
    for medium in media_files.waiting(journal.folder):
        try:
            medium.send(connection, journal.run_id)
        except media_files.DamagedError as error:
            journal.damage.append(Damage(f"{medium}: {error}"))
            continue
        except RefusedError as error:
            if not media_files.is_for_good(error):
                raise
            refused.append(f"the board refused {medium}: {error}")
        medium.remove()
    return refused


def _note_damage(journal: Journal) -> str:
    """Say in the journal's folder what could not be read; the same as a sentence."""
    found = "; ".join(dict.fromkeys(damage.what for damage in journal.damage))
    note = journal.folder / DAMAGED_FILE
    words = (
        f"Of this journal a board could not read all: {found}.\n"
        "What could be read has arrived. Nothing here is removed, and no board tries again by itself: `lossboard sync`"
        " does. Delete this folder if nothing in it is wanted.\n"
    )
    try:
        lossboard.write(note, words.encode())
    except OSError as error:
        log.warning("%s cannot be written: %s", note, error)
    return f"a part of it is damaged ({found}); the rest has arrived"


class GapError(Exception):
    """A board lacks records before those of a journal, and nobody said that they may be skipped."""

    def __init__(self, gap: Gap) -> None:
        super().__init__(str(gap))
        self.gap = gap


def send(connection: Connection, journal: Journal, may_skip: AskedAboutGap = lambda _: False) -> str:
    """Send what can be read of a journal; what the board has already is left out. GapError, JournalError,
    RefusedError, OSError, HTTPException.

    What the board said of params or a result that it refused, while it took the rest; "" if it took all.
    """
    lacking: list[str] = []
    path = f"/api/runs/{journal.run_id}"
    board = _begin(connection, journal, may_skip, lacking)
    journal.damage = [damage for damage in journal.damage if damage.before > board.has_all_before]
    if board.has_ended:
        return ""
    number = board.accepted
    for part in journal.parts(board.has_all_before):
        flags: dict[str, Any] = journal.flags
        if times := journal.times_of(part):
            flags["times"] = times
        number = max(number, _post(connection, path, part, after_gap=part.seq > number, **flags))
    if journal.ending:
        connection.tell(f"{path}/finish", json.dumps(journal.ending).encode(), lambda _, what: lacking.append(what))
    return "; ".join(lacking)


@dataclass(frozen=True)
class Known:
    """What a board has of a run: the number of the record that it wants next, those before it that are missing, and
    whether the run has ended, and takes no more."""

    accepted: int
    missing: list[list[int]]
    has_ended: bool = False

    @classmethod
    def of(cls, body: Mapping[str, Any], *, has_ended: bool = False) -> Known:
        """As a response says it."""
        return cls(body["accepted"], body.get("missing", []), has_ended)

    @property
    def has_all_before(self) -> int:
        """Before this number the board has every record."""
        return min([self.accepted, *(first for first, _ in self.missing)])


def _begin(connection: Connection, journal: Journal, may_skip: AskedAboutGap, lacking: list[str]) -> Known:
    """Introduce the run where that is needed, and send its changes, before the points that were made with them; what
    the board has of it. GapError."""
    first = journal.first or 0
    introduction = journal.introduction or {"method": "external", "id": journal.run_id, "name": "run"}
    introduction = {name: value for name, value in introduction.items() if name != "resume"}  # that was then
    if journal.introduction and not first:
        _tell(connection, introduction, lacking)
    try:
        known = _send_changes(connection, journal)
    except RefusedError as error:
        if error.status == 409 and "accepted" in error.body:
            known = Known.of(error.body, has_ended=True)
            if next(journal.parts(known.has_all_before), None) is None:
                return known
        lost = any(damage.what.startswith("run.json") for damage in journal.damage)  # what introduced it
        if error.status != 404 or not (journal.introduction or lost or not (journal.folder / "run.json").exists()):
            raise
        _ask(may_skip, journal, 0)
        _tell(connection, introduction, lacking)
        known = _send_changes(connection, journal)
    if known.accepted < first:
        _ask(may_skip, journal, known.accepted)
    return known


def _ask(may_skip: AskedAboutGap, journal: Journal, wanted: int) -> None:
    first = journal.first or 0
    gap = Gap(journal.run_id, str(journal.introduction.get("name", "run")), wanted, first)
    if wanted < first and not may_skip(gap):
        raise GapError(gap)


def _tell(connection: Connection, introduction: dict[str, Any], lacking: list[str]) -> None:
    connection.tell("/api/runs", json.dumps(introduction).encode(), lambda _, what: lacking.append(what))


def _send_changes(connection: Connection, journal: Journal) -> Known:
    """Post a journal's changes; what the board has of the run."""
    body = binary_form.write(0, [], **journal.flags, changes=journal.changes)
    return Known.of(connection.post(f"/api/runs/{journal.run_id}/points", body, lossboard.CONTENT_TYPE))


def _post(connection: Connection, path: str, part: Part, *, after_gap: bool, **flags: Any) -> int:
    """Post some records; the number that the board wants next. JournalError if it does not take them all."""
    flags |= {"after_gap": True} if after_gap else {}
    flags |= {} if part.checked else {"unchecked": True}
    body = binary_form.write(part.seq, part.blocks, **flags)
    accepted: int = connection.post(f"{path}/points", body, lossboard.CONTENT_TYPE)["accepted"]
    if accepted < part.end:
        raise JournalError(f"the board took records up to {accepted} only, and {part.end} were sent")
    return accepted
