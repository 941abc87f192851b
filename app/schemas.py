"""What goes into the API and what comes out of it. Field bounds are the rules, and their text is what people read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator
from pydantic_core import PydanticCustomError

from app.overlay import PALETTE
from app.store import RunRecord, Status


def _number(value: object) -> object:
    """Numbers that JSON lacks come as strings; no other text is a number, and neither is a truth value."""
    if value in ("NaN", "Infinity", "-Infinity") or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError("number", 'Input should be a number, or "NaN", "Infinity" or "-Infinity"')


type Name = Annotated[str, Field(min_length=1, max_length=200)]
type RunId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
type DataNumber = Annotated[float, Field(strict=True, ge=-1e100, le=1e100, allow_inf_nan=False)]
type Coordinates = Annotated[list[DataNumber], Field(min_length=1, max_length=1_000_000, fail_fast=True)]
type Number = Annotated[float, BeforeValidator(_number)]
type Column = Annotated[list[Number | None], Field(fail_fast=True)]
type UtcTime = Annotated[datetime, PlainSerializer(lambda time: time.isoformat().replace("+00:00", "Z"))]


class Answer(BaseModel):
    """Numbers that JSON lacks travel as the strings NaN, Infinity and -Infinity."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


class Question(BaseModel):
    """A body in which an unknown field is an error and not overlooked."""

    model_config = ConfigDict(extra="forbid")


class DataIn(Question):
    """The pairs to fit: x and y of equal length."""

    x: Coordinates
    y: Coordinates

    @model_validator(mode="after")
    def _equal_lengths(self) -> DataIn:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} values and y has {len(self.y)}; send as many of one as of the other")
        return self


class RunIn(Question):
    """A run to start."""

    method: Name
    params: dict[str, Any] = Field(default_factory=dict, description="Absent ones have their defaults.")
    data: DataIn = Field(default=DataIn(x=[1.0, 2.0, 3.0], y=[2.0, 4.0, 6.0]))
    name: Name = Field(default="", validate_default=False)
    group: Name = Field(default="", validate_default=False)
    id: RunId = Field(default="", validate_default=False, description="Only with method external.")


class RunChange(Question):
    """What may be changed in a run: its name."""

    name: Name


class Visdom(Answer):
    """Where a run's own windows are."""

    env: str
    url: str


class Run(Answer):
    """A run."""

    id: str
    number: int
    name: str
    method: str
    params: dict[str, Any]
    status: Status
    step: int | None
    total_steps: int | None
    created_at: UtcTime
    started_at: UtcTime | None
    ended_at: UtcTime | None
    last: dict[str, float]
    changes: list[dict[str, Any]]
    result: dict[str, Any]
    error: str | None
    group: str | None
    colour: str
    visdom: Visdom

    @staticmethod
    def of(record: RunRecord) -> Run:
        """The run as people see it."""
        return Run(
            id=record.id,
            number=record.number,
            name=record.name,
            method=record.method,
            params=record.params,
            status=record.status,
            step=record.step,
            total_steps=record.total_steps,
            created_at=_time(record.created_at),
            started_at=None if record.started_at is None else _time(record.started_at),
            ended_at=None if record.ended_at is None else _time(record.ended_at),
            last=record.last,
            changes=record.changes,
            result=record.result,
            error=record.error,
            group=record.group,
            colour=PALETTE[record.colour % len(PALETTE)],
            visdom=Visdom(env=env_of(record.id), url=f"/api/runs/{record.id}/visdom"),
        )


class RunList(Answer):
    """A page of runs, newest first, and how many there are in all."""

    items: list[Run]
    total: int


class Data(Answer):
    """The pairs that a run runs on."""

    x: list[float]
    y: list[float]


class PointsIn(Question):
    """A batch of points as columns of equal length; an empty one is a heartbeat."""

    seq: Annotated[int, Field(ge=0, strict=True, description="The number of the first record.")]
    step: Annotated[
        list[Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-(2**53), le=2**53)]],
        Field(fail_fast=True),
    ]
    metrics: dict[Name, Column]

    @model_validator(mode="after")
    def _equal_lengths(self) -> PointsIn:
        for name, column in self.metrics.items():
            if len(column) != len(self.step):
                raise ValueError(
                    f"metrics.{name} has {len(column)} values and step has {len(self.step)};"
                    " send columns of equal length"
                )
        return self


class Control(Answer):
    """What the board asks of the run."""

    stop: bool
    pause: bool = False
    steps: int = 0
    params: dict[str, Any] = Field(default_factory=dict)


class Accepted(Answer):
    """The next sequence number wanted, and what the board asks of the run."""

    accepted: int
    control: Control


class Ending(Question):
    """How a run ended."""

    status: Literal["finished", "failed", "stopped", "diverged"]
    result: dict[Name, Number | Annotated[str, Field(max_length=2000)] | bool | None] = Field(default_factory=dict)
    error: Annotated[str, Field(max_length=10_000)] | None = None


class Points(Answer):
    """A curve. A metric that a step lacks is null."""

    step: list[float]
    metrics: dict[str, list[float | None]]
    total: int
    downsampled: bool


class MethodOut(Answer):
    """What can be run."""

    name: str
    title: str
    description: str
    formula: str
    params_schema: dict[str, Any]
    live: list[str]
    source: str
    update_line: str


class Health(Answer):
    """The board is alive; is Visdom?"""

    status: Literal["ok"] = "ok"
    version: str
    visdom: Literal["up", "starting", "down"]


class VisdomState(Answer):
    """Whether Visdom runs, where its shared windows are, and if it does not run, why."""

    state: Literal["up", "starting", "down"]
    url: str
    error: str | None


class Removed(Answer):
    """Runs that were deleted."""

    ids: list[str]


def env_of(run_id: str) -> str:
    """The name of a run's own Visdom env."""
    return f"run-{run_id[:12]}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
