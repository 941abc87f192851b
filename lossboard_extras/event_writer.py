"""Writes a run into an event file, which TensorBoard reads."""

from __future__ import annotations

import datetime
import re
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lossboard_extras.api import Api
from lossboard_extras.crc import masked_crc
from lossboard_extras.protobuf import field
from lossboard_extras.reading import columns_of

VERSION = b"brain.Event:2"  # of the format


def export(api: Api, run: Mapping[str, Any], folder: Path) -> Path:
    """Write the points of a run, as GET /api/runs/{id} gives it, into a new folder in ``folder``; the file.

    A board does not tell when each point was made: their times are spread evenly between the run's beginning and end.
    OSError, also FileExistsError if the run was written there before.
    """
    columns = columns_of(api, dict(run))
    steps = columns.pop("step")
    begin = _seconds(run["started_at"] or run["created_at"])
    end = max(begin, _seconds(run["ended_at"]) if run["ended_at"] else time.time())
    name = re.sub(r"[^\w.=+,@-]+", "_", run["name"]).strip(".") or "run"
    place = folder / f"{name}-{run['id'][:8]}"
    place.mkdir(parents=True)
    path = place / f"events.out.tfevents.{int(begin)}.lossboard.{run['id']}"
    with path.open("wb") as file:
        file.write(framed(_wall_time(begin) + field(3, VERSION)))
        for event in _events(steps, columns, begin, end):
            file.write(framed(event))
    return path


def framed(content: bytes) -> bytes:
    """A TFRecord with this content."""
    length = struct.pack("<Q", len(content))
    return b"".join([length, _crc(length), content, _crc(content)])


def _events(steps: list[float], columns: Mapping[str, list[Any]], begin: float, end: float) -> Iterator[bytes]:
    """An event for each point, with a summary of all that it has."""
    tags = {name: field(1, name.encode()) for name in columns}
    for place, step in enumerate(steps):
        logged = ((name, column[place]) for name, column in columns.items())
        values = [tags[name] + b"\x15" + _float32(value) for name, value in logged if value is not None]
        time_of_point = begin + (end - begin) * place / max(1, len(steps) - 1)
        yield _wall_time(time_of_point) + field(2, int(step)) + field(5, b"".join(field(1, one) for one in values))


def _float32(value: float) -> bytes:
    try:
        return struct.pack("<f", value)
    except OverflowError:  # beyond what a float32 can be
        return struct.pack("<f", float("inf") if value > 0 else float("-inf"))


def _wall_time(seconds: float) -> bytes:
    return b"\x09" + struct.pack("<d", seconds)


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc(data))


def _seconds(time_text: str) -> float:
    return datetime.datetime.fromisoformat(time_text.replace("Z", "+00:00")).timestamp()
