"""What belongs to the board: everyone who looks at it sees the same."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED, JsonRoute, ServicesDep
from app.board import Board
from app.schemas import BoardChange, VisdomState

router = APIRouter(tags=["board"], responses=REFUSED, route_class=JsonRoute)


@router.get("/board")
async def get_board(services: ServicesDep) -> Board:
    """Which axes of the shared windows are logarithmic."""
    return services.publisher.board


@router.patch("/board")
async def change_board(change: BoardChange, services: ServicesDep) -> Board:
    """Change some axes; those not named stay as they are."""
    now = services.publisher.board.axes
    changed = now.model_copy(update=change.axes.model_dump(exclude_unset=True))
    await services.change_board(Board(axes=changed))
    return services.publisher.board


@router.get("/visdom")
async def get_visdom(services: ServicesDep) -> VisdomState:
    """Whether Visdom runs, and where its shared windows are."""
    return services.visdom_state
