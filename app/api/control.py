"""Control of a run while it runs: hold it, let it go on, let it take single steps."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import REFUSED, ServicesDep
from app.api.json_body import JsonRoute
from app.api.serializers import run_response
from app.schemas.requests import StepIn
from app.schemas.responses import ControlVersion, Run

router = APIRouter(tags=["control"], responses=REFUSED, route_class=JsonRoute)

MAX_WAIT_S = 60.0

Known = Annotated[str, Query(max_length=20, description="The version in the last answer.")]
Wait = Annotated[float, Query(ge=0, le=MAX_WAIT_S, allow_inf_nan=False)]


@router.get("/runs/{run_id}/control")
async def get_control(run_id: str, services: ServicesDep, known: Known = "", wait_s: Wait = 0.0) -> ControlVersion:
    """What is asked of a run. While that is still the ``known`` version, the answer waits for as long as ``wait_s``
    seconds, and comes as soon as something else is asked. The responses to points say the same."""
    return await services.control_watch.wait(run_id, known, wait_s)


@router.post("/runs/{run_id}/pause", status_code=202)
async def pause_run(run_id: str, services: ServicesDep) -> Run:
    """Hold a run; again is no error. A run that waits in the queue waits on until it is resumed."""
    return run_response(await services.control.pause(run_id))


@router.post("/runs/{run_id}/resume", status_code=202)
async def resume_run(run_id: str, services: ServicesDep) -> Run:
    """Let a run go on; again is no error."""
    return run_response(await services.control.resume(run_id))


@router.post("/runs/{run_id}/step", status_code=202)
async def step_run(run_id: str, wanted: StepIn, services: ServicesDep) -> Run:
    """Let a run take so many steps, as fast as it can, and hold it then. One that was not held is held after them."""
    return run_response(await services.control.step(run_id, wanted.steps))
