"""The view: what the shared windows show, for everyone who has the board open."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.limits import (
    MAX_ADDED,
    MAX_CHOSEN,
    MAX_HIDDEN,
    MAX_METRICS,
    MAX_PINNED,
    MAX_SMOOTHING,
    MAX_WHOLE,
)

type Scale = Literal["linear", "log"]
AXES_ALONG = ("step", "epoch", "time")
OF_METRIC = "metric:"  # before the name of a metric that runs along
type Step = Annotated[float, Field(ge=-MAX_WHOLE, le=MAX_WHOLE, allow_inf_nan=False)]
type RunId = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


def _along(value: str) -> str:
    if value not in AXES_ALONG and not (value.startswith(OF_METRIC) and 0 < len(value) - len(OF_METRIC) <= 200):
        raise PydanticCustomError(
            "along", "It is step, epoch, time or metric:NAME with the name of a metric; send one of these"
        )
    return value


type XAxis = Annotated[str, AfterValidator(_along)]


def _few_hidden(runs: list[str]) -> list[str]:
    if len(runs) > MAX_HIDDEN:
        raise PydanticCustomError(
            "too_many", f"At most {MAX_HIDDEN} runs can be hidden; show or delete one of them first"
        )
    return runs


def _few_added(runs: list[str]) -> list[str]:
    if len(runs) > MAX_ADDED:
        raise PydanticCustomError("too_many", f"At most {MAX_ADDED} runs can be added; hide one of them first")
    return runs


def _few_chosen(runs: list[str]) -> list[str]:
    if len(runs) > MAX_CHOSEN:
        raise PydanticCustomError("too_many", f"At most {MAX_CHOSEN} runs can be chosen; choose fewer of them")
    return runs


def _few_pinned(titles: list[str]) -> list[str]:
    if len(titles) > MAX_PINNED:
        raise PydanticCustomError("too_many", f"At most {MAX_PINNED} metrics can be pinned; unpin one of them first")
    return titles


type Hidden = Annotated[list[RunId], AfterValidator(_few_hidden)]
type Added = Annotated[list[RunId], AfterValidator(_few_added)]
type Chosen = Annotated[list[RunId], AfterValidator(_few_chosen)]
type Title = Annotated[str, Field(min_length=1, max_length=200)]
type Titles = Annotated[list[Title], Field(max_length=MAX_METRICS)]
type Pinned = Annotated[list[Title], AfterValidator(_few_pinned)]


class Axes(BaseModel):
    """The scale of each axis of the shared windows; a run's own follow those of step, loss and w."""

    model_config = ConfigDict(extra="forbid")

    step: Annotated[Scale, Field(description="The horizontal axis of Loss and w.")] = "linear"
    loss: Annotated[Scale, Field(description="The vertical axis of Loss.")] = "linear"
    w: Annotated[Scale, Field(description="The vertical axis of w.")] = "linear"
    cost: Annotated[Scale, Field(description="The vertical axis of Cost curve.")] = "linear"


class MetricsView(BaseModel):
    """Which metrics have a window, each named by the window's title, in any case."""

    model_config = ConfigDict(extra="forbid")

    pinned: Annotated[Pinned, Field(description="Shown before the others, and always.")] = []
    hidden: Annotated[Titles, Field(description="Not shown unless they are pinned.")] = []
    order: Annotated[Titles, Field(description="Those that come first, in this order.")] = []


class StepRange(BaseModel):
    """From one step to another, both included."""

    model_config = ConfigDict(extra="forbid")

    from_step: Step
    to_step: Step

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_step > self.to_step:
            raise ValueError(
                f"from_step is {self.from_step:g} and to_step {self.to_step:g}; send the smaller one first"
            )
        return self


class View(BaseModel):
    """What the shared windows show."""

    axes: Axes = Axes()
    x: Annotated[XAxis, Field(description="What runs along the metrics: step, epoch, time, or metric:NAME.")] = "step"
    smoothing: Annotated[
        int, Field(ge=0, le=MAX_SMOOTHING, description="Steps of the exponential average that is drawn; 0: none.")
    ] = 0
    detail: Annotated[StepRange | None, Field(description="The only range of steps that is shown; null: all.")] = None
    run: Annotated[str | None, Field(description="The selected run, shown by itself; null: the latest ones.")] = None
    at: Annotated[Step | None, Field(description="The step of that run that is shown; null: the last.")] = None
    sample: Annotated[
        int, Field(ge=0, lt=100, description="The sample, from 0, whose computational graph is drawn.")
    ] = 0
    hidden: Annotated[Hidden, Field(description="Runs, by id, that the shared windows do not show.")] = []
    added: Annotated[Added, Field(description="Runs, by id, that they show besides those that they show anyway.")] = []
    chosen: Annotated[
        Chosen,
        Field(description="The only runs, by id, that they show, less those that are hidden; empty: the latest."),
    ] = []
    metrics: MetricsView = MetricsView()


class SharedView(View):
    """The view, and what follows from it and from the runs that there are."""

    shown: Annotated[list[str], Field(description="The runs, by id, that the shared windows show, oldest first.")]
    windows: Annotated[list[str], Field(description="The metrics that have a shared window, by its title, in order.")]
    more_metrics: Annotated[int, Field(description="How many other metrics the shown runs have logged.")]


class MetricWindows(BaseModel):
    """The metrics of some runs, by the titles of their windows, in order."""

    shown: Annotated[list[str], Field(description="Those that have a window.")]
    others: Annotated[list[str], Field(description="Those that have none now.")]


class Viewers(BaseModel):
    """How many event streams are open: one for each open page."""

    count: int
