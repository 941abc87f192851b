"""What comes out of the API. Numbers that JSON lacks travel as the strings NaN, Infinity and -Infinity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, WithJsonSchema
from pydantic_core import from_json, to_json

from app.charts.colours import hex_of
from app.storage.store import RunRecord, Status
from trainers.theory.stability import Stability, ZoneName

# No `type` for it: it is to stand in the API's description in full, where one body has two content types.
NotFinite = Literal["NaN", "Infinity", "-Infinity"]
type Shown = Annotated[float, WithJsonSchema(TypeAdapter(float | NotFinite).json_schema(), mode="serialization")]
type UtcTime = Annotated[datetime, PlainSerializer(lambda time: time.isoformat().replace("+00:00", "Z"))]


class Answer(BaseModel):
    """Numbers that JSON lacks travel as the strings NaN, Infinity and -Infinity."""

    model_config = ConfigDict(ser_json_inf_nan="strings")


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
        int | None,
        Field(description="The first step whose loss is at most 1 % of the run's first: final_loss says which."),
    ]
    final_loss: Annotated[
        Shown | None,
        Field(
            description="The last loss so far; of methods whose loss is that of a few samples, the last mse; of a "
            "sweep that has ended, the best."
        ),
    ]

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


class Removed(Answer):
    """Runs that were deleted."""

    ids: list[str]


class Reason(BaseModel):
    """Why a request is refused: the part of it that should be different, and what to send instead."""

    loc: list[str | int]
    msg: str
    type: str


class Refusal(BaseModel):
    """The body of every refusal."""

    detail: list[Reason]


def env_of(run_id: str) -> str:
    """The name of a run's own Visdom env."""
    return f"run-{run_id}"


def _in_json(value: Any) -> Any:
    """Numbers that JSON lacks as their strings, at any depth: of what is declared as Any, pydantic makes null.

    Written and read again by pydantic's own code: a page has many runs, and each may have many thousand numbers.
    """
    return from_json(to_json(value, inf_nan_mode="strings"))


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
