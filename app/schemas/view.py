"""What belongs to the board, and so to everyone who looks at it: how the shared windows show the runs."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.storage.store import Store

type Scale = Literal["linear", "log"]
type Horizontal = Literal["step", "epoch", "time"]
type Step = Annotated[float, Field(ge=-(2**53), le=2**53, allow_inf_nan=False)]

MAX_SPAN = 1_000_000


class Axes(BaseModel):
    """The scale of each axis of the shared windows; a run's own follow those of step, loss and w."""

    model_config = ConfigDict(extra="forbid")

    step: Annotated[Scale, Field(description="The horizontal axis of Loss and w.")] = "linear"
    loss: Annotated[Scale, Field(description="The vertical axis of Loss.")] = "linear"
    w: Annotated[Scale, Field(description="The vertical axis of w.")] = "linear"
    cost: Annotated[Scale, Field(description="The vertical axis of Cost curve.")] = "linear"


class Detail(BaseModel):
    """A stretch of the runs, both ends included."""

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


class Board(BaseModel):
    """The board's own state."""

    axes: Axes = Axes()
    x: Annotated[Horizontal, Field(description="What runs along Loss and w: steps, epochs or seconds.")] = "step"
    smoothing: Annotated[
        int, Field(ge=0, le=MAX_SPAN, description="Steps of the exponential average that is drawn; 0: none.")
    ] = 0
    detail: Annotated[Detail | None, Field(description="The only stretch that is shown; null: all.")] = None
    run: Annotated[str | None, Field(description="The run that is looked at by itself; null: the latest ones.")] = None
    at: Annotated[Step | None, Field(description="The step of that run that is shown; null: the last.")] = None
    sample: Annotated[
        int, Field(ge=0, lt=100, description="The sample, from 0, whose computational graph is drawn.")
    ] = 0


async def load_board(store: Store) -> Board:
    """The board as it was left."""
    return Board.model_validate(await store.get_setting("board") or {})


async def save_board(store: Store, board: Board) -> None:
    """Remember the board."""
    await store.put_setting("board", board.model_dump())
