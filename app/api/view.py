"""The view that everyone shares, and whether Visdom can show it."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED, JsonRoute, ServicesDep
from app.schemas.requests import ViewChange
from app.schemas.responses import VisdomState
from app.schemas.view import View

router = APIRouter(tags=["view"], responses=REFUSED, route_class=JsonRoute)


@router.get("/board")
async def get_view(services: ServicesDep) -> View:
    """What the shared windows show, for everyone who has the board open."""
    return services.view_state.get()


@router.patch("/board")
async def change_view(change: ViewChange, services: ServicesDep) -> View:
    """Change some axes, or another part; what is not named stays as it is."""
    if change.run:
        await services.runs.get(change.run)  # or refuse it
    now = services.view_state.get()
    axes = now.axes.model_copy(update=change.axes.model_dump(exclude_unset=True))
    parts = {name: getattr(change, name) for name in change.model_fields_set}
    if change.run != now.run and "run" in parts:
        parts.setdefault("at", None)  # the step of another run
    await services.view_state.change(now.model_copy(update={**parts, "axes": axes}))
    return services.view_state.get()


@router.get("/visdom")
async def get_visdom(services: ServicesDep) -> VisdomState:
    """Whether Visdom runs, and where its shared windows are."""
    return services.visdom_state
