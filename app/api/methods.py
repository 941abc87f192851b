"""What can be run, and whether the board is alive."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from fastapi import APIRouter

from app.api.deps import REFUSED, RightDep, ServicesDep, aside
from app.api.json_body import JsonRoute
from app.api.serializers import method_response
from app.errors import NotFoundError
from app.runs.validation import arrays, check_params
from app.schemas.requests import SettingIn
from app.schemas.responses import Alive, Health, MethodOut, StabilityOut
from trainers import METHODS
from trainers.problem import Data

router = APIRouter(tags=["methods"], responses=REFUSED, route_class=JsonRoute)

_describe = cache(method_response)  # a method's source and schema take long to make


@router.get("/health")
async def health(services: ServicesDep, right: RightDep) -> Health | Alive:
    """Whether the board, and its Visdom, are alive, and what who asks may do; without a token that it is alive."""
    if right not in ("owner", "read"):
        return Alive()
    return Health(version=version("lossboard"), visdom=services.visdom.state, right=right)


@router.get("/methods")
async def list_methods() -> list[MethodOut]:
    """Every method with its parameters, its formula and its trainer's own code."""
    return [_describe(method) for method in METHODS.values()]


@router.post("/methods/{name}/stability")
async def get_stability(name: str, setting: SettingIn) -> StabilityOut:
    """What theory says of the learning rate of a method with these parameters, on this data.

    Parameters and data are those of a run to start, and so are the refusals.
    """
    if name not in METHODS:
        raise NotFoundError(
            f"There is no method {name[:50]!r}; send one of {', '.join(METHODS)}.", part="path", field=("name",)
        )
    return await aside(len(setting.data.x), _stability, name, setting)


def _stability(name: str, setting: SettingIn) -> StabilityOut:
    method = METHODS[name]
    params = check_params(method, setting.params, len(setting.data.x))
    return StabilityOut.model_validate(method.stability(params, Data.of(*arrays(setting.data))))
