"""What is known of a run, apart from its points; and what subscribers are told when that changes."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import pydantic_core
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from app.schemas.limits import MAX_TIME, MAX_WHOLE
from app.schemas.responses import Bounds, Status
from app.storage.batch import Batch
from app.storage.faults import CorruptError, damage_found


def _checked(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not all(isinstance(one.get("step"), int | float) and isinstance(one.get("params"), dict) for one in changes):
        raise ValueError("a change has a step and params")
    return changes


def _checked_asked(asked: dict[str, Any]) -> dict[str, Any]:
    kinds = {"stop": bool, "hold": str, "steps": int, "params": dict, "asked": dict, "revision": int}
    if not all(isinstance(asked[name], kind) for name, kind in kinds.items() if name in asked):
        raise ValueError(f"what is asked of a run is {', '.join(kinds)}")
    return asked


type Time = Annotated[float, Field(ge=0, le=MAX_TIME, allow_inf_nan=False)]
type Whole = Annotated[int, Field(ge=-MAX_WHOLE, le=MAX_WHOLE)]
type Step = Whole | Annotated[float, Field(ge=-MAX_WHOLE, le=MAX_WHOLE, allow_inf_nan=False)]  # 3, or 2.75
type Range = Annotated[list[int], Field(min_length=2, max_length=2)]
type Session = Annotated[tuple[str, Whole, Whole], Field()]  # name; number of its first record there, and in the run
type Extremes = Annotated[list[float], Field(min_length=2, max_length=2)]  # the smallest, and the largest
type Share = Annotated[float, Field(ge=0, le=1)]
type Asked = Annotated[dict[str, Any], AfterValidator(_checked_asked)]
type Changes = Annotated[list[dict[str, Any]], AfterValidator(_checked)]

UNREADABLE = "What is stored of it, apart from its points, cannot be read."
CHANGED = "What is stored of it, apart from its points, is not what was once stored: its checksum is wrong."

DELETED = "deleted"  # in the column status: the run is gone for everyone, and may be restored for a while yet

MAX_RANGES = 1000  # of record numbers: every open page is sent all of them


@dataclass
class RunRecord:
    """What is known of a run, apart from its points. Times are seconds since 1970."""

    id: str
    name: str
    method: str
    params: dict[str, Any]
    status: Status
    created_at: Time
    number: Whole = 0
    colour: Whole = 0
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    pinned: bool = False
    summary: dict[str, Any] = field(default_factory=dict)  # figures and texts that a script has set to stand for it
    live: dict[str, Bounds] | None = None  # of a script: what may be changed; None: all parameters that are numbers
    total_steps: Whole | None = None
    done_steps: Whole | None = None  # of a script that says so; else step tells
    data_hash: str | None = None
    data_number: Whole | None = None  # the number of the run that was the first on its data
    samples: Whole | None = None  # of a built-in run: how many pairs its data has
    default_name: str | None = None  # the name it was given without a person's; None once a person has named it
    step: Step | None = None  # the largest so far
    started_at: Time | None = None
    ended_at: Time | None = None
    last: dict[str, float] = field(default_factory=dict)
    best: dict[str, Extremes] = field(default_factory=dict)  # of each metric's finite values so far
    changes: Changes = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    asked: Asked = field(default_factory=dict)  # control that goes on holding: all of Control but its pause
    why: str | None = None
    varied: dict[str, Any] = field(default_factory=dict)  # of a run in a race: what differs from the others
    shade: Share | None = None  # of a run in a race: its place in the scale of colours, 0 to 1
    cost_scale: float | None = None  # of a built-in descent: see trainers/theory/explosion.py
    first_loss: float | None = None
    best_loss: float | None = None  # of a search: the smallest so far
    steps_to_1_percent: Step | None = None  # where the loss is at most that much of the first, as positions count
    evaluations_to_1_percent: Whole | None = None  # of a built-in run: gradients of single samples until then
    sessions: list[Session] = field(default_factory=list)  # of the processes that reported it, if there were several
    missing: list[Range] = field(default_factory=list)  # [begin, end) of the numbers of records that never came
    unchecked: list[Range] = field(default_factory=list)  # of those that came from a journal without checksums
    damage: str | None = None  # a sentence: what is stored of the run and cannot be read
    deleted_at: Time | None = None  # it is gone for everyone, and may be restored for a while yet

    @property
    def final_loss(self) -> float | None:
        """The last loss so far, in the metric that the run is judged by; of a search, that of the best candidate."""
        best: float | None = self.result.get("best_loss", self.best_loss)
        return self.last.get(self.judged_by(self.last)) if best is None else best

    def judged_by(self, logged: Container[str]) -> str:
        """Which of the metrics that it logged says how good a run is: its loss; of our own methods that have an mse
        besides, that, as their loss is one of a few samples, and small by luck."""
        return "mse" if "mse" in logged and self.method != "external" else "loss"

    def to_json(self) -> str:
        """The record as it is stored."""
        return json.dumps(dataclasses.asdict(self))

    def to_row(self) -> tuple[Any, ...]:
        """What is stored of it in the columns record, crc32, status, run_group and data_hash."""
        text = self.to_json()
        status = self.status if self.deleted_at is None else DELETED
        return text, zlib.crc32(text.encode()), status, self.group, self.data_hash

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> RunRecord:
        """The record in a row of the database, whose columns ``COLUMNS`` names; it may be of an older or a newer
        Lossboard: keys that are not known are ignored, and those that lack have their defaults. So has what cannot be
        read, and ``damage`` says what that is."""
        number, run_id, status, group, data_hash, text, checksum = row
        try:
            with damage_found():
                stored = _object(pydantic_core.from_json(text))
                if checksum is not None and zlib.crc32(text) != checksum:
                    stored["damage"] = CHANGED
        except CorruptError:
            stored = {"name": f"damaged run {number}", "status": status, "group": group, "damage": UNREADABLE}
        stored |= {"id": str(run_id), "number": number, "data_hash": data_hash}
        record, lost = _validated(_REQUIRED | {name: stored[name] for name in _FIELDS if name in stored})
        if lost:
            what = ", ".join(sorted(lost))
            record.damage = f"What is stored as its {what} cannot be read, or is of a later Lossboard."
        return record


def without_range(ranges: list[list[int]], begin: int, end: int) -> list[list[int]]:
    """What is left of ascending ranges [begin, end) without the numbers of one."""
    left = [part for first, last in ranges for part in ([first, min(last, begin)], [max(first, end), last])]
    return [part for part in left if part[0] < part[1]]


def with_range(ranges: list[list[int]], begin: int, end: int) -> list[list[int]]:
    """Ascending ranges [begin, end), with one more at their end; beyond ``MAX_RANGES`` the last one is stretched."""
    if ranges and (ranges[-1][1] == begin or len(ranges) >= MAX_RANGES):
        return [*ranges[:-1], [ranges[-1][0], end]]
    return [*ranges, [begin, end]]


@dataclass(frozen=True)
class RunSaved:
    """A run is new, or has another state; ``restored``: it was deleted, and is there again."""

    run: RunRecord
    restored: bool = False


@dataclass(frozen=True)
class PointsAdded:
    """A run has new points; ``fills_gap``: they come before others that it has."""

    run: RunRecord
    batch: Batch
    fills_gap: bool = False


@dataclass(frozen=True)
class MediaAdded:
    """A run has a new text, image, histogram or sound."""

    run: RunRecord


@dataclass(frozen=True)
class RunDeleted:
    """A run was deleted, with its points."""

    run: RunRecord


type RunEvent = RunSaved | PointsAdded | MediaAdded | RunDeleted

_FIELDS = [one.name for one in dataclasses.fields(RunRecord)]
# What a record that lacks one of the fields without a default is read with.
_REQUIRED: dict[str, Any] = {
    "id": "",
    "name": "run",
    "method": "external",
    "params": {},
    "status": "interrupted",
    "created_at": 0.0,
}
_ADAPTER = TypeAdapter(RunRecord)
COLUMNS = "number, id, status, run_group, data_hash, CAST(record AS BLOB), crc32"  # as bytes: it may be no UTF-8


def _object(stored: Any) -> dict[str, Any]:
    if not isinstance(stored, dict):
        raise TypeError("a record is a JSON object")
    return stored


def _validated(fields: dict[str, Any]) -> tuple[RunRecord, set[str]]:
    """A record of these fields; those that are not valid have their defaults, and are named."""
    lost: set[str] = set()
    while True:
        kept = {name: value for name, value in fields.items() if name not in lost}
        defaults = {name: value for name, value in _REQUIRED.items() if name in lost}
        try:
            return _ADAPTER.validate_python(defaults | kept), lost
        except ValidationError as error:
            lost |= {str(one["loc"][0]) for one in error.errors(include_url=False, include_input=False)}
