"""Server-sent events: what changed, told at most four times a second, and at once what windows show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import TypeAdapter

from app.api.deps import REFUSED_IN_JSON, UNAVAILABLE, ServicesDep
from app.api.serializers import run_response, state_response
from app.errors import UnavailableError
from app.events import EventStream
from app.schemas.responses import Removed, Run
from app.schemas.view import Viewers
from app.services import Services

router = APIRouter(tags=["events"], responses=REFUSED_IN_JSON)

INTERVAL_S = 0.25  # between two sets of events of one stream, at least
MAX_STREAMS = 500

_RUNS = TypeAdapter(list[Run])


async def open_stream(services: ServicesDep) -> AsyncIterator[EventStream]:
    """A stream for as long as the response is sent. UnavailableError while there are as many as may be."""
    if services.streams.count >= MAX_STREAMS:
        raise UnavailableError(f"{MAX_STREAMS} event streams are open, as many as may; close some pages.")
    async with services.streams.open() as stream:
        yield stream


@router.get("/events", response_class=EventSourceResponse, responses=UNAVAILABLE)
async def events(
    services: ServicesDep, stream: Annotated[EventStream, Depends(open_stream)]
) -> AsyncIterator[ServerSentEvent]:
    """Events ``runs`` (all that changed since the last one), ``removed``, ``visdom``, ``board``, ``viewers`` and
    ``state``: that of the selected run, told as soon as its windows show it.

    Nothing is replayed after a broken connection: fetch the runs again when the stream opens.
    """
    while (changes := await stream.next()) is not None:
        if changes.removed:
            yield _event("removed", Removed(ids=sorted(changes.removed)).model_dump_json())
        if changes.runs:
            try:
                yield _event("runs", await _runs(services, changes.runs))
            except UnavailableError:  # they are told when they can be read
                stream.add_runs(changes.runs)
        if changes.visdom:
            yield _event("visdom", services.visdom_state.model_dump_json())
        if changes.view:
            yield _event("board", services.shared_view.model_dump_json())
        if changes.viewers:
            yield _event("viewers", Viewers(count=services.streams.count).model_dump_json())
        if changes.state:
            yield _state(services)
        rested = asyncio.get_running_loop().time() + INTERVAL_S
        while await stream.state_before(rested):
            yield _state(services)


async def _runs(services: Services, run_ids: set[str]) -> str:
    runs = [run_response(record) for record in await services.runs.some(run_ids)]
    return _RUNS.dump_json(runs).decode()


def _state(services: Services) -> ServerSentEvent:
    state = services.publisher.state
    return _event("state", state_response(state).model_dump_json() if state else "null")


def _event(name: str, data: str) -> ServerSentEvent:
    return ServerSentEvent(event=name, raw_data=data)
