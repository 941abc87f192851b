"""Media, what runs log besides numbers: texts, images, histograms and sounds, their form and their bounds."""

from __future__ import annotations

import itertools
import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.schemas.responses import MediaKind
from app.storage.faults import CorruptError

TABLE = """
CREATE TABLE media (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL,
    session TEXT NOT NULL,     -- of the process that sent it
    place INTEGER NOT NULL,    -- its number among those of that session, from 0
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    step REAL NOT NULL,
    ordinal INTEGER NOT NULL,  -- its number among those of its run and name, from 0: also of those given up
    logged_at REAL NOT NULL,   -- seconds since 1970
    size INTEGER NOT NULL,     -- bytes of content
    content BLOB NOT NULL,
    crc32 INTEGER NOT NULL     -- of content
);
CREATE INDEX media_by_run ON media(run, session, place);
CREATE INDEX media_by_name ON media(run, name, step, number);
"""
MAX_KEPT = 1000  # of one run and name
MAX_NAMES = 1000  # of one run
MAX_BYTES = 10_000_000  # of one image or sound
MAX_TEXT_BYTES = 100_000
MAX_BINS = 1000  # of a histogram
MAX_HISTOGRAM_BYTES = 100_000

CONTENT_TYPES: Mapping[MediaKind, str] = {
    "text": "text/plain; charset=utf-8",
    "image": "image/png",
    "histogram": "application/json",
    "audio": "audio/wav",
}


@dataclass(frozen=True)
class Medium:
    """What one call logged besides numbers, without its content."""

    number: int
    name: str
    kind: MediaKind
    step: float
    ordinal: int
    logged_at: float
    size: int


@dataclass(frozen=True)
class MediaOfName:
    """How many of a name were logged, and how many of those are kept."""

    name: str
    kind: MediaKind
    logged: int
    kept: int


@dataclass(frozen=True)
class Sent:
    """One as it comes from a script: number ``place``, from 0, of a session of its run; ``logged_at`` in seconds since
    1970."""

    session: str
    place: int
    name: str
    kind: MediaKind
    step: float
    logged_at: float
    content: bytes


def check(row: Sequence[Any]) -> None:
    """See whether a row of the table is one that was stored. CorruptError."""
    content, crc32 = row[-2:]
    if row[5] not in CONTENT_TYPES or not isinstance(content, bytes) or zlib.crc32(content) != crc32:
        raise CorruptError(f"the {row[5]} {str(row[4])[:50]!r} of step {row[6]} is not what was stored")


def why_refused(kind: MediaKind, content: bytes) -> str | None:
    """What is wrong with a content that is to be stored, in a sentence that says what to send instead; or None."""
    limit = {"text": MAX_TEXT_BYTES, "histogram": MAX_HISTOGRAM_BYTES}.get(kind, MAX_BYTES)
    if len(content) > limit:
        return f"Send at most {limit:,} bytes; these are {len(content):,}."
    return {"text": _wrong_text, "image": _wrong_image, "histogram": _wrong_histogram, "audio": _wrong_sound}[kind](
        content
    )


def _wrong_text(content: bytes) -> str | None:
    try:
        content.decode()
    except UnicodeDecodeError:
        return "Send text in UTF-8."
    return None


def _wrong_image(content: bytes) -> str | None:
    is_png = content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR" and len(content) >= 33
    width, height = struct.unpack(">II", content[16:24]) if is_png else (0, 0)
    return None if width and height else "Send an image as PNG."


def _wrong_sound(content: bytes) -> str | None:
    is_wav = content[:4] == b"RIFF" and content[8:12] == b"WAVE"
    return None if is_wav else "Send a sound as WAV."


def _wrong_histogram(content: bytes) -> str | None:
    rule = f'Send {{"edges": […], "counts": […]}} with 1 to {MAX_BINS} counts, and one edge more, which ascend.'
    try:
        edges, counts = histogram(content)
    except (ValueError, TypeError, KeyError, RecursionError):
        return rule
    ascending = all(one < other for one, other in itertools.pairwise(edges))
    fitting = 1 <= len(counts) <= MAX_BINS and len(edges) == len(counts) + 1
    return None if ascending and fitting and all(count >= 0 for count in counts) else rule


def histogram(content: bytes) -> tuple[list[float], list[float]]:
    """The edges of a histogram's bins, and the count in each. ValueError, TypeError, KeyError if it is none."""
    stored: Any = json.loads(content)
    edges, counts = [[float(value) for value in stored[name]] for name in ("edges", "counts")]
    if not all(map(math.isfinite, [*edges, *counts])):
        raise ValueError("no finite number")
    return edges, counts
