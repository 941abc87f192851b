"""What the routers have in common: what they need from the app, and how they refuse."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request

from app.schemas import Refusal
from app.services import Services

REFUSED: dict[int | str, dict[str, Any]] = {"4XX": {"model": Refusal, "description": "Refused, and what to send"}}
UNAVAILABLE: dict[int | str, dict[str, Any]] = {503: {"model": Refusal, "description": "Visdom does not answer"}}


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


type ServicesDep = Annotated[Services, Depends(_services)]
