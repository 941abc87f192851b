"""What goes into the API. Field bounds are the rules, and their text is what people read."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.limits import (
    MAX_AT_ONCE,
    MAX_BODY_BYTES,
    MAX_DATA_BYTES,
    MAX_DEPTH,
    MAX_METRICS,
    MAX_NOTES,
    MAX_PARAMS,
    MAX_RACE,
    MAX_RESULT_BYTES,
    MAX_RESULTS,
    MAX_SMOOTHING,
    MAX_TAGS,
    MAX_TIME,
    MAX_WHOLE,
)
from app.schemas.responses import Bounds, MediaKind, NotFinite
from app.schemas.view import Added, Axes, Chosen, Hidden, MetricsView, RunId, Step, StepRange, XAxis
from trainers import METHODS
from trainers.params import MAX_STEPS


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


def _text(text: str) -> str:
    _check_text(text)
    return text


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


def _each_once(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _in_order(bounds: Bounds) -> Bounds:
    least, greatest = bounds
    if least is not None and greatest is not None and least > greatest:
        raise PydanticCustomError("bounds", "Bounds should be [least, greatest], the smaller one first")
    return bounds


def _done_of_all(progress: tuple[int, int]) -> tuple[int, int]:
    done, total = progress
    if done > total:
        raise PydanticCustomError("progress", "Progress should be [steps done, steps in all], the smaller one first")
    return progress


type Count = Annotated[int, Field(ge=0, le=MAX_WHOLE, strict=True)]
type Name = Annotated[str, Field(min_length=1, max_length=200)]
type Time = Annotated[float, Field(strict=True, ge=0, le=MAX_TIME, allow_inf_nan=False)]
type Tags = Annotated[list[Name], Field(max_length=MAX_TAGS), AfterValidator(_each_once)]
type Notes = Annotated[str, Field(max_length=MAX_NOTES)]
type Live = Annotated[dict[Name, Annotated[Bounds, AfterValidator(_in_order)]], Field(max_length=MAX_RESULTS)]
type DataNumber = Annotated[float, Field(strict=True, ge=-1e100, le=1e100, allow_inf_nan=False)]
type Coordinates = Annotated[list[DataNumber], Field(min_length=1, max_length=1_000_000, fail_fast=True)]
LoggedStep = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MAX_WHOLE, le=MAX_WHOLE)]
# No `type` for these: they are to stand in the API's description in full, where one body has two content types.
Number = Annotated[float, BeforeValidator(_number, json_schema_input_type=float | NotFinite)]
Column = Annotated[list[Number | None], Field(fail_fast=True)]
type Scalar = Annotated[
    float | str | bool | None, PlainValidator(_scalar, json_schema_input_type=float | str | bool | None)
]

type Summary = Annotated[dict[Name, Scalar], Field(max_length=MAX_RESULTS)]


class RequestModel(BaseModel):
    """A body in which an unknown field is an error and not overlooked."""

    model_config = ConfigDict(extra="forbid")
    max_bytes: ClassVar[int] = MAX_BODY_BYTES


class DataIn(RequestModel):
    """The pairs to fit: x and y of equal length."""

    x: Coordinates
    y: Coordinates

    @model_validator(mode="after")
    def _equal_lengths(self) -> DataIn:
        if len(self.x) != len(self.y):
            raise PydanticCustomError(
                "lengths_differ",
                "x has {x} values and y has {y}; send as many of one as of the other",
                {"x": len(self.x), "y": len(self.y)},
            )
        return self


TEXTBOOK = DataIn(x=[1.0, 2.0, 3.0], y=[2.0, 4.0, 6.0])


class SettingIn(RequestModel):
    """What a method is run with."""

    max_bytes = MAX_DATA_BYTES

    params: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(
        default_factory=dict, description="Absent ones have their defaults."
    )
    data: DataIn = Field(default=TEXTBOOK)


class RunIn(SettingIn):
    """A run to start."""

    method: Annotated[Name, Field(json_schema_extra={"enum": [*METHODS, "external"]})]
    name: Name = Field(default="", validate_default=False)
    group: Name = Field(default="", validate_default=False)
    tags: Tags = []
    notes: Notes = ""
    id: RunId = Field(default="", validate_default=False, description="Only with method external.")
    started_at: Time | None = Field(
        default=None, description="Only with method external: seconds since 1970, if its script began before this post."
    )
    resume: bool = Field(
        default=False, strict=True, description="Only with method external: one of this id that has ended goes on."
    )
    live: Live | None = Field(
        default=None,
        description="Only with method external: the parameters that may be changed while it runs, each with its least"
        " and greatest value or null. null: all those that are numbers, without bounds.",
    )


class RunChange(RequestModel):
    """What may be changed in a run: what people call and note of it, and while it runs some of its parameters."""

    name: Name = Field(default="", validate_default=False)
    group: Name | None = Field(default=None, description="null: it belongs to none.")
    tags: Tags = []
    notes: Notes = ""
    pinned: bool = Field(default=False, strict=True)
    params: Annotated[dict[str, Any], AfterValidator(_storable), Field(min_length=1)] = Field(
        default_factory=dict,
        validate_default=False,
        description="The method's `live` ones; of an external run, the numbers among its parameters.",
    )

    @model_validator(mode="after")
    def _something(self) -> RunChange:
        if not self.model_fields_set:
            raise ValueError("Nothing is to be changed; send one of name, group, tags, notes, pinned and params")
        return self


class RunIds(RequestModel):
    """Runs that something is to be done to, by id."""

    ids: Annotated[list[RunId], Field(min_length=1, max_length=MAX_AT_ONCE), AfterValidator(_each_once)]


class StepIn(RequestModel):
    """How many steps a run is to take before it is held again."""

    steps: Annotated[int, Field(ge=1, le=MAX_STEPS, strict=True)] = 1


def _bounded(params: dict[str, Any]) -> dict[str, Any]:
    """Names as the parameters of a run may have them: a script's changes are among those."""
    text = "".join(params)
    if len(text) > MAX_PARAMS:
        raise PydanticCustomError("too_long", f"The names should have at most {MAX_PARAMS} characters in all")
    _check_text(text)
    return params


