"""What the routers have in common: what they need from the app, and how they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from app.schemas.responses import Refusal, Right
from app.services import Services

INLINE_SIZE = 20_000  # bytes or numbers: less is read on the event loop

_WORDS = "Refused, and what to send instead"
_JSON = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}}

REFUSED: dict[int | str, dict[str, Any]] = {"4XX": {"model": Refusal, "description": _WORDS}}
# Where the answer is no JSON, FastAPI would say the same of the refusal.
REFUSED_IN_JSON: dict[int | str, dict[str, Any]] = {"4XX": {"description": _WORDS, **_JSON}}
UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    **REFUSED_IN_JSON,
    503: {"description": "Not now, and what to do", **_JSON},
}


async def aside[**P, T](size: int, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Do what takes long, by the ``size`` (bytes, numbers) of what it has to read, in a thread; what is small at once:
    to hand it over would take longer, and all the more the busier the cores are."""
    return await asyncio.to_thread(work, *args, **options) if size > INLINE_SIZE else work(*args, **options)


async def _services(request: Request) -> Services:  # not async, it would be run in a thread each time
    services: Services = request.app.state.services
    return services


async def _right(request: Request) -> Right | None:
    right: Right | None = request.state.right
    return right


type RightDep = Annotated[Right | None, Depends(_right)]  # of who asks: see app/middleware/tokens.py; None: no token
type ServicesDep = Annotated[Services, Depends(_services)]
