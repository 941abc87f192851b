"""A request to run something, checked against the method's own rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from app.columns import Floats
from app.errors import InvalidError, message_of
from app.schemas import RunIn
from trainers import METHODS
from trainers.method import Method
from trainers.params import ParameterError, Params
from trainers.problem import Data
from trainers.reasons import why


@dataclass(frozen=True)
class Plan:
    """A run that can be started."""

    method: Method[Any]
    params: Params
    data: tuple[Floats, Floats]
    name: str
    group: str | None
    total_steps: int
    why: str | None  # what theory says will go wrong with its learning rate


def plan_run(wanted: RunIn) -> Plan:
    """Check a request; InvalidError names the field that is wrong and says what to send instead."""
    method = METHODS.get(wanted.method)
    if method is None:
        known = ", ".join([*METHODS, "external"])
        raise InvalidError(f"There is no method {wanted.method[:50]!r}; send one of {known}.", field=("method",))
    if wanted.id:
        raise InvalidError("Only a run of method external brings its own id; leave id out.", field=("id",))
    params = parse_params(method, wanted.params)
    x, y = np.array(wanted.data.x, dtype=float), np.array(wanted.data.y, dtype=float)
    try:
        method.check(params, len(x))
    except ParameterError as error:
        raise InvalidError(str(error), field=("params", error.field)) from None
    name = wanted.name or default_name(method, params)
    total_steps = method.total_steps(params, len(x))
    return Plan(method, params, (x, y), name, wanted.group or None, total_steps, why(method, params, Data.of(x, y)))


def parse_params(method: Method[Any], values: dict[str, Any]) -> Params:
    """The method's parameters from JSON. InvalidError for the first that is wrong."""
    try:
        params: Params = method.params.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        message = message_of(first)
        if first["type"] == "extra_forbidden":
            message = f"{method.name} has no such parameter; it has {', '.join(method.params.model_fields)}."
        raise InvalidError(message, field=("params", *first["loc"])) from None
    return params


def default_name(method: Method[Any], params: Params) -> str:
    """What a run is called that was given no name: its method and learning rate."""
    lr = getattr(params, "lr", None)
    return method.title if lr is None else f"{method.title}, lr {lr:g}"
