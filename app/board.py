"""What belongs to the board, and so to everyone who looks at it: which axes are logarithmic."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.store import Store

type Scale = Literal["linear", "log"]


class Axes(BaseModel):
    """The scale of each axis of the shared windows."""

    model_config = ConfigDict(extra="forbid")

    step: Annotated[Scale, Field(description="The horizontal axis of Loss and w.")] = "linear"
    loss: Annotated[Scale, Field(description="The vertical axis of Loss.")] = "linear"
    w: Annotated[Scale, Field(description="The vertical axis of w.")] = "linear"
    cost: Annotated[Scale, Field(description="The vertical axis of Cost curve.")] = "linear"


class Board(BaseModel):
    """The board's own state."""

    axes: Axes = Axes()


async def load_board(store: Store) -> Board:
    """The board as it was left."""
    return Board.model_validate(await store.get_setting("board") or {})


async def save_board(store: Store, board: Board) -> None:
    """Remember the board."""
    await store.put_setting("board", board.model_dump())
