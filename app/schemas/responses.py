"""What comes out of the API. Numbers that JSON lacks travel as the strings NaN, Infinity and -Infinity."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, TypeAdapter, WithJsonSchema

from trainers.method import Kind
from trainers.theory.stability import ZoneName

type Status = Literal["queued", "running", "paused", "finished", "stopped", "diverged", "failed", "interrupted"]
MediaKind = Literal["text", "image", "histogram", "audio"]
LossOf = Literal["sample", "batch", "update", "sum", "point"]
# No `type` for it: it is to stand in the API's description in full, where one body has two content types.
NotFinite = Literal["NaN", "Infinity", "-Infinity"]
type Shown = Annotated[float, WithJsonSchema(TypeAdapter(float | NotFinite).json_schema(), mode="serialization")]
FiniteNumber = Annotated[float, Field(allow_inf_nan=False)]
# The least and the greatest value of a parameter; null: no bound. No `type`: records are validated by it, too.
Bounds = tuple[FiniteNumber | None, FiniteNumber | None]
type UtcTime = Annotated[datetime, PlainSerializer(lambda time: time.isoformat().replace("+00:00", "Z"))]


class ResponseModel(BaseModel):
    """Numbers that JSON lacks travel as the strings NaN, Infinity and -Infinity."""

    model_config = ConfigDict(ser_json_inf_nan="strings", from_attributes=True)


class Visdom(ResponseModel):
    """Where a run's own windows are."""

    env: str
    url: str


class Run(ResponseModel):
    """A run."""

    id: str
    number: int
    name: str
    method: str
    params: dict[str, Any]
    status: Status
    step: Annotated[int | float | None, Field(description="The largest that it has logged.")]
    total_steps: int | None
    done_steps: Annotated[int | None, Field(description="Of a script that says so: how many of them it has taken.")]
    created_at: UtcTime
    started_at: UtcTime | None
    ended_at: UtcTime | None
    last: dict[str, Shown]
    best: Annotated[
        dict[str, list[float]],
        Field(description="Of each metric's finite values so far the smallest and the largest."),
    ]
    changes: list[dict[str, Any]]
    result: dict[str, Any]
    error: str | None
    missing: Annotated[
        list[list[int]],
        Field(description="Numbers of records that never came, [first, one after the last]: their points are missing."),
    ]
    unchecked: Annotated[
        list[list[int]],
        Field(description="Numbers of records, as in missing, that came from a journal without checksums."),
    ]
    damage: Annotated[str | None, Field(description="What is stored of it and cannot be read; null: it is sound.")]
    exploded: Annotated[
        bool,
        Field(description="Whether it has diverged, or its cost over all data is far above where it began."),
    ]
    why: Annotated[str | None, Field(description="Why it diverges, oscillates or creeps, where that can be said.")]
    group: str | None
    tags: list[str]
    notes: str
    pinned: Annotated[bool, Field(description="Kept at the top of lists.")]
    summary: Annotated[dict[str, Any], Field(description="Figures and texts that a script has set to stand for it.")]
    live: Annotated[
        dict[str, Bounds] | None,
        Field(description="Of a script: what may be changed, with bounds. null: all of its numbers, or a method's."),
    ]
    varied: dict[str, Any]
    colour: str
    visdom: Visdom


class RunList(ResponseModel):
    """A page of runs, newest first, and how many there are in all."""

    items: list[Run]
    total: int


class Metric(ResponseModel):
    """A metric that runs have logged."""

    name: str
    best: Annotated[Literal["min", "max"], Field(description="Which of its extremes is the best value, by its name.")]


class RunColumns(ResponseModel):
    """What runs have that they can be sorted by or searched for; what most of them have comes first."""

    params: list[str]
    metrics: list[Metric]
    summary: list[str]
    result: list[str]
    groups: list[str]
    tags: list[str]


class Deleted(ResponseModel):
    """The runs that were deleted, by id, and for how long they can be restored."""

    ids: list[str]
    restorable_s: float


class Data(ResponseModel):
    """The pairs that a run runs on."""

    x: list[float]
    y: list[float]


class Control(ResponseModel):
    """What the board asks of the run. It says the same again until something else is asked."""

    stop: bool
    pause: bool = Field(default=False, description="Take no more than `steps` steps.")
    hold: str = Field(default="", description="Names this pause. A new name: count steps from here on.")
    steps: int = Field(default=0, description="Steps allowed since the run first saw this hold.")
    params: dict[str, Any] = Field(
        default_factory=dict, description="All parameters that were changed, as they are now."
    )
    asked: dict[str, int] = Field(
        default_factory=dict, description="How many times each of params was asked for: also the value that it has."
    )
    revision: int = Field(default=0, description="Counts what was asked: of two answers, the larger one is newer.")


class ControlVersion(ResponseModel):
    """What the board asks of the run, and a name for just that."""

    version: str
    control: Control


class Accepted(ResponseModel):
    """The next sequence number wanted, and what the board asks of the run."""

    accepted: int
    control: Control
    missing: list[list[int]] = Field(
        default_factory=list, description="Of the run's records, as it has them: those that may come yet."
    )
    blocks: list[int] = Field(
        default_factory=list, description="Of each block of the post how many of its first records the board has."
    )


class Points(ResponseModel):
    """A curve. A metric that a step lacks is null."""

    step: list[float]
    metrics: dict[str, list[Shown | None]]
    total: int
    downsampled: bool


class MediumAccepted(ResponseModel):
    """The number of the next one wanted of this session."""

    accepted: int


class NameOfMedia(ResponseModel):
    """A name under which a run has logged media: how many were logged, and how many of those are kept."""

    name: str
    kind: MediaKind
    logged: int
    kept: int


