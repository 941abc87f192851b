"""What is known of a run, apart from its points; and what subscribers are told when that changes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Self

from app.schemas.responses import Status
from app.storage.batch import Batch

MAX_RANGES = 1000  # of record numbers: every open page is sent all of them


@dataclass
class RunRecord:
    """What is known of a run, apart from its points. Times are seconds since 1970."""

    id: str
    name: str
    method: str
    params: dict[str, Any]
    status: Status
    created_at: float
    number: int = 0
    colour: int = 0
    group: str | None = None
    total_steps: int | None = None
    data_hash: str | None = None
    step: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    last: dict[str, float] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    asked: dict[str, Any] = field(default_factory=dict)  # control that goes on holding: stop, hold, steps, params
    why: str | None = None
    varied: dict[str, Any] = field(default_factory=dict)  # of a run in a race: what differs from the others
    shade: float | None = None  # of a run in a race: its place in the scale of colours, 0 to 1
    first_loss: float | None = None
    steps_to_1_percent: int | None = None  # the first step with at most that much of the first loss
    missing: list[list[int]] = field(default_factory=list)  # [begin, end) of the numbers of records that never came
    unchecked: list[list[int]] = field(default_factory=list)  # of those that came from a journal without checksums

    @property
    def final_loss(self) -> float | None:
        """The last loss so far, in the metric that the run is judged by; of a finished search, that of the best
        candidate."""
        return self.result.get("best_loss", self.last.get(self.judged_by(self.last)))

    def judged_by(self, logged: Container[str]) -> str:
        """Which of the metrics that it logged says how good a run is: its loss; of our own methods that have an mse
        besides, that, as their loss is one of a few samples, and small by luck."""
        return "mse" if "mse" in logged and self.method != "external" else "loss"

    def to_json(self) -> str:
        """The record as it is stored."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The record that was stored, maybe by an older or a newer Lossboard: keys that are not known are ignored, and
        those that lack have their defaults."""
        stored = json.loads(text)
        known = {name: stored[name] for name in _FIELDS if name in stored}
        return cls(**(_REQUIRED | known))


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
    """A run is new, or has another state."""

    run: RunRecord


@dataclass(frozen=True)
class PointsAdded:
    """A run has new points; ``fills_gap``: they come before others that it has."""

    run: RunRecord
    batch: Batch
    fills_gap: bool = False


@dataclass(frozen=True)
class RunDeleted:
    """A run was deleted, with its points."""

    run: RunRecord


type RunEvent = RunSaved | PointsAdded | RunDeleted

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
