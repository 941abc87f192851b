"""The client's binary form of a post: a line of JSON, then records (see lossboard.py and docs/rest.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lossboard
from app.schemas.limits import MAX_METRICS, MAX_TIME, MAX_WHOLE
from app.storage.batch import MAX_PART_BYTES, Batch, Floats, check_names, from_blob

MAX_SESSION_CHARS = 40
MAX_TIMES = 1000
TOLD = ("summary", "progress", "params", "live")
BLOCKS_VERSION = 2  # of a post with blocks

type Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Post:
    """What came with one post.

    batches: consecutive records, one batch after the other; at least one, which may be empty
    changes: parameters that were changed, as they came: they are not checked here
    after_gap: the records before these that the board lacks never come
    unchecked: no checksum has vouched for these records
    told: what else the script says of its run, as it came
    session: that of which the records' numbers are; empty: the run's first
    numbers: of each block those of its records, up to before the first that is not written
    """

    batches: Sequence[Batch]
    changes: Any = ()
    after_gap: bool = False
    unchecked: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)
    session: str = ""
    numbers: Sequence[Floats] = ()

    def taken(self, accepted: int) -> list[int]:
        """Of each block how many of its first records are among those numbered less than ``accepted``."""
        return [_leading(numbers < accepted) for numbers in self.numbers]


@dataclass(frozen=True)
class Block:
    """Records with the same metrics, in any order. ``rows`` has the shape (records, 2 + len(names)): the step, the
    record's number, then the metrics; of those that are ``counted`` the step is the number, and stands there once."""

    names: tuple[str, ...]
    rows: Floats
    counted: bool = False

    @property
    def numbers(self) -> Floats:
        """The number of each record."""
        return self.rows[:, 0 if self.counted else 1]

    @property
    def points(self) -> Floats:
        """The step and the metrics of each record."""
        return self.rows if self.counted else np.delete(self.rows, 1, axis=1)


