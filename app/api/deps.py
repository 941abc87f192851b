"""What the routers have in common: what they need from the app, and how they refuse."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from app.schemas import Refusal
from app.services import Services

_WORDS = "Refused, and what to send instead"
_JSON = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}}

REFUSED: dict[int | str, dict[str, Any]] = {"4XX": {"model": Refusal, "description": _WORDS}}
# Where the answer is no JSON, FastAPI would say the same of the refusal.
REFUSED_IN_JSON: dict[int | str, dict[str, Any]] = {"4XX": {"description": _WORDS, **_JSON}}
UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    **REFUSED_IN_JSON,
    503: {"description": "Visdom does not answer", **_JSON},
}


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


type ServicesDep = Annotated[Services, Depends(_services)]
