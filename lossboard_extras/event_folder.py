"""A folder of event files as one run: its points in the order in which they are posted, each once."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import sys
from array import array
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import lossboard
from lossboard_extras.event_file import EventFile, Other
from lossboard_extras.event_rows import Point

PEEK_BYTES = 64 << 10
MAX_METRICS = 1000
MAX_NAME_CHARS = 200
MAX_WHOLE = 2**53  # steps beyond it are no whole numbers to a board
MAX_TIME = 253_402_300_799  # seconds since 1970, the latest that a board takes
MAX_TIMES = 8  # that one post has: a board stores the points between two of them at once, which takes time
EVEN = 0.02  # of the time of a post: what is closer to an even pace needs no time of its own


class Medium(NamedTuple):
    """A text, an image, a histogram or a sound of one of the files."""

    file: str
    name: str
    kind: str
    step: int
    wall_time: float
    content: bytes


class EventFolder:
    """The points of the event files of one folder, numbered from 0 on, and the media, numbered in each file.

    How the values of a step come to be one point or two depends on when they were read, so a file in the data folder
    notes before each post which part of which file it is of: whoever goes on later counts as this one did.
    """

    def __init__(self, folder: Path, first: str) -> None:
        """``first`` is the name of its oldest event file: emptied and used again, it is another run."""
        self.folder = folder
        self.id = hashlib.sha256(f"{folder}\n{first}".encode(errors="surrogateescape")).hexdigest()[:32]
        self.files: dict[str, EventFile] = {}
        self.records = 0  # that the board has
        self.media: collections.deque[Medium] = collections.deque()  # that wait for their posts
        self.ended_at = 0.0  # wall time of the last point that the board has
        self.ignored: dict[str, str] = {}  # what is not shown: its name, and why
        self._state = lossboard.data_folder() / "watched" / f"{self.id}.json"
        self._names: dict[str, None] = {}  # of the metrics so far
        self._taken: list[Point] = []  # the points of the next post
        self._skip = 0  # of those to come, so many are on the board
        self._numbers: dict[str, int] = {}  # of the next medium of each file
        self._arrived: dict[str, int] = {}  # media of each file that arrived before this process
        self._written: dict[str, Any] = {}  # what the file in the data folder says

    @property
    def others(self) -> dict[str, Other]:
        """What was met that is no scalar, by tag."""
        return {tag: other for file in self.files.values() for tag, other in file.others.items()}

    def add(self, names: list[str]) -> None:
        """Event files that there are now."""
        for name in names:
            if name not in self.files:
                self.files[name] = EventFile(self.folder / name)

    def size(self) -> tuple[int, float]:
        """Bytes of all files, and when one was last written to, in seconds. OSError, also if none is there any more."""
        found = []
        for file in self.files.values():
            with contextlib.suppress(FileNotFoundError):
                found.append(file.path.stat())
        if not found:
            raise FileNotFoundError(f"the event files in {self.folder} are gone")
        return sum(one.st_size for one in found), max(one.st_mtime for one in found)

    def beginning(self) -> tuple[dict[str, Other], float]:
        """What is no scalar at the beginning of the files, by tag, and when that was written, in seconds; 0 if it does
        not say. Where they are read does not change. OSError."""
        heads = [EventFile(file.path) for file in self.files.values()]
        for head in heads:
            with contextlib.suppress(FileNotFoundError):
                head.read(PEEK_BYTES)
        times = [head.began_at for head in heads if 0 < head.began_at <= MAX_TIME]
        return {tag: other for head in heads for tag, other in head.others.items()}, min(times, default=0.0)

    def resume(self, wanted: int) -> None:
        """Go on with the record of this number, which is what the board wants next."""
        state = self._written = self._read_state()
        self._names = dict.fromkeys(state.get("metrics", ()))
        offsets: dict[str, int] = state.get("offsets", {})
        plugins: dict[str, dict[str, str]] = state.get("plugins", {})
        self._taken, self._skip = [], wanted - state.get("records", 0)
        self._numbers, self._arrived = dict(state.get("media", {})), state.get("arrived", {})
        self.media.clear()
        files = {
            name: EventFile(file.path, offsets.get(name, 0), plugins.get(name)) for name, file in self.files.items()
        }
        if self._skip and state.get("file") in files:  # the post that it notes has arrived
            with contextlib.suppress(FileNotFoundError):
                self._taken = self._shown(files[state["file"]].read(state["end"]))
                self._note_media(files[state["file"]])
        if not 0 <= self._skip <= len(self._taken):  # the board has others than were noted: count from the beginning
            files = {name: EventFile(file.path) for name, file in self.files.items()}
            self._taken, self._skip, self._names, self._numbers, self._arrived = [], wanted, {}, {}, {}
            self.media.clear()
        self.files = files
        self.records = wanted
        self._skip_some()

    def take(self) -> bytes:
        """The body of the next post of points; empty if none is left, or media are to be posted first."""
        for name in sorted(self.files):
            with contextlib.suppress(FileNotFoundError):
                while not self._taken and not self.media and self._read(name):
                    self._skip_some()
        return body(self.records, self._taken) if self._taken else b""

    def acknowledge(self, accepted: int) -> None:
        """The board has the records up to before this number."""
        times = (point[1] for point in reversed(self._taken[: accepted - self.records]))
        self.ended_at = next((time for time in times if 0 < time <= MAX_TIME), self.ended_at)
        del self._taken[: accepted - self.records]
        self.records = accepted

    def medium_post(self) -> bytes:
        """The body of the post of the first of the media that wait."""
        file, name, kind, step, wall_time, content = self.media[0]
        session = hashlib.sha256(f"{self.id}\n{file}".encode(errors="surrogateescape")).hexdigest()[:32]
        number = self._numbers.get(file, 0)
        at = wall_time if 0 <= wall_time <= MAX_TIME else 0.0
        head = {"session": session, "number": number, "name": name, "kind": kind, "step": step, "time": at}
        return json.dumps(head).encode() + b"\n" + content

    def acknowledge_medium(self, wanted: int) -> None:
        """The board has the first of the media that wait, and wants this number of its file next."""
        self._numbers[self.media.popleft().file] = wanted
        if not self.media:
            self._write_state({**self._written, "arrived": dict(self._numbers)})

    def renumber(self, wanted: int) -> bool:
        """The board wants this number instead of that of the first of the media that wait; whether that is less."""
        file = self.media[0].file
        is_less = wanted < self._numbers.get(file, 0)
        self._numbers[file] = wanted
        self._arrived = {}
        return is_less

    def _read(self, name: str) -> bool:
        """Take the points of a part of a file; False if there is no more of it."""
        file = self.files[name]
        before = {other.path.name: other.offset for other in self.files.values()}
        names = list(self._names)
        if file.path.stat().st_size <= file.offset:
            return False
        found = file.read()
        if file.offset == before[name]:
            return False
        self._taken = self._shown(found)
        self._note_media(file)
        if self._taken or self.media:
            part = {"offsets": before, "file": name, "end": file.offset, "media": dict(self._numbers)}
            part["plugins"] = {other.path.name: other.plugins for other in self.files.values()}
            self._write_state({"records": self.records - self._skip, "metrics": names, **part})
        return True

    def _note_media(self, file: EventFile) -> None:
        """Have those wait that were just read."""
        for _, step, wall_time, (kind, name, content) in file.media:
            if not 1 <= len(name) <= MAX_NAME_CHARS:
                self.ignored[name] = f"a name has 1 to {MAX_NAME_CHARS} characters"
            elif abs(step) <= MAX_WHOLE:
                self.media.append(Medium(file.path.name, name, kind, step, wall_time, content))
        number, arrived = self._numbers.get(file.path.name, 0), self._arrived.get(file.path.name, 0)
        while self.media and number < arrived:
            self.media.popleft()
            number = self._numbers[file.path.name] = number + 1

    def _skip_some(self) -> None:
        """Leave out what the board has."""
        skipped = min(self._skip, len(self._taken))
        del self._taken[:skipped]
        self._skip -= skipped

    def _shown(self, points: list[Point]) -> list[Point]:
        """Those that a board can take, without the metrics that it cannot."""
        shown = [point for point in points if abs(point[0]) <= MAX_WHOLE]
        sets = dict.fromkeys(tuple(point[2]) for point in points)  # in the order in which they come
        kept = {names: [self._is_shown(name) for name in names] for names in sets}
        if all(map(all, kept.values())):
            return shown
        return [
            (step, wall_time, [*compress(names, which)], [*compress(values, which)])
            for step, wall_time, names, values in shown
            if any(which := kept[tuple(names)])
        ]

    def _is_shown(self, name: str) -> bool:
        if name in self._names:
            return True
        if not 1 <= len(name) <= MAX_NAME_CHARS:
            self.ignored[name] = f"a name has 1 to {MAX_NAME_CHARS} characters"
        elif len(self._names) == MAX_METRICS:
            self.ignored[name] = f"a run has at most {MAX_METRICS} metrics"
        else:
            self._names[name] = None
        return name in self._names

    def _read_state(self) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads(self._state.read_text("utf-8")))
        return {}

    def _write_state(self, state: dict[str, Any]) -> None:
        self._written = state
        fresh = lossboard.private_folder("watched") / self._state.with_suffix(".new").name
        lossboard.write(fresh, json.dumps(state).encode())
        fresh.replace(self._state)


def body(seq: int, points: list[Point]) -> bytes:
    """A post of these points in the client's binary form, the first with this number."""
    blocks: dict[tuple[str, ...], array[float]] = {}
    for number, (step, _, metrics, values) in enumerate(points, seq):
        names = tuple(metrics)
        if names not in blocks:
            blocks[names] = array("d")
        blocks[names].extend((step or -0.0, number, *values))
    described = [{"metrics": names, "records": len(rows) // (2 + len(names))} for names, rows in blocks.items()]
    if sys.byteorder == "big":
        for rows in blocks.values():
            rows.byteswap()
    head = json.dumps({"version": 2, "seq": seq, "blocks": described, "times": _times(seq, points)}).encode() + b"\n"
    return head + b"".join(rows.tobytes() for rows in blocks.values())


def _times(seq: int, points: list[Point]) -> list[tuple[int, float]]:
    """Numbers of records, and by when those before each were made: the last one, and those between that do not follow
    from it at an even pace, as a board takes it."""
    every = -(-len(points) // MAX_TIMES)
    last, first_time, last_time = len(points) - 1, points[0][1], points[-1][1]
    kept = [last]
    for place in range(every - 1, last, every):
        even = first_time + (last_time - first_time) * place / last
        if abs(points[place][1] - even) > EVEN * abs(last_time - first_time):
            kept.insert(-1, place)
    return [(seq + place + 1, points[place][1]) for place in kept if 0 < points[place][1] <= MAX_TIME]
