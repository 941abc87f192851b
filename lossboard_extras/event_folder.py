"""A folder of event files as one run: its points in the order in which they are posted, each once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from array import array
from pathlib import Path
from typing import Any

import lossboard
from lossboard_extras.event_file import EventFile, Other, Point

PEEK_BYTES = 64 << 10
MAX_METRICS = 1000
MAX_NAME_CHARS = 200
MAX_WHOLE = 2**53  # steps beyond it are no whole numbers to a board


class EventFolder:
    """The points of the event files of one folder, numbered from 0 on.

    How the values of a step come to be one point or two depends on when they were read, so a file in the data folder
    notes before each post which part of which file it is of: whoever goes on later counts as this one did.
    """

    def __init__(self, folder: Path, first: str) -> None:
        """``first`` is the name of its oldest event file: emptied and used again, it is another run."""
        self.folder = folder
        self.id = hashlib.sha256(f"{folder}\n{first}".encode(errors="surrogateescape")).hexdigest()[:32]
        self.files: dict[str, EventFile] = {}
        self.records = 0  # that the board has
        self.ignored: dict[str, str] = {}  # what is not shown: its name, and why
        self._state = lossboard.data_folder() / "watched" / f"{self.id}.json"
        self._names: dict[str, None] = {}  # of the metrics so far
        self._taken: list[Point] = []  # the points of the next post
        self._skip = 0  # of those to come, so many are on the board

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

    def first_others(self) -> dict[str, Other]:
        """What is no scalar at the beginning of the files, by tag; where they are read does not change. OSError."""
        heads = [EventFile(file.path) for file in self.files.values()]
        for head in heads:
            with contextlib.suppress(FileNotFoundError):
                head.read(PEEK_BYTES)
        return {tag: other for head in heads for tag, other in head.others.items()}

    def resume(self, wanted: int) -> None:
        """Go on with the record of this number, which is what the board wants next."""
        state = self._read_state()
        self._names = dict.fromkeys(state.get("metrics", ()))
        offsets: dict[str, int] = state.get("offsets", {})
        self._taken, self._skip = [], wanted - state.get("records", 0)
        files = {name: EventFile(file.path, offsets.get(name, 0)) for name, file in self.files.items()}
        if self._skip and state.get("file") in files:  # the post that it notes has arrived
            with contextlib.suppress(FileNotFoundError):
                self._taken = self._shown(files[state["file"]].read(state["end"]))
        if not 0 <= self._skip <= len(self._taken):  # the board has others than were noted: count from the beginning
            files = {name: EventFile(file.path) for name, file in self.files.items()}
            self._taken, self._skip, self._names = [], wanted, {}
        self.files = files
        self.records = wanted
        self._skip_some()

    def take(self) -> bytes:
        """The body of the next post; empty if nothing is left to post."""
        for name in sorted(self.files):
            with contextlib.suppress(FileNotFoundError):
                while not self._taken and self._read(name):
                    self._skip_some()
        return body(self.records, self._taken) if self._taken else b""

    def acknowledge(self, accepted: int) -> None:
        """The board has the records up to before this number."""
        del self._taken[: accepted - self.records]
        self.records = accepted

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
        if self._taken:
            part = {"offsets": before, "file": name, "end": file.offset}
            self._write_state({"records": self.records - self._skip, "metrics": names, **part})
        return True

    def _skip_some(self) -> None:
        """Leave out what the board has."""
        skipped = min(self._skip, len(self._taken))
        del self._taken[:skipped]
        self._skip -= skipped

    def _shown(self, points: list[Point]) -> list[Point]:
        """Those that a board can take, without the metrics that it cannot."""
        shown = []
        for step, wall_time, values in points:
            kept = values
            if not self._names.keys() >= values.keys():
                kept = {name: value for name, value in values.items() if self._is_shown(name)}
            if kept and abs(step) <= MAX_WHOLE:
                shown.append((step, wall_time, kept))
        return shown

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
        self._state.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(state), "utf-8")
        fresh.replace(self._state)


def body(seq: int, points: list[Point]) -> bytes:
    """A post of these points in the client's binary form, the first with this number."""
    blocks: dict[tuple[str, ...], array[float]] = {}
    for number, (step, _, values) in enumerate(points, seq):
        names = tuple(values)
        if names not in blocks:
            blocks[names] = array("d")
        blocks[names].extend((step or -0.0, number, *values.values()))
    described = [{"metrics": names, "records": len(rows) // (2 + len(names))} for names, rows in blocks.items()]
    if sys.byteorder == "big":
        for rows in blocks.values():
            rows.byteswap()
    head = json.dumps({"version": 2, "seq": seq, "blocks": described}).encode() + b"\n"
    return head + b"".join(rows.tobytes() for rows in blocks.values())
