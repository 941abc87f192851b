"""Reads TensorBoard's event files, whoever wrote them: also while they grow, and up to where they are damaged.

A file is a sequence of TFRecords, each ``length (uint64), CRC of the length, bytes, CRC of the bytes``, little-endian.
The bytes are a protobuf message ``Event``; TensorFlow's core/util/event.proto and core/framework/summary.proto say
what is in it. Of a summary the scalars and the media are read; of anything else it is told what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lossboard_extras.crc import masked_crc
from lossboard_extras.event_media import Found, found_in
from lossboard_extras.event_rows import CRC_BYTES, HEAD_BYTES, Point, points_like
from lossboard_extras.protobuf import MALFORMED, fields, varint

CHUNK_BYTES = 1 << 20  # that are read at once, unless one record is longer

BFLOAT16 = 14  # a DataType
# Other DataTypes of numbers: how struct reads them in tensor_content.
FORMATS = {1: "f", 2: "d", 3: "i", 4: "B", 5: "h", 6: "b", 9: "q", 10: "?", 17: "H", 19: "e", 22: "I", 23: "Q"}
FIXED_LISTS = {5: "f", 6: "d"}  # float_val and double_val, of a tensor that has a list of numbers instead
VARINT_LISTS = {7, 10, 11, 16, 17}  # int_val, int64_val, bool_val, uint32_val, uint64_val
HALF_LIST = 13  # half_val, the bits of a half or a bfloat16
LISTS = {*FIXED_LISTS, *VARINT_LISTS, HALF_LIST}
OLD_KINDS = {3: "histogram", 4: "image", 5: "histogram", 6: "audio"}  # fields of a value, of before there were plugins
KINDS = {"images": "image", "histograms": "histogram"}  # names of plugins that say the same

_double = struct.Struct("<d").unpack_from
_float = struct.Struct("<f").unpack_from


class Other(NamedTuple):
    """A value that is neither a scalar nor shown as a medium. ``kind`` is graph, hparams or the name of another plugin,
    or what it would be, and ``why`` it is not that; ``content`` is what the plugin's metadata says."""

    kind: str
    content: bytes = b""
    why: str = ""


class EventMedium(NamedTuple):
    """A text, an image, a histogram or a sound, with the place of its event in the file."""

    at: int
    step: int
    wall_time: float
    found: Found


