"""What belongs to the board: everyone who looks at it sees the same."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED, JsonRoute, ServicesDep
from app.schemas.requests import BoardChange
from app.schemas.responses import VisdomState
from app.schemas.view import Board

router = APIRouter(tags=["board"], responses=REFUSED, route_class=JsonRoute)


@router.get("/board")
async def get_board(services: ServicesDep) -> Board:
    """How the shared windows show the runs, for everyone who looks."""
    return services.publisher.board


@router.patch("/board")
async def change_board(change: BoardChange, services: ServicesDep) -> Board:
    """Change some axes, or another part; what is not named stays as it is."""
    if change.run:
        await services.runs.get(change.run)  # or refuse it
    now = services.publisher.board
    axes = now.axes.model_copy(update=change.axes.model_dump(exclude_unset=True))
    parts = {name: getattr(change, name) for name in change.model_fields_set}
    if change.run != now.run and "run" in parts:
        parts.setdefault("at", None)  # the step of another run
    await services.change_board(now.model_copy(update={**parts, "axes": axes}))
    return services.publisher.board


@router.get("/visdom")
async def get_visdom(services: ServicesDep) -> VisdomState:
    """Whether Visdom runs, and where its shared windows are."""
    return services.visdom_state
