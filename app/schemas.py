"""What goes into the API and what comes out of it. Field bounds are the rules, and their text is what people read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError, from_json, to_json

from app.board import MAX_SPAN, Axes, Detail, Horizontal, Step
from app.colours import hex_of
from app.columns import MAX_METRICS, MAX_WHOLE
from app.overlay import MAX_RACE
from app.store import RunRecord, Status
from trainers import METHODS
from trainers.params import MAX_STEPS
from trainers.stability import Stability, ZoneName

MAX_PARAMS = 100_000  # characters of JSON: a run is told whole, again and again, to everyone who looks
MAX_DEPTH = 20  # of JSON within JSON; beyond some 250 it could not be written any more
MAX_RESULTS = 1000


def _number(value: object) -> object:
    """Numbers that JSON lacks come as strings; no other text is a number, and neither is a truth value."""
    if value in ("NaN", "Infinity", "-Infinity") or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError("number", 'Input should be a number, or "NaN", "Infinity" or "-Infinity"')


def _storable(params: dict[str, Any]) -> dict[str, Any]:
    """JSON as it may come from a script, if it can be written again."""
    _check_depth(params, MAX_DEPTH)
    text = json.dumps(params, ensure_ascii=False)
    if len(text) > MAX_PARAMS:
        raise PydanticCustomError("too_long", f"Params should have at most {MAX_PARAMS} characters as JSON")
    _check_text(text)
    return params


def _check_depth(value: object, left: int) -> None:
    if not left:
        raise PydanticCustomError("too_deep", f"Input should not be nested more than {MAX_DEPTH} times")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(inner, left - 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("text", "Text should be Unicode; half of a surrogate pair is no character") from None


def _scalar(value: object) -> object:
    """One value of a result."""
    if isinstance(value, str) and len(value) <= 2000:
        _check_text(value)
    elif not isinstance(value, int | float | None) or (isinstance(value, int) and abs(value) > MAX_WHOLE):
        raise PydanticCustomError(
            "scalar",
            f"Input should be a number (a whole one up to {MAX_WHOLE}), a text of at most 2000 characters, true, false"
            " or null",
        )
    return value


type Name = Annotated[str, Field(min_length=1, max_length=200)]
type RunId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
type DataNumber = Annotated[float, Field(strict=True, ge=-1e100, le=1e100, allow_inf_nan=False)]
type Coordinates = Annotated[list[DataNumber], Field(min_length=1, max_length=1_000_000, fail_fast=True)]
# No `type` for these three: they are to stand in the API's description in full, where one body has two content types.
NotFinite = Literal["NaN", "Infinity", "-Infinity"]
Number = Annotated[float, BeforeValidator(_number, json_schema_input_type=float | NotFinite)]
Column = Annotated[list[Number | None], Field(fail_fast=True)]
type Shown = Annotated[float, WithJsonSchema(TypeAdapter(float | NotFinite).json_schema(), mode="serialization")]
type Scalar = Annotated[
    float | str | bool | None, PlainValidator(_scalar, json_schema_input_type=float | str | bool | None)
]
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


TEXTBOOK = DataIn(x=[1.0, 2.0, 3.0], y=[2.0, 4.0, 6.0])


class SettingIn(Question):
    """What a method is run with."""

    params: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(
        default_factory=dict, description="Absent ones have their defaults."
    )
    data: DataIn = Field(default=TEXTBOOK)


class RunIn(SettingIn):
    """A run to start."""

    method: Annotated[Name, Field(json_schema_extra={"enum": [*METHODS, "external"]})]
    name: Name = Field(default="", validate_default=False)
    group: Name = Field(default="", validate_default=False)
    id: RunId = Field(default="", validate_default=False, description="Only with method external.")


class RunChange(Question):
    """What may be changed in a run: its name, and while it runs some of its parameters."""

    name: Name = Field(default="", validate_default=False)
    params: Annotated[dict[str, Any], AfterValidator(_storable), Field(min_length=1)] = Field(
        default_factory=dict,
        validate_default=False,
        description="The method's `live` ones; of an external run, the numbers among its parameters.",
    )

    @model_validator(mode="after")
    def _something(self) -> RunChange:
        if not self.model_fields_set:
            raise ValueError("Nothing is to be changed; send name, or params, or both")
        return self


class StepIn(Question):
    """How many steps a run is to take before it is held again."""

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS, strict=True)] = 1


class ChangeIn(Question):
    """Parameters that were changed while the run went on, and the step from which they hold."""

    step: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_WHOLE, le=MAX_WHOLE)]
    params: Annotated[dict[Name, Number | None], Field(min_length=1, max_length=100)]


class RaceIn(Question):
    """Runs that differ in one thing, to be started together."""

    method: Annotated[Name, Field(json_schema_extra={"enum": [*METHODS]})] = Field(
        default="", validate_default=False, description="Left out where the method is what varies."
    )
    params: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(
        default_factory=dict, description="What all of them share. Absent ones have their defaults."
    )
    data: DataIn = Field(default=TEXTBOOK)
    vary: Annotated[
        dict[Name, Annotated[list[Any], Field(min_length=2, max_length=MAX_RACE)]],
        AfterValidator(_storable),
        Field(min_length=1, max_length=1),
    ] = Field(description="A parameter, or `method`, and its values.", examples=[{"lr": [0.01, 0.05, 0.1]}])
    name: Name = Field(default="", validate_default=False, description="What varies is added to it.")
    group: Name = Field(default="", validate_default=False, description="A name that no other group has.")


class BoardChange(Question):
    """What may be changed of the board: some of its axes, or another part."""

    axes: Axes = Axes()
    x: Horizontal = "step"
    smoothing: Annotated[int, Field(ge=0, le=MAX_SPAN, strict=True)] = 0
    detail: Detail | None = None
    run: RunId | None = None
    at: Step | None = None
    sample: Annotated[int, Field(ge=0, lt=100, strict=True)] = 0


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
    last: dict[str, Shown]
    changes: list[dict[str, Any]]
    result: dict[str, Any]
    error: str | None
    why: Annotated[str | None, Field(description="Why it diverges, oscillates or creeps, where that can be said.")]
    group: str | None
    varied: dict[str, Any]
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
            params=_in_json(record.params),
            status=record.status,
            step=record.step,
            total_steps=record.total_steps,
            created_at=_time(record.created_at),
            started_at=None if record.started_at is None else _time(record.started_at),
            ended_at=None if record.ended_at is None else _time(record.ended_at),
            last=record.last,
            changes=_in_json(record.changes),
            result=_in_json(record.result),
            error=record.error,
            why=record.why,
            group=record.group,
            varied=_in_json(record.varied),
            colour=hex_of(record),
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

    seq: Annotated[int, Field(ge=0, le=MAX_WHOLE, strict=True, description="The number of the first record.")]
    step: Annotated[
        list[Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_WHOLE, le=MAX_WHOLE)]],
        Field(fail_fast=True),
    ]
    metrics: Annotated[dict[Name, Column], Field(max_length=MAX_METRICS)]

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
    """What the board asks of the run. It says the same again until something else is asked."""

    stop: bool
    pause: bool = Field(default=False, description="Take no more than `steps` steps.")
    hold: str = Field(default="", description="Names this pause. A new name: count steps from here on.")
    steps: int = Field(default=0, description="Steps allowed since the run first saw this hold.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="All parameters that were changed, as they are now."
    )


class Accepted(Answer):
    """The next sequence number wanted, and what the board asks of the run."""

    accepted: int
    control: Control


class Ending(Question):
    """How a run ended."""

    status: Literal["finished", "failed", "stopped", "diverged"]
    result: Annotated[dict[Name, Scalar], Field(max_length=MAX_RESULTS)] = Field(default_factory=dict)
    error: Annotated[str, Field(max_length=10_000)] | None = None


class Points(Answer):
    """A curve. A metric that a step lacks is null."""

    step: list[float]
    metrics: dict[str, list[Shown | None]]
    total: int
    downsampled: bool


class Race(Answer):
    """The runs of a race, in the order of what varies."""

    group: str
    runs: list[Run]


class Place(Answer):
    """How one run of a group does."""

    run: str
    name: str
    value: Annotated[Any, Field(description="What it has of what varies; null in a group that is no race.")]
    status: Status
    steps_to_1_percent: Annotated[
        int | None, Field(description="The first step whose loss is at most 1 % of the run's first loss.")
    ]
    final_loss: Annotated[Shown | None, Field(description="The last loss so far; of a sweep that has ended, the best.")]

    @staticmethod
    def of(record: RunRecord) -> Place:
        """A run's line in the ranking."""
        return Place(
            run=record.id,
            name=record.name,
            value=next(iter(record.varied.values()), None),
            status=record.status,
            steps_to_1_percent=record.steps_to_1_percent,
            final_loss=record.final_loss,
        )


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


