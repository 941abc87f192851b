"""The view that everyone shares, and whether Visdom can show it."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter

from app.api.deps import REFUSED, ServicesDep
from app.api.json_body import JsonRoute
from app.charts.metric_choice import choose
from app.errors import GoneError, UnavailableError
from app.schemas.requests import ViewChange
from app.schemas.responses import VisdomState
from app.schemas.view import MetricWindows, RunId, SharedView
from app.services import Services

router = APIRouter(tags=["view"], responses=REFUSED, route_class=JsonRoute)


@router.get("/board")
async def get_view(services: ServicesDep) -> SharedView:
    """What the shared windows show, for everyone who has the board open."""
    return services.shared_view


@router.patch("/board")
async def change_view(change: ViewChange, services: ServicesDep) -> SharedView:
    """Change some axes, or another part; what is not named stays as it is. Of ``hidden``, ``added`` and ``chosen``,
    runs that were deleted drop out, and of ``added`` those that are shown anyway."""
    if change.run:
        await services.runs.get(change.run)  # or refuse it
    lists = (change.hidden, change.added, change.chosen)
    hidden, added, chosen = [await _existing(runs, services) for runs in lists]
    now = services.view_state.get()
    axes = now.axes.model_copy(update=change.axes.model_dump(exclude_unset=True))
    parts = {name: getattr(change, name) for name in change.model_fields_set}
    if change.run != now.run and "run" in parts:
        parts.setdefault("at", None)  # the step of another run
    if "hidden" in parts:
        parts["hidden"] = hidden
    if "added" in parts:
        parts["added"] = [run_id for run_id in added if run_id not in services.latest.by_default]
    if "chosen" in parts:
        parts["chosen"] = chosen
    await services.view_state.change(now.model_copy(update={**parts, "axes": axes}))
    if {"hidden", "added", "chosen", "metrics", "x"} & parts.keys():
        with suppress(UnavailableError):  # they are shown as soon as they can be read
            await services.latest.load()
    return services.shared_view


@router.get("/board/metrics")
async def get_metrics(services: ServicesDep, run: RunId | None = None) -> MetricWindows:
    """The metrics that have a window, and the others: of all shown runs, or of one run in its own windows."""
    choice = services.latest.metrics
    if run is not None:
        record = await services.runs.get(run)
        choice = choose([(record.method, record.last)], services.view_state.get().metrics)
    return MetricWindows(shown=list(choice.shown.values()), others=list(choice.rest.values()))


@router.get("/visdom")
async def get_visdom(services: ServicesDep) -> VisdomState:
    """Whether Visdom runs, and where its shared windows are."""
    return services.visdom_state


async def _existing(run_ids: list[str], services: Services) -> list[str]:
    """Those of these runs that were not deleted, each once. NotFoundError for one that there never was."""
    now = services.view_state.get()
    found = []
    for run_id in dict.fromkeys(run_ids):
        if run_id not in (*now.hidden, *now.added, *now.chosen):
            try:
                await services.runs.get(run_id)
            except GoneError:
                continue
        found.append(run_id)
    return found