class ChangeIn(RequestModel):
    """Parameters that were changed while the run went on, and the step from which they hold."""

    step: LoggedStep
    params: Annotated[dict[str, Number | None], AfterValidator(_bounded), Field(min_length=1)]
    number: Annotated[int, Field(ge=0, le=MAX_WHOLE, strict=True)] | None = Field(
        default=None,
        description="Which of the run's changes it is, from 0; one that was sent before changes nothing."
        " Without it, one of the same step and params was sent before.",
    )


type Changes = Annotated[list[ChangeIn], Field(fail_fast=True)]


class RaceIn(RequestModel):
    """Runs that differ in one thing, to be started together."""

    max_bytes = MAX_DATA_BYTES

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


class ViewChange(RequestModel):
    """What may be changed of the view: some of its axes, or another part."""

    axes: Axes = Axes()
    x: XAxis = "step"
    smoothing: Annotated[int, Field(ge=0, le=MAX_SMOOTHING, strict=True)] = 0
    detail: StepRange | None = None
    run: RunId | None = None
    at: Step | None = None
    sample: Annotated[int, Field(ge=0, lt=100, strict=True)] = 0
    hidden: Hidden = []
    added: Added = []
    chosen: Chosen = []
    metrics: MetricsView = MetricsView()


class Told(RequestModel):
    """What a script says of its run with its points."""

    max_bytes = MAX_RESULT_BYTES

    summary: Summary | None = Field(default=None, description="Of the whole run so far; null: as it was.")
    progress: Annotated[tuple[Count, Count], AfterValidator(_done_of_all)] | None = Field(
        default=None, description="How many steps are done, and how many there will be."
    )
    params: Annotated[dict[str, Any], AfterValidator(_storable)] = Field(
        default_factory=dict, description="Parameters that the run has besides; one that it has stays as it is."
    )
    live: Live = Field(
        default_factory=dict, description="Of its parameters, those that may be changed besides the ones that may be."
    )


class PointsIn(Told):
    """A batch of points as columns of equal length; an empty one is a heartbeat."""

    max_bytes = MAX_DATA_BYTES

    seq: Annotated[int, Field(ge=0, le=MAX_WHOLE, strict=True, description="The number of the first record.")]
    step: Annotated[
        list[LoggedStep],
        Field(fail_fast=True),
    ]
    metrics: Annotated[dict[Name, Column], Field(max_length=MAX_METRICS)]
    changes: Changes = Field(
        default_factory=list, description="Parameters that were changed, sent no later than the first point they made."
    )

    @model_validator(mode="after")
    def _equal_lengths(self) -> PointsIn:
        for name, column in self.metrics.items():
            if len(column) != len(self.step):
                raise ValueError(
                    f"metrics.{name} has {len(column)} values and step has {len(self.step)};"
                    " send columns of equal length"
                )
        return self


class MediumIn(RequestModel):
    """What is said of a text, an image, a histogram or a sound, before its content."""

    session: Annotated[str, Field(pattern="^[0-9a-f]{1,32}$", description="Names the process that sends it.")]
    number: Annotated[int, Field(ge=0, le=MAX_WHOLE, strict=True, description="Among those of the session, from 0.")]
    name: Annotated[Name, AfterValidator(_text)]
    kind: MediaKind
    step: LoggedStep
    time: Annotated[float, Field(strict=True, ge=0, le=MAX_TIME, description="When, in seconds since 1970.")]


class Ending(RequestModel):
    """How a run ended."""

    max_bytes = MAX_RESULT_BYTES

    status: Literal["finished", "failed", "stopped", "diverged"]
    result: Annotated[dict[Name, Scalar], Field(max_length=MAX_RESULTS)] = Field(default_factory=dict)
    error: Annotated[str, Field(max_length=10_000)] | None = None
    summary: Summary | None = Field(default=None, description="Of the whole run; null: as it was.")
    ended_at: Time | None = Field(default=None, description="Seconds since 1970, if it ended before this post.")
