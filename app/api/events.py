"""Server-sent events: what changed, told at most four times a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import TypeAdapter

from app.api.deps import REFUSED_IN_JSON, ServicesDep
from app.schemas.responses import Removed, Run
from app.services import Services

router = APIRouter(tags=["events"], responses=REFUSED_IN_JSON)

INTERVAL = 0.25  # seconds between two tellings of one listener, at least

_RUNS = TypeAdapter(list[Run])


@router.get("/events", response_class=EventSourceResponse)
async def events(services: ServicesDep) -> AsyncIterator[ServerSentEvent]:
    """Events ``runs`` (all that changed since the last one), ``removed``, ``visdom`` and ``board``.

    Nothing is replayed after a broken connection: fetch the runs again when the stream opens.
    """
    async with services.feed.listen() as listener:
        while (news := await listener.next()) is not None:
            if news.removed:
                yield _event("removed", Removed(ids=sorted(news.removed)).model_dump_json())
            if news.runs:
                yield _event("runs", await _runs(services, news.runs))
            if news.visdom:
                yield _event("visdom", services.visdom_state.model_dump_json())
            if news.board:
                yield _event("board", services.publisher.board.model_dump_json())
            await asyncio.sleep(INTERVAL)


async def _runs(services: Services, run_ids: set[str]) -> str:
    runs = [Run.of(record) for record in await services.runs.some(run_ids)]
    return _RUNS.dump_json(runs).decode()


def _event(name: str, data: str) -> ServerSentEvent:
    return ServerSentEvent(event=name, raw_data=data)
