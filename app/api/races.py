"""Races: the same run several times over, with one thing different."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED, ServicesDep, aside
from app.api.json_body import JsonRoute
from app.api.serializers import place_response, run_response
from app.errors import NotFoundError
from app.runs.progress import rank
from app.runs.validation import plan_race
from app.schemas.requests import RaceIn
from app.schemas.responses import Place, Race

router = APIRouter(tags=["races"], responses=REFUSED, route_class=JsonRoute)


@router.post("/races", status_code=201)
async def start_race(wanted: RaceIn, services: ServicesDep) -> Race:
    """Start the same run several times over, all of them or none. A value in `vary` takes the place of one in `params`.

    Slowed runs start side by side; at full speed as many run as there are slots, and the others queue.
    """
    plans = await aside(len(wanted.data.x), plan_race, wanted)
    group, records = await services.runs.create_race(plans)
    return Race(group=group, runs=[run_response(record) for record in records])


@router.get("/races/{group:path}")
async def ranking(group: str, services: ServicesDep) -> list[Place]:
    """How the runs of a group do, best first: by the gradient evaluations until the mean squared error is 1 % of its
    first value, then by how large it is; those that have diverged come last. Where scripts are among them: by the steps
    until the loss is, then by the loss."""
    records, _ = await services.runs.page(status=None, group=group, limit=1000, offset=0)
    if not records:
        raise NotFoundError("There is no run of this group; GET /api/runs lists those there are.")
    return [place_response(record) for record in rank(records)]
