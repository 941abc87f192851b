"""Control of a run while it runs: hold it, let it go on, let it take single steps."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.deps import REFUSED, ServicesDep
from app.api.serializers import run_response
from app.schemas.requests import StepIn
from app.schemas.responses import Run

router = APIRouter(tags=["control"], responses=REFUSED)


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
