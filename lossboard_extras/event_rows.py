"""Points that follow each other in an event file and are written alike, as those of a loop are: read many at once.

Such points have as many bytes each, which differ only where the times, the step, the values and the checksums are. They
are compared as one large number, and read by two structs; a look at each record takes several times as long.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Collection, Mapping
from itertools import repeat
from typing import NamedTuple

from lossboard_extras.protobuf import varint

Point = tuple[int, float, Collection[str], Collection[float]]  # step, wall time in seconds, tags, the scalar of each

HEAD_BYTES = 12  # of a record: its length, and the CRC of that
CRC_BYTES = 4  # behind its bytes

FIRST_POINTS = 16  # for fewer it is not worth the time; if all are alike the next are twice as many, and so on
MOST_POINTS = 256  # as what is compared at once stays in the processor's cache
MAX_STEP_BYTES = 9  # of a step that is not negative
LEAST_EVENT_BYTES = 15  # of one that has all that is looked for


class _Layout(NamedTuple):
    """Where things are in the bytes of a point."""

    names: tuple[str, ...]  # of its metrics
    steps: list[range]  # the bytes of the step of each record
    alike: bytes  # a mask of the bits that do not differ from point to point
    time: struct.Struct  # reads the first record's wall time
    values: struct.Struct  # reads the scalars


def points_like(point: bytes, data: bytes, at: int, tags: Mapping[bytes, str]) -> list[Point]:
    """The points from ``at`` on that are written as ``point`` is, as far as they follow each other; none if few do.

    ``tags``: by all bytes of a summary but those of its one value, at its end. None is found unless each record of the
    point has a wall time, a step and such a summary, and nothing else.
    """
    layout = _layout_of(point, tags)
    found: list[Point] = []
    tried = FIRST_POINTS if layout else 0
    while layout and tried:
        rows = data[at : at + tried * len(point)]
        count = _count_alike(point, layout.alike, rows)
        if count < FIRST_POINTS and not found:
            break
        rows = rows[: count * len(point)]
        columns = [[rows[place :: len(point)] for place in step] for step in layout.steps]
        if columns.count(columns[0]) < len(columns):  # the steps in one point differ
            break
        times = map(operator.itemgetter(0), layout.time.iter_unpack(rows))
        found += zip(_numbers(columns[0]), times, repeat(layout.names), layout.values.iter_unpack(rows))
        at += len(rows)
        tried = min(2 * tried, MOST_POINTS) if count == tried else 0
    return found


def _layout_of(point: bytes, tags: Mapping[bytes, str]) -> _Layout | None:
    """None if one of its records has anything but a wall time, a step and a summary with one scalar."""
    alike = bytearray(b"\xff" * len(point))
    names: list[str] = []
    steps: list[range] = []
    values, begin, last_end = "<", HEAD_BYTES, 0
    while begin < len(point):
        end = begin + int.from_bytes(point[begin - HEAD_BYTES : begin - HEAD_BYTES + 8], "little")
        if end - begin < LEAST_EVENT_BYTES or point[begin] != 0x09 or point[begin + 9] != 0x10:
            return None
        step = range(begin + 10, varint(point, begin + 10)[1])
        name = tags.get(point[step.stop : end - 4])
        if name is None or len(step) > MAX_STEP_BYTES:
            return None
        names.append(name)
        steps.append(step)
        values += f"{end - 4 - last_end}xf"
        alike[begin + 1 : begin + 9] = bytes(8)
        alike[step.start : step.stop] = b"\x80" * len(step)  # whether another byte follows
        alike[end - 4 : end + CRC_BYTES] = bytes(4 + CRC_BYTES)
        begin, last_end = end + CRC_BYTES + HEAD_BYTES, end
    time = f"<{HEAD_BYTES + 1}xd{len(point) - HEAD_BYTES - 9}x"
    return _Layout((*names,), steps, bytes(alike), struct.Struct(time), struct.Struct(f"{values}{CRC_BYTES}x"))


def _count_alike(point: bytes, mask: bytes, data: bytes) -> int:
    """How many points at the beginning of ``data`` are this one, but for the bits that are not in ``mask``."""
    count = len(data) // len(point)
    compared = (data[: count * len(point)], point * count, mask * count)
    found, wanted, matter = (int.from_bytes(one, "little") for one in compared)
    differing = (found ^ wanted) & matter
    lowest = differing & -differing
    return (lowest.bit_length() - 1) // 8 // len(point) if differing else count


def _numbers(columns: list[bytes]) -> list[int]:
    """The numbers of varints of one length, by their first bytes, their second bytes and so on."""
    numbers = list(columns[0])
    for place, column in enumerate(columns[1:], 1):  # less one, as the bit of the byte before says that it follows
        numbers = [number + (byte - 1 << 7 * place) for number, byte in zip(numbers, column)]  # noqa: B905
    return numbers