class EventFile:
    """One event file, read from ``offset`` on, where a record begins; ``plugins`` are those of what came before."""

    def __init__(self, path: Path, offset: int = 0, plugins: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.offset = offset  # up to where it was read
        self.damage = ""  # why nothing beyond offset could be read, at the last try
        self.began_at = 0.0  # wall time of the first event that was read
        self.media: list[EventMedium] = []  # that the last read() has found
        self.others: dict[str, Other] = {}  # by tag, what was met that is none of these
        self._tags: dict[bytes, str] = {}  # by all bytes of a summary but those of its one value, at its end
        self.plugins = dict(plugins or {})  # by tag: some writers name it in the first event only

    def read(self, end: int | None = None) -> list[Point]:
        """What about ``CHUNK_BYTES`` more of the file have, or those up to ``end``. OSError.

        Values of one step that follow each other are one point, up to a tag that it has already. The last point is left
        for the next call where the file goes on behind it, unless it is all there is; so is a record that is still
        being written. ``offset`` tells whether anything was read.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(CHUNK_BYTES if end is None else end - self.offset)
            if length := _length(data[:HEAD_BYTES]):
                data += file.read(max(0, HEAD_BYTES + length + CRC_BYTES - len(data)))
            goes_on = end is None and file.read(1) != b""
        points, read, last = self._parse(data)
        if goes_on and len(points) > 1 and not self.damage:
            points.pop()
            read = last
            self.media = [medium for medium in self.media if medium.at < read]
        self.offset += read
        return points

    def _parse(  # noqa: C901, PLR0912, PLR0915 - in one piece, as calls would take longer than all else
        self, data: bytes
    ) -> tuple[list[Point], int, int]:
        """The points in whole records, the place behind those, and the place at which the last point begins."""
        points: list[Point] = []
        try_at = pause = 1  # once there are so many, it is tried whether more are like the last one
        self.media = []
        tags = self._tags
        lengths: dict[bytes, int | None] = {}  # by the heads that were checked
        self.damage = ""
        at = last = 0
        step: int | None = None
        values: dict[str, float] = {}
        size = len(data)
        last_head = size - HEAD_BYTES
        while at <= last_head:
            begin = at + HEAD_BYTES
            head = data[at:begin]
            length = lengths.get(head)
            if length is None:
                length = lengths[head] = _length(head)
                if length is None:
                    self.damage = f"damaged at byte {self.offset + at}"
                    break
            end = begin + length
            if end + CRC_BYTES > size:
                break
            # The usual event has its wall time, its step (unless that is 0), and a summary that ends with its one
            # value; all of that before the value was met before.
            now, rest = 0, begin + 9
            if length > 14 and data[rest] == 0x10:
                now, rest = data[begin + 10], begin + 11
                if now > 127:  # as varint() does it; a call takes a third of the time of all
                    now += (data[rest] << 7) - 128
                    rest += 1
                    if now > 16383:
                        now += (data[rest] << 14) - 16384
                        rest += 1
                    if now > 2097151:
                        now, rest = varint(data, begin + 10)
            tag = tags.get(data[rest : end - 4])
            if tag is not None and data[begin] == 0x09:
                (value,) = _float(data, end - 4)
                if now == step and tag not in values:
                    values[tag] = value
                else:
                    if len(points) >= try_at:
                        alike = points_like(data[last:at], data, at, tags)
                        pause = 1 if alike else 2 * pause
                        try_at = len(points) + len(alike) + pause
                        if alike:
                            last, at = (at + count * (at - last) for count in (len(alike) - 1, len(alike)))
                            points += alike
                            step, wall_time, *scalars = points.pop()  # the next record may have more of them
                            values = dict(zip(*scalars))  # noqa: B905  (Python 3.9 knows no strict)
                            points.append((step, wall_time, values, values.values()))
                            continue
                    step, values, last = now, {tag: value}, at
                    points.append((now, _double(data, begin + 1)[0], values, values.values()))
            else:
                try:
                    wall_time, now, found = self._parse_event(data[begin:end], at)
                except MALFORMED:
                    self.damage = f"damaged at byte {self.offset + at}"
                    break
                if now == step and values.keys().isdisjoint(found):
                    values.update(found)
                elif found:
                    step, values, last = now, found, at
                    points.append((now, wall_time, values, values.values()))
            at = end + CRC_BYTES
        return points, at, last

    def _parse_event(self, event: bytes, at: int) -> tuple[float, int, dict[str, float]]:
        """Wall time, step and scalars of any event. One of MALFORMED if it is none."""
        wall_time, step, summary = 0.0, 0, b""
        found: dict[str, float] = {}
        media: list[Found] = []
        for number, content in fields(event):
            if number == 1:
                wall_time = _double(content)[0]
            elif number == 2:
                step = content
            elif number == 4:
                self.others[""] = Other("graph")
            elif number == 5:
                summary = content
                for tag, value in [self._parse_value(value) for field, value in fields(summary) if field == 1]:
                    if isinstance(value, float):
                        found[tag] = value
                    elif isinstance(value, list):
                        media += value
                    else:
                        self.others[tag] = value
        self.began_at = self.began_at or wall_time
        self.media += [EventMedium(at, step, wall_time, one) for one in media]
        if len(found) == 1 and event.endswith(summary) and summary[-5:-4] == b"\x15" and len(summary) < 1 << 14:
            self._tags[event[-len(summary) - (2 if len(summary) < 128 else 3) : -4]] = next(iter(found))
        return wall_time, step, found

    def _parse_value(self, value: bytes) -> tuple[str, float | list[Found] | Other]:
        """The tag of a value, and what was logged."""
        parts = dict(fields(value))
        tag = parts.get(1, b"").decode(errors="replace")
        if 2 in parts:
            return tag, float(_float(parts[2])[0])
        about = dict(fields(dict(fields(parts.get(9, b""))).get(1, b"")))  # metadata, and in that plugin_data
        if 1 in about:
            self.plugins[tag] = about[1].decode(errors="replace")
        plugin = self.plugins.get(tag, "")
        if 8 in parts and plugin in ("", "scalars") and (scalar := _scalar_of(parts[8])) is not None:
            return tag, scalar
        kind = next((OLD_KINDS[number] for number in OLD_KINDS.keys() & parts.keys()), KINDS.get(plugin, plugin))
        try:
            media, why = found_in(tag, plugin, parts), ""
        except (*MALFORMED, OSError) as error:
            media, why = None, str(error)
        return tag, Other(kind or "tensor", about.get(2, b""), why) if media is None else media


def _length(head: bytes) -> int | None:
    """The length of a record by its head; None if that is damaged or cut."""
    if len(head) < HEAD_BYTES or int.from_bytes(head[8:], "little") != masked_crc(head[:8]):
        return None
    return int.from_bytes(head[:8], "little")


def _scalar_of(tensor: bytes) -> float | None:
    """The one number of a tensor, or None if it is another one."""
    parts: dict[int, list[Any]] = {}
    for number, content in fields(tensor):
        parts.setdefault(number, []).append(content)
    kind = parts.get(1, [0])[0]
    sizes = [dict(fields(dim)).get(1, 0) for number, dim in fields(parts.get(2, [b""])[0]) if number == 2]
    if kind not in (*FORMATS, BFLOAT16) or any(size != 1 for size in sizes):
        return None
    if 4 in parts:
        return _unpacked(kind, parts[4][0])
    listed = [(number, content) for number in LISTS & parts.keys() for content in parts[number]]
    if len(listed) > 1:
        return None
    return _listed(kind, *listed[0]) if listed else 0.0  # protobuf writes no list of zeros


def _listed(kind: int, field: int, value: Any) -> float | None:
    """The number in a list of one, which may be packed."""
    if field in FIXED_LISTS:
        return float(struct.unpack("<" + FIXED_LISTS[field], value)[0])
    number, end = (value, 0) if isinstance(value, int) else varint(value, 0)
    if end and end != len(value):
        return None
    return _unpacked(kind, number.to_bytes(2, "little")) if field == HALF_LIST else float(number)


def _unpacked(kind: int, content: bytes) -> float | None:
    """The number that these bytes are."""
    if kind == BFLOAT16:
        kind, content = 1, b"\0\0" + content
    form = struct.Struct("<" + FORMATS[kind])
    return float(form.unpack(content)[0]) if len(content) == form.size else None