class ZoneOut(Answer):
    """A range of learning rates, and what happens there."""

    name: Annotated[
        ZoneName,
        Field(
            description="slow: a step takes away less than 1 % of the distance. good: more. oscillating: some update"
            " overshoots, but they still come closer. diverging: they do not."
        ),
    ]
    start: Annotated[float, Field(alias="from")]
    end: Annotated[float | None, Field(alias="to", description="null: without end.")]


class StabilityOut(Answer):
    """What theory says of the learning rate on this data; null and no zones where it has nothing to say."""

    curvature: Annotated[Shown | None, Field(description="The largest second derivative λ that an update sees.")]
    shallowest: Annotated[
        Shown | None, Field(description="With two parameters, the second derivative across that direction.")
    ]
    lr_limit: Annotated[float | None, Field(description="From here on it does not converge: 2/λ for a batch.")]
    lr_best: Annotated[float | None, Field(description="1/λ: beyond it updates overshoot.")]
    zones: list[ZoneOut]
    note: str

    @staticmethod
    def of(theory: Stability) -> StabilityOut:
        """The theory as people see it."""
        return StabilityOut(
            curvature=theory.curvature,
            shallowest=theory.shallowest,
            lr_limit=theory.lr_limit,
            lr_best=theory.lr_best,
            zones=[ZoneOut.model_validate({"name": z.name, "from": z.start, "to": z.end}) for z in theory.zones],
            note=theory.note,
        )


class Setup(Answer):
    """What to start: the body of POST /api/runs, or with `vary` that of POST /api/races."""

    method: str
    params: dict[str, Any] = Field(default_factory=dict)
    data: Data | None = None
    vary: dict[str, list[float] | list[str]] | None = None


class Lesson(Answer):
    """A short lesson: what to start, what it shows, and a question to try out."""

    name: str
    title: str
    text: str
    question: str
    setup: Setup


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


class Reason(BaseModel):
    """Why a request is refused: the part of it that should be different, and what to send instead."""

    loc: list[str | int]
    msg: str
    type: str


class Refusal(BaseModel):
    """The body of every refusal."""

    detail: list[Reason]


class Removed(Answer):
    """Runs that were deleted."""

    ids: list[str]


def env_of(run_id: str) -> str:
    """The name of a run's own Visdom env."""
    return f"run-{run_id[:12]}"


def _in_json(value: Any) -> Any:
    """Numbers that JSON lacks as their strings, at any depth: of what is declared as Any, pydantic makes null.

    Written and read again by pydantic's own code: a page has many runs, and each may have many thousand numbers.
    """
    return from_json(to_json(value, inf_nan_mode="strings"))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
