"""Runs: start, look at, edit, stop, delete."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.addresses import relative
from app.api.deps import REFUSED, UNAVAILABLE, RightDep, ServicesDep, aside
from app.api.json_body import JsonRoute
from app.api.serializers import run_response
from app.errors import ForbiddenError, InvalidError, UnavailableError
from app.runs.active import EXTERNAL
from app.runs.best import is_more_better
from app.runs.service import RESTORABLE_S
from app.runs.validation import plan_run
from app.schemas.requests import Ending, RunChange, RunIds, RunIn
from app.schemas.responses import Data, Deleted, Metric, Run, RunColumns, RunList, Status
from app.services import Services
from app.storage.batch import Floats
from app.visdom.connection import VisdomError
from app.visdom.publisher import env_of

router = APIRouter(tags=["runs"], responses=REFUSED, route_class=JsonRoute)

FLOATS = "application/octet-stream"

Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10**9)]
Search = Annotated[
    str,
    Query(
        max_length=1000,
        description="Words in name, group, tags or notes; lr<0.1 or optimizer=adam: parameters, metrics, results; "
        "status:failed, group:, tag:, method:, name:. A minus before a term: those without. All terms must hold.",
        examples=["lr<0.1 status:failed -tag:old"],
    ),
]
Sort = Annotated[
    str,
    Query(
        max_length=1000,
        description="Columns with commas between, a minus before those that descend: name, status, method, group, tags,"
        " number, step, started, duration, pinned, params.NAME, last.NAME, best.NAME, min.NAME, max.NAME, summary.NAME,"
        " result.NAME.",
        examples=["-pinned,best.loss"],
    ),
]
GroupQuery = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.post("/runs", status_code=201, responses={200: {"model": Run, "description": "The run of this id"}})
async def start_run(wanted: RunIn, services: ServicesDep, response: Response, right: RightDep) -> Run:
    """Start a run; it queues if as many as may run at once already do.

    With method ``external`` the points come from a script elsewhere. Such a run may bring its own id, and the same id
    again answers 200 with the run that is there.
    """
    if wanted.method == EXTERNAL:
        if "data" in wanted.model_fields_set:
            raise InvalidError("An external run has its data elsewhere; leave data out.", field=("data",))
        told = {"tags": wanted.tags, "notes": wanted.notes, "live": wanted.live}
        record, new = await services.runs.create_external(
            wanted.id,
            wanted.name or "external run",
            wanted.params,
            wanted.group or None,
            wanted.started_at,
            resume=wanted.resume,
            **told,
        )
        response.status_code = 201 if new else 200
        return run_response(record)
    if right != "owner":
        raise ForbiddenError(
            'Only the owner starts built-in methods; the token that was sent is for runs of scripts, "external".',
            field=("method",),
        )
    return run_response(await services.runs.create(await aside(len(wanted.data.x), plan_run, wanted)))


@router.get("/runs")
async def list_runs(
    services: ServicesDep,
    status: Status | None = None,
    group: GroupQuery = None,
    search: Search = "",
    sort: Sort = "",
    limit: Limit = 50,
    offset: Offset = 0,
) -> RunList:
    """Runs, newest first or in the order of ``sort``; all of them, or those that ``search`` finds."""
    if search or sort:
        records, total = await services.table.page(
            search=search, sort=sort or "-number", status=status, group=group, limit=limit, offset=offset
        )
    else:
        records, total = await services.runs.page(status=status, group=group, limit=limit, offset=offset)
    return RunList(items=[run_response(record) for record in records], total=total)


@router.get("/runs/columns")
async def get_columns(services: ServicesDep) -> RunColumns:
    """The parameters, metrics, summaries, results, groups and tags that runs have."""
    found = await services.table.columns()
    metrics = [Metric(name=name, best="max" if is_more_better(name) else "min") for name in found.metrics]
    return RunColumns.model_validate(vars(found) | {"metrics": metrics})


@router.post("/runs/stop", status_code=202)
async def stop_runs(wanted: RunIds, services: ServicesDep) -> RunList:
    """Ask many runs to end; those that were deleted are left out. 404 if one never was: then none is asked."""
    there = await services.runs.those_left(wanted.ids)
    records = await asyncio.gather(*map(services.control.stop, there))
    return RunList(items=[run_response(record) for record in records], total=len(records))


@router.post("/runs/delete")
async def delete_runs(wanted: RunIds, services: ServicesDep) -> Deleted:
    """Stop and delete many runs; those that were deleted before are left out. 404 if one never was: then none is."""
    there = await services.runs.those_left(wanted.ids)
    await asyncio.gather(*(_delete(run_id, services) for run_id in there))
    return Deleted(ids=there, restorable_s=RESTORABLE_S)


@router.post("/runs/restore")
async def restore_runs(wanted: RunIds, services: ServicesDep) -> RunList:
    """Have back runs that were deleted less than 10 s ago. 410 if one is forgotten: the others are back."""
    records = await services.runs.restore(wanted.ids)
    return RunList(items=[run_response(record) for record in records], total=len(records))


@router.get("/runs/{run_id}")
async def get_run(run_id: str, services: ServicesDep) -> Run:
    """One run."""
    return run_response(await services.runs.get(run_id))


@router.get("/runs/{run_id}/data", response_model=Data, responses={200: {"content": {FLOATS: {}}}})
async def get_data(run_id: str, request: Request, services: ServicesDep) -> Response | Data:
    """The x and y that a run runs on; as float64 bytes, all x and then all y, to those who accept nothing else."""
    record = await services.runs.get(run_id)
    if record.data_hash is None:
        return Data(x=[], y=[])
    x, y = await services.store.get_data(record)
    if request.headers.get("accept") == FLOATS:
        return Response(x.tobytes() + y.tobytes(), media_type=FLOATS)
    text = await aside(len(x), _data_json, x, y)
    return Response(text, media_type="application/json")


@router.get("/runs/{run_id}/visdom", status_code=307, response_class=RedirectResponse, responses=UNAVAILABLE)
async def open_windows(run_id: str, request: Request, services: ServicesDep) -> RedirectResponse:
    """Build the run's own windows if they are not there, then go to them."""
    record = await services.runs.get(run_id)
    try:
        await services.publisher.open_single_run(record)
    except VisdomError as error:
        raise UnavailableError(f"Visdom does not answer at the moment ({error}); try again shortly.") from None
    return RedirectResponse(relative(services.windows_url(env_of(run_id)), request.scope), 307)


