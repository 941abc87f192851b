"""What the routers need from the app, as annotated dependencies."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.services import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


type ServicesDep = Annotated[Services, Depends(_services)]
