"""What can be run, and whether the board is alive."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter

import app
from app.api.deps import REFUSED, ServicesDep
from app.schemas import Health, MethodOut
from trainers import METHODS

router = APIRouter(tags=["methods"], responses=REFUSED)


@router.get("/health")
async def health(services: ServicesDep) -> Health:
    """Whether the board, and its Visdom, are alive."""
    return Health(version=app.__version__, visdom=services.visdom.state)


@router.get("/methods")
async def list_methods() -> list[MethodOut]:
    """Every method with its parameters, its formula and its trainer's own code."""
    return _methods()


@cache
def _methods() -> list[MethodOut]:
    return [
        MethodOut(
            name=method.name,
            title=method.title,
            description=method.description,
            formula=method.formula,
            params_schema=method.params.model_json_schema(),
            live=list(method.live),
            source=method.source,
            update_line=method.update_line,
        )
        for method in METHODS.values()
    ]
