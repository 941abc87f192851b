"""Checksums of a journal's records, which the sender's thread writes beside its files."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lossboard import _Segment

_SUM_BYTES = 64 << 10  # of records that share a checksum, at most


def add_sums(segment: _Segment, begin: int, end: int) -> None:
    """Write checksums of a segment's records from ``begin`` to before ``end`` beside its file, but of no block in which
    one is not written yet. OSError."""
    begin, end = max(begin, segment.summed), min(end, segment.end)
    if not segment.path or begin >= end:
        return
    lines = b"" if segment.summed > segment.base else bytes(segment.buffer[: 8 * segment.start])
    bits = segment.buffer.cast("Q")
    while begin < end:
        some = min(end - begin, max(1, _SUM_BYTES // (8 * segment.record)))
        cell = segment.start + (begin - segment.base) * segment.record
        steps = bits[cell : cell + some * segment.record : segment.record].tolist()
        crc = zlib.crc32(segment.buffer[8 * cell : 8 * (cell + some * segment.record)])
        block = [begin - segment.base, begin - segment.base + some, crc]
        lines += b"" if 0 in steps else json.dumps(block).encode() + b"\n"
        begin += some
    with segment.path.with_suffix(".sums").open("ab") as file:
        file.write(lines)
    segment.summed = begin
