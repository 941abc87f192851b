"""``lossboard watch``: follows a folder of event files, each folder in it a run, and posts what is new in them."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lossboard
from lossboard_extras import media_files
from lossboard_extras.event_folder import EventFolder
from lossboard_extras.hparams import params_in

LOOK_S = 0.02  # between two looks whether files have grown
WALK_S = 0.5  # between two looks for new files
REST = 10  # so many times as long as a look took is waited before the next one, at least
HEARTBEAT_S = 10.0  # between two posts of a run in which nothing is new
QUIET_S = 600.0  # after which a run whose files do not grow has ended
RETRY_S = 0.1  # longer by this after each failure in a row
LAST_RETRY_S = 2.0
MAX_NAME_CHARS = 200

AWAY = (OSError, http.client.HTTPException, lossboard.RefusedError)  # what a board raises that takes nothing now

Say = Callable[[str], None]


class Followed:
    """One run: what its folder has, and what of that the board has."""

    def __init__(self, events: EventFolder, about: dict[str, Any], connection: lossboard.Connection, say: Say) -> None:
        self.events = events
        self.name: str = about["name"]
        self.over = False  # nothing more is posted, unless the files grow
        self._refused = False  # nothing is posted any more
        self._ended_with = -1  # points that the board had when it said that the run has ended
        self._has_been_live = False  # its files grew while they were followed, or shortly before
        self._about = {**about, "method": "external", "id": events.id, "live": {}}
        self._connection = connection
        self._say = say
        self._introduced = False
        self._size = -1  # of the files when they were last read to their ends
        self._posted_at = 0.0
        self._said: set[str] = set()

    def step(self, now: float, *, ends: bool = False) -> bool:
        """Make one post if there is anything to tell at ``now`` (time.time()); whether there may be more.

        ``ends``: a run of which all is posted has ended, even if its files grew just now. One
        of AWAY if the board takes nothing now.
        """
        if self._refused:
            return False
        try:
            size, grown_at = self.events.size()
            if self.over and size == self._size:
                return False
            if self.over:
                self._go_on_after_end()
            body = self._next_post(size)
        except OSError as error:
            self._say_once(f"cannot be read now: {error}")
            return False
        try:
            return self._post(body, now, is_quiet=ends or now - grown_at > QUIET_S)
        except lossboard.RefusedError as error:
            return self._take_refusal(error, size)

    def _next_post(self, size: int) -> bytes:
        """What is new in the files, which have this size; empty if nothing is."""
        if not self._introduced:
            others, began_at = self.events.beginning()
            self._about["params"] = params_in(others)
            if began_at:
                self._about["started_at"] = began_at
            return b""
        if size == self._size:
            return b""
        body = self.events.take()
        if not body and not self.events.media:
            self._size = size
            self._say_what_is_missing()
        return body

    def _post(self, body: bytes, now: float, *, is_quiet: bool) -> bool:
        path = f"/api/runs/{self.events.id}"
        if not self._introduced:
            self._connection.tell("/api/runs", json.dumps(self._about).encode(), lambda _, what: self._say_once(what))
            self._about.pop("resume", None)
            self.events.resume(self._beat())
            self._introduced = True
        elif body:
            self.events.acknowledge(self._connection.post(f"{path}/points", body, lossboard.CONTENT_TYPE)["accepted"])
        elif self.events.media:
            self._post_medium(f"{path}/media")
        else:
            if is_quiet and not self._has_been_live:
                ending = {"status": "finished", **({"ended_at": self.events.ended_at} if self.events.ended_at else {})}
                self._connection.post(f"{path}/finish", json.dumps(ending).encode())
                self.over = True
            elif not is_quiet and now - self._posted_at > HEARTBEAT_S:
                self._beat()
                self._posted_at = now
            self._has_been_live |= not is_quiet
            return False
        self._posted_at = now
        return True

    def _beat(self) -> int:
        """Say that the run goes on; the number of the record that the board wants next."""
        body = b'{"seq": 0, "metrics": []}\n'
        return int(
            self._connection.post(f"/api/runs/{self.events.id}/points", body, lossboard.CONTENT_TYPE)["accepted"]
        )

    def _post_medium(self, path: str) -> None:
        """Post the first of the media that wait; one that is refused for good is left out."""
        events = self.events
        try:
            answer = self._connection.post(path, events.medium_post(), media_files.CONTENT_TYPE)
        except lossboard.RefusedError as error:
            if error.status == 409 and "wanted" in error.body and events.renumber(error.body["wanted"]):
                return  # as that of one that was refused is free
            if not media_files.is_for_good(error):
                raise
            refused = events.media.popleft()
            self._say_once(f"leaves out a {refused.kind} {refused.name!r} that the board refused: {error}")
        else:
            events.acknowledge_medium(answer["accepted"])

    def _go_on_after_end(self) -> None:
        """The run goes on, although it was said that it has ended."""
        self.over = self._introduced = False
        self._size = -1
        self._about["resume"] = True

    def _take_refusal(self, error: lossboard.RefusedError, size: int) -> bool:
        """Go on as well as it can be done; whether there is more to do at once. Raises what may pass by itself."""
        if error.status >= 500 or error.status in (401, 403, 429):  # its disk is full, or another token is needed
            raise error
        if "wanted" in error.body or error.status == 404:  # it was put back to an older state, or is another board
            self._introduced, self._size = False, -1
            return True
        self.over = True
        if "accepted" not in error.body:
            self._refused = True
            self._say_once("was deleted on the board" if error.status == 410 else f"is refused: {error}")
            return False
        self.events.resume(error.body["accepted"])  # the run has ended there
        if not self.events.take() and not self.events.media:
            self._size = size
            return False
        if self.events.records == self._ended_with:
            self._refused = True
            self._say_once(f"has ended on the board, which takes no more than its {self.events.records} points")
            return False
        self._ended_with = self.events.records
        self._go_on_after_end()
        return True

    def _say_what_is_missing(self) -> None:
        for file in self.events.files.values():
            if file.damage:
                self._say_once(f"{file.path.name} is {file.damage}; what follows is not read")
        kinds = sorted({other.kind for other in self.events.others.values() if not other.why} - {"hparams"})
        if kinds:
            self._say_once(f"has what is not shown: {', '.join(kinds)}")
        for tag, other in self.events.others.items():
            if other.why:
                self._say_once(f"cannot show {tag[:50]!r} ({other.kind}): {other.why}")
        for reason in sorted(set(self.events.ignored.values())):
            names = [name[:50] for name, why in self.events.ignored.items() if why == reason]
            self._say_once(f"leaves out {len(names)} metrics, the first of them {names[0]!r}: {reason}")

    def _say_once(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            self._say(f"{self.name}: {what}")


class Watch:
    """Follows ``root`` and all folders in it; ``say`` gets sentences about what happens, each once."""

    def __init__(self, root: Path, connection: lossboard.Connection, group: str, say: Say) -> None:
        self.root = root
        self.runs: dict[Path, Followed] = {}
        self._connection = connection
        self._group = group
        self._say = say

    @property
    def url(self) -> str:
        """Where the board is."""
        return self._connection.url

    def walk(self) -> None:
        """Look for new folders and files."""
        for folder, names in event_files(self.root):
            if folder not in self.runs:
                name = folder.relative_to(self.root).as_posix() if folder != self.root else self.root.name
                about = {"name": name[-MAX_NAME_CHARS:], "group": self._group}
                self.runs[folder] = Followed(EventFolder(folder, names[0]), about, self._connection, self._say)
            self.runs[folder].events.add(names)

    def look(self, *, ends: bool = False) -> bool:
        """Post some of what is new in each run; whether there may be more. ``ends``: as in Followed.step.

        One of AWAY if the board takes nothing now.
        """
        try:
            more = [run.step(time.time(), ends=ends) for run in self.runs.values()]
        except AWAY:
            self._connection.close()
            raise
        return any(more)


def follow(watch: Watch, say: Say, stop: threading.Event) -> None:
    """Follow until ``stop`` is set, whether a board answers or not."""
    walked_at, walk_s = -WALK_S, 0.0
    failures = 0  # of posts, one after the other
    while not stop.is_set():
        began = time.monotonic()
        if began - walked_at > max(WALK_S, REST * walk_s):
            watch.walk()
            walked_at, walk_s = began, time.monotonic() - began
        looked_at = time.monotonic()
        try:
            more = watch.look()
        except AWAY as error:
            failures += 1
            if failures == 2:  # at the first one, the board may have closed a connection that was quiet for a while
                say(f"No board takes points at {watch.url} ({error}); it is tried again.")
            stop.wait(min((failures - 1) * RETRY_S, LAST_RETRY_S))
        else:
            failures = 0
            stop.wait(0 if more else max(LOOK_S, REST * (time.monotonic() - looked_at)))


def bring_all(watch: Watch) -> Iterator[Followed]:
    """Post all that there is, say of each run that it has ended, and give it then. One of AWAY if the board takes
    nothing now."""
    left = list(watch.runs.values())
    while left:
        more = watch.look(ends=True)
        yield from (run for run in left if run.over)
        left = [run for run in left if not run.over]
        if left and not more:
            time.sleep(LOOK_S)


def event_files(root: Path) -> list[tuple[Path, list[str]]]:
    """Each folder in ``root`` that has event files, and their names: oldest first, as the names tell the time."""
    found = []
    for folder, _, names in os.walk(root):
        events = sorted(name for name in names if "tfevents" in name)
        if events:
            found.append((Path(folder), events))
    return sorted(found, key=lambda one: one[1][0])


@contextlib.contextmanager
def held(root: Path) -> Iterator[None]:
    """While no other process follows this folder. OSError if one does."""
    folder = lossboard.private_folder("watched", hashlib.sha256(os.fsencode(root)).hexdigest()[:32])
    with lossboard.hold(folder):
        yield