class MediumOut(ResponseModel):
    """A text, an image, a histogram or a sound; GET /api/runs/{id}/media/{number} has its content."""

    number: int
    kind: MediaKind
    step: float
    logged_at: UtcTime
    size: Annotated[int, Field(description="Bytes of its content.")]


class MediaList(ResponseModel):
    """What a run has logged besides numbers."""

    names: list[NameOfMedia]
    items: list[MediumOut]


class Race(ResponseModel):
    """The runs of a race, in the order of what varies."""

    group: str
    runs: list[Run]


class Place(ResponseModel):
    """How one run of a group does."""

    run: str
    name: str
    value: Annotated[Any, Field(description="What it has of what varies; null in a group that is no race.")]
    status: Status
    exploded: bool
    steps_to_1_percent: Annotated[
        int | float | None,
        Field(
            description="After how many updates the loss is at most 1 % of the run's first (final_loss says which loss)"
            "; of searches and scripts, at which step."
        ),
    ]
    final_loss: Annotated[
        Shown | None,
        Field(
            description="The last loss so far; of methods whose loss is that of a few samples, the last mse; of a "
            "search, the best."
        ),
    ]
    evaluations_to_1_percent: Annotated[
        int | None,
        Field(
            description="As steps_to_1_percent, in gradient evaluations: that of one sample is 1; so is the cost of one"
            " sample, of a search. null for scripts."
        ),
    ]
    final_mse: Annotated[
        Shown | None,
        Field(
            description="The mean squared error over all data: with the last parameters of a descent that has ended, "
            "the best so far of a search. null for scripts."
        ),
    ]


class MethodOut(ResponseModel):
    """What can be run."""

    name: str
    title: str
    description: str
    kind: Annotated[
        Kind,
        Field(description="search: tries candidates, the best counts. descent: updates its parameters each step."),
    ]
    graph: Annotated[bool, Field(description="Whether a run's windows show the computational graph of a sample.")]
    formula: str
    params_schema: dict[str, Any]
    live: list[str]
    source: str
    update_line: str


class ZoneOut(ResponseModel):
    """A range of learning rates, and what happens there."""

    name: Annotated[
        ZoneName,
        Field(
            description="slow: a step takes away less than 1 % of the distance. good: more. oscillating: some update"
            " overshoots, but they still come closer. diverging: they do not."
        ),
    ]
    start: Annotated[float, Field(serialization_alias="from")]
    end: Annotated[float | None, Field(serialization_alias="to", description="null: without end.")]


class StabilityOut(ResponseModel):
    """What theory says of the learning rate on this data; null and no zones where it has nothing to say."""

    curvature: Annotated[Shown | None, Field(description="The largest second derivative λ that an update sees.")]
    shallowest: Annotated[
        Shown | None, Field(description="With two parameters, the second derivative across that direction.")
    ]
    lr_limit: Annotated[float | None, Field(description="From here on it does not converge: 2/λ for a batch.")]
    lr_best: Annotated[float | None, Field(description="1/λ: beyond it updates overshoot.")]
    lr_scale: Annotated[
        float | None,
        Field(description="About where the rates that matter lie, where there is no limit, too; null: not known."),
    ]
    zones: list[ZoneOut]
    note: str


class Setup(ResponseModel):
    """What to start: the body of POST /api/runs, or with `vary` that of POST /api/races."""

    method: str
    params: dict[str, Any] = Field(default_factory=dict)
    data: Data | None = None
    vary: dict[str, list[float] | list[str]] | None = None


class Lesson(ResponseModel):
    """A short lesson: what to start, what it shows, and a question to try out."""

    name: str
    title: str
    text: str
    question: str
    setup: Setup


type Right = Literal["owner", "read", "report", "worker"]


class Alive(ResponseModel):
    """The board is alive."""

    status: Literal["ok"] = "ok"


class Health(Alive):
    """Is Visdom alive as well? ``right``: of who asks, to do everything, or to look."""

    version: str
    visdom: Literal["up", "starting", "down"]
    right: Right


class Proof(ResponseModel):
    """That a board has the key of its data folder: 64 hex digits."""

    proof: str


class VisdomState(ResponseModel):
    """Whether Visdom runs, where its shared windows are, and if it does not run, why."""

    state: Literal["up", "starting", "down"]
    url: str
    error: str | None


class SelectedState(ResponseModel):
    """The selected run at the position that its windows show."""

    run: str
    position: Annotated[float | None, Field(description="Of a descent, updates made; else a step. null: no point yet.")]
    step: Annotated[float | None, Field(description="Of the point after which it holds; -1 before the first update.")]
    first: Annotated[float, Field(description="The first position.")]
    updates: Annotated[float, Field(description="The last position so far: of a descent, how many updates there are.")]
    values: Annotated[
        dict[str, Shown],
        Field(
            description="w, b; cost (over all data), gradient and gradient_b (its derivatives) or gradient_length;"
            " loss, where that is not the cost. Of searches and scripts, w and loss as they were logged."
        ),
    ]
    loss_of: Annotated[
        LossOf | None,
        Field(
            description="What values.loss belongs to: the sample, the batch or the unknown samples of the next update,"
            " all samples (their sum), or the point of a search or a script."
        ),
    ]
    next: Annotated[dict[str, Shown] | None, Field(description="w and b after the next update; null: not known.")]


class Removed(ResponseModel):
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
    broken: Annotated[
        list[dict[str, str | float]],
        Field(description="Of wrong values, one of each reason: the `rule` and the numbers its `msg` speaks of."),
    ] = []
