"""Checksums of a journal's records, which the sender's thread writes beside its files."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

from lossboard import UNREAD_BITS, write

if TYPE_CHECKING:
    from lossboard import _Block, _Segment

UNREAD = struct.pack("=Q", UNREAD_BITS)

_SUM_BYTES = 64 << 10  # of records that share a checksum, at most


def add_sums(segment: _Segment, *, everything: bool) -> None:
    """Write checksums beside a segment's file, of the records that are not acknowledged and were there when this was
    last called; or of ``everything`` that is there. OSError."""
    lines = []
    for block in segment.blocks if segment.path else ():
        end = block.taken if everything else block.seen
        block.seen = block.taken
        begin = max(block.summed, block.acknowledged)
        if begin < end:
            if not block.summed:
                head = bytes(segment.buffer[block.head : 8 * block.start]).decode().strip()
                lines.append(json.dumps({"at": block.head, "head": head}))
            lines += _sums(block, begin, end)
            block.summed = end
    if segment.path and lines:
        write(segment.path.with_suffix(".sums"), "".join(line + "\n" for line in lines).encode(), "ab")


def _sums(block: _Block, begin: int, end: int) -> list[str]:
    """A line for some records each: their first byte in the file, the byte after them, and their CRC-32. None for those
    of which one is not written yet, or waits for a value on a GPU."""
    lines = []
    size = max(1, _SUM_BYTES // (8 * block.record))
    for first in range(begin, end, size):
        cells = [block.start + number * block.record for number in (first, min(end, first + size))]
        records = block.cells[cells[0] : cells[1]].cast("B")
        steps = records.cast("Q")[:: block.record].tolist()
        if 0 not in steps and UNREAD not in bytes(records):
            lines.append(json.dumps([8 * cells[0], 8 * cells[1], zlib.crc32(records)]))
    return lines