@router.patch("/runs/{run_id}")
async def change_run(run_id: str, change: RunChange, services: ServicesDep) -> Run:
    """Change what people call and note of a run, and while it runs parameters: they hold from a coming step on."""
    if change.params:
        record = await services.control.change(run_id, change.params)
    if noted := change.model_dump(exclude={"params"}, exclude_unset=True):
        record = await services.runs.edit(run_id, **noted)
    return run_response(record)


@router.post("/runs/{run_id}/stop", status_code=202)
async def stop_run(run_id: str, services: ServicesDep) -> Run:
    """Ask a run to end; again is no error."""
    return run_response(await services.control.stop(run_id))


@router.post("/runs/{run_id}/finish")
async def finish_run(run_id: str, ending: Ending, services: ServicesDep) -> Run:
    """Workers and scripts say how a run ended."""
    return run_response(await services.ingest.finish(run_id, ending))


@router.delete("/runs/{run_id}", status_code=204)
async def delete_run(run_id: str, services: ServicesDep) -> None:
    """Stop a run and delete it, with its points and its windows. For 10 s it can be restored, then it is forgotten."""
    await _delete(run_id, services)


async def _delete(run_id: str, services: Services) -> None:
    await services.runs.delete(run_id)
    await services.view_state.forget(run_id)


def _data_json(x: Floats, y: Floats) -> str:
    return Data(x=x.tolist(), y=y.tolist()).model_dump_json()
