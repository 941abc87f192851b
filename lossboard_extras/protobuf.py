"""Reads and writes protobuf messages without their description: numbers of fields, and what these hold."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

# What reading a message raises if it is none, or if its fields are not what they should be.
MALFORMED = (ValueError, IndexError, TypeError, AttributeError, struct.error)


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, an int64, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value - (1 << 64) if value >> 63 else value, at
        shift += 7


def fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """The number and the content of each field of a message: an int, or bytes where it is no varint. One of
    ``MALFORMED`` if it is no message."""
    at = 0
    while at < len(message):
        key, at = varint(message, at)
        kind = key & 7
        size = {1: 8, 5: 4}.get(kind, -1)
        if kind in (0, 2):
            size, at = varint(message, at)
        if key < 8 or (kind and not 0 <= size <= len(message) - at):
            raise ValueError("no protobuf message")
        yield key >> 3, message[at : at + size] if kind else size
        at += size if kind else 0


def field(number: int, content: int | bytes) -> bytes:
    """A field with an int64, or with bytes: a text, or another message."""
    if isinstance(content, int):
        return _varint_of(number << 3) + _varint_of(content)
    return _varint_of(number << 3 | 2) + _varint_of(len(content)) + content


def _varint_of(number: int) -> bytes:
    number &= (1 << 64) - 1  # a negative one as an int64
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