def parse(body: bytes) -> Post:
    """A post in the binary form. ValueError says what is wrong with it."""
    head, newline, blob = body.partition(b"\n")
    if not newline:
        raise ValueError("the body has no first line; send a line of JSON, then the records")
    try:
        header = json.loads(head)
        seq, form = header["seq"], header["blocks" if "blocks" in header else "metrics"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError('the first line must be JSON like {"seq": 0, "metrics": ["loss"]}') from None
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= MAX_WHOLE:
        raise ValueError(f"seq must be a whole number from 0 to {MAX_WHOLE}")
    numbers: list[Floats] = []
    if "blocks" in header:
        _check_version(header)
        blocks = _blocks(form, blob)
        written = [_complete(block.rows) for block in blocks]
        numbers = [block.numbers[: _leading(there)] for block, there in zip(blocks, written, strict=True)]
        batches = merge(seq, [_only(block, there) for block, there in zip(blocks, written, strict=True)])
    else:
        check_names(form)
        batches = [_written(from_blob(seq, form, blob))]
    if times := header.get("times", []):
        batches = list(_with_times(batches, _times(times)))
    for batch in batches:
        if not (np.abs(batch.rows[:, 0]) <= MAX_WHOLE).all():
            raise ValueError(f"every step must be a finite number from {-MAX_WHOLE} to {MAX_WHOLE}")
    flags = {name: header.get(name, False) for name in ("after_gap", "unchecked")}
    if wrong := [name for name, value in flags.items() if value is not True and value is not False]:
        raise ValueError(f"{wrong[0]} must be true or false")
    session = header.get("session", "")
    if not isinstance(session, str) or len(session) > MAX_SESSION_CHARS:
        raise ValueError(f"session must be a text of at most {MAX_SESSION_CHARS} characters")
    told = {name: header[name] for name in TOLD if name in header}
    return Post(batches, header.get("changes", []), **flags, told=told, session=session, numbers=numbers)


def write(seq: int, blocks: Sequence[Block], **flags: Any) -> bytes:
    """A post of records numbered from ``seq`` on, which the blocks have between them; in the plain form if they are of
    one block, in their order. ``flags`` are further entries of its first line."""
    first = blocks[0] if len(blocks) == 1 else None
    if first is not None and (first.numbers == np.arange(seq, seq + len(first.rows))).all():
        head: dict[str, Any] = {"seq": seq, "metrics": first.names}
        rows = [np.delete(first.rows, 1, axis=1)]
    else:
        described = [{"metrics": block.names, "records": len(block.rows)} for block in blocks]
        head = {"version": BLOCKS_VERSION, "seq": seq, "blocks": described}
        rows = [block.rows for block in blocks]
    records = b"".join(part.astype("<f8", copy=False).tobytes() for part in rows)
    return json.dumps(head | flags).encode() + b"\n" + records


def merge(seq: int, blocks: Sequence[Block]) -> list[Batch]:
    """The records of all blocks in the order of their numbers, from ``seq`` up to before the first number that none
    has; in batches of a bounded size. Of two with one number the first counts. ValueError for what is no number."""
    if in_order := _in_order(seq, blocks):
        return in_order
    numbers, source, place = index(blocks)
    order = np.lexsort((source, numbers))
    numbers, source, place = numbers[order], source[order], place[order]
    keep = (numbers >= seq) & np.concatenate([[True], numbers[1:] != numbers[:-1]])[: len(numbers)]
    numbers, source, place = numbers[keep], source[keep], place[keep]
    end = int(np.argmin(np.append(numbers == seq + np.arange(len(numbers)), False)))
    batches = list(_batches(seq, blocks, source[:end], place[:end]))
    return batches or [Batch(seq, (), np.empty((0, 1)))]


def _in_order(seq: int, blocks: Sequence[Block]) -> list[Batch]:
    """What merge() gives, sooner, where each block has the records that follow those of the one before, as nearly
    always; else nothing."""
    batches: list[Batch] = []
    for block in blocks:
        if len(block.rows):
            if (block.numbers != seq + np.arange(len(block.rows))).any():
                return []
            batches.append(_without_negative_zero(Batch(seq, block.names, block.points)))
            seq += len(block.rows)
    return batches


def _times(form: object) -> list[tuple[int, float]]:
    numbers = isinstance(form, list) and all(
        isinstance(one, list) and len(one) == 2 and all(isinstance(n, int | float) for n in one) for one in form
    )
    if not numbers or not isinstance(form, list) or len(form) > MAX_TIMES or form != sorted(form):
        raise ValueError(f"times must be at most {MAX_TIMES} pairs in order: a number of a record, seconds since 1970")
    if not all(0 <= number <= MAX_WHOLE and 0 <= at <= MAX_TIME for number, at in form):
        raise ValueError(f"times must be of records numbered up to {MAX_WHOLE}, and up to {MAX_TIME} seconds")
    return [(int(number), float(at)) for number, at in form]


def _with_times(batches: Iterable[Batch], times: Sequence[tuple[int, float]]) -> Iterator[Batch]:
    """The batches in parts of which each was made by one of the times; those after the last one just now."""
    for batch in batches:
        begin = batch.seq
        for number, at in times:
            if begin < number and begin < batch.seq + len(batch):
                yield replace(batch.between(begin, number), at=at)
                begin = number
        if begin < batch.seq + len(batch) or not len(batch):
            yield batch.after(begin)


def _check_version(header: Mapping[str, Any]) -> None:
    if header.get("version") != BLOCKS_VERSION:
        raise ValueError(f"version must be {BLOCKS_VERSION} where there are blocks")


def _blocks(form: object, blob: bytes) -> list[Block]:
    if not isinstance(form, list) or not all(isinstance(one, dict) for one in form):
        raise ValueError('blocks must be a list like [{"metrics": ["loss"], "records": 2}]')
    blocks: list[Block] = []
    begin = 0
    for described in form:
        names, count = described.get("metrics"), described.get("records")
        check_names(names)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise ValueError("records of each block must be a whole number, of its records")
        counted = described.get("counted", False) is True
        width = (1 if counted else 2) + len(names)
        end = begin + 8 * count * width
        if end > len(blob):
            raise ValueError(f"the blocks are cut: {len(blob)} bytes are less than the {end} that they name")
        rows = np.frombuffer(blob[begin:end], "<f8").reshape(count, width)
        blocks.append(Block(tuple(names), rows, counted))
        begin = end
    if begin != len(blob):
        raise ValueError(f"{len(blob) - begin} bytes follow the last block")
    if len({name for block in blocks for name in block.names}) > MAX_METRICS:
        raise ValueError(f"metrics must be at most {MAX_METRICS} names in all blocks")
    return blocks


def _complete(rows: Floats) -> NDArray[np.bool_]:
    """Of each record whether it is written, and waits for no value on a GPU: else it comes with a later post."""
    bits = rows.view(np.uint64)
    complete: NDArray[np.bool_] = bits[:, 0] != 0
    unread = bits == lossboard.UNREAD_BITS
    return complete & ~unread.any(axis=1) if unread.any() else complete


def _leading(flags: NDArray[np.bool_]) -> int:
    """How many are true before the first that is not."""
    return len(flags) if flags.all() else int(np.argmin(flags))


def _only(block: Block, kept: NDArray[np.bool_]) -> Block:
    return block if kept.all() else replace(block, rows=block.rows[kept])


def index(blocks: Sequence[Block]) -> tuple[Numbers, Numbers, Numbers]:
    """Of every record in the blocks its number, which block it is in, and at which place there."""
    numbers = np.concatenate([np.empty(0), *(block.numbers for block in blocks)])
    if not ((numbers >= 0) & (numbers <= MAX_WHOLE) & (numbers == np.floor(numbers))).all():
        raise ValueError(f"every number of a record must be a whole one from 0 to {MAX_WHOLE}")
    lengths = [len(block.rows) for block in blocks]
    source = np.repeat(np.arange(len(blocks)), lengths)
    place = np.concatenate([np.empty(0, np.int64), *map(np.arange, lengths)])
    return numbers.astype(np.int64), source.astype(np.int64), place.astype(np.int64)


def _batches(seq: int, blocks: Sequence[Block], source: Numbers, place: Numbers) -> Iterator[Batch]:
    """One batch of these records, or several: each has a column for every metric that any of its records has."""
    if not len(source):
        return
    used = np.unique(source).tolist()
    names = tuple(dict.fromkeys(name for one in used for name in blocks[one].names))
    half = len(source) // 2
    if half and 8 * len(source) * (1 + len(names)) > MAX_PART_BYTES and len(used) > 1:
        yield from _batches(seq, blocks, source[:half], place[:half])
        yield from _batches(seq + half, blocks, source[half:], place[half:])
        return
    rows = np.full((len(source), 1 + len(names)), lossboard.MISSING)
    column = {name: at for at, name in enumerate(names, 1)}
    for one in used:
        mine = np.flatnonzero(source == one)
        columns = [0, *(column[name] for name in blocks[one].names)]
        some = blocks[one].points[place[mine]]
        rows[np.ix_(mine, columns)] = some
    yield _without_negative_zero(Batch(seq, names, rows))


def _written(batch: Batch) -> Batch:
    """The records up to the first that is not complete."""
    rows = batch.rows[: _leading(_complete(batch.rows))]
    return _without_negative_zero(Batch(batch.seq, batch.names, rows))


def _without_negative_zero(batch: Batch) -> Batch:
    """Step -0.0 becomes 0.0."""
    zero = np.flatnonzero(batch.rows[:, 0] == 0)
    if not len(zero):
        return batch
    rows = batch.rows.copy()
    rows[zero, 0] = 0.0
    return Batch(batch.seq, batch.names, rows)
