"""Event files as TensorBoard's writers make them, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

from lossboard_extras.crc import masked_crc
from lossboard_extras.event_file import EventFile


def varint(number: int) -> bytes:
    """Seven bits a byte; a negative one as an int64."""
    number &= (1 << 64) - 1
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, content: bytes | int) -> bytes:
    """A field that holds bytes, or a varint."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def plugin(name: str, content: bytes = b"") -> bytes:
    """The metadata of a value: the plugin that shows it."""
    return field(9, field(1, field(1, name.encode()) + field(2, content)))


def simple(tag: str, value: float) -> bytes:
    """A scalar as most writers write it."""
    return field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def tensor(kind: int, *parts: bytes, shape: tuple[int, ...] = ()) -> bytes:
    """The field of a value that holds a tensor of this DataType; parts are its other fields."""
    sizes = field(2, b"".join(field(2, field(1, size)) for size in shape))
    return field(8, field(1, kind) + sizes + b"".join(parts))


def text(tag: str, *texts: bytes) -> bytes:
    """A text as newer writers write it."""
    return field(1, tag.encode()) + tensor(7, *(field(8, one) for one in texts), shape=(len(texts),)) + plugin("text")


def event(step: int, *values: bytes, wall_time: float = 1e9) -> bytes:
    """An event with these values. Protobuf writes no zero."""
    summary = b"".join(field(1, value) for value in values)
    return b"\x09" + struct.pack("<d", wall_time) + (field(2, step) if step else b"") + field(5, summary)


def framed(content: bytes) -> bytes:
    """A TFRecord."""
    length = struct.pack("<Q", len(content))
    return b"".join([length, struct.pack("<I", masked_crc(length)), content, struct.pack("<I", masked_crc(content))])


def write(path: Path, *events: bytes) -> Path:
    """Add events to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(map(framed, events)))
    return path


def losses(*values: float, start: int = 0, tag: str = "loss") -> list[bytes]:
    """An event for each value, at consecutive steps."""
    return [event(step, simple(tag, value)) for step, value in enumerate(values, start)]


def read_points(file: EventFile, end: int | None = None) -> list[tuple[int, float, dict[str, float]]]:
    """The next points of a file: step, wall time, scalars by tag."""
    found = file.read(end)
    return [(step, wall_time, dict(zip(names, values, strict=True))) for step, wall_time, names, values in found]
