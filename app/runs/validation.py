"""A request to run something, checked against the method's own rules."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydantic import ValidationError

from app.errors import InvalidError, broken_rule, message_of
from app.runs.names import part
from app.schemas.limits import MAX_WHOLE
from app.schemas.requests import DataIn, RaceIn, RunIn
from app.schemas.responses import Bounds
from app.storage.batch import Floats
from app.storage.records import RunRecord
from trainers import METHODS
from trainers.method import Method
from trainers.numbers import short
from trainers.params import ParameterError, Params
from trainers.problem import Data
from trainers.theory.diagnosis import why
from trainers.theory.explosion import cost_scale, mean_squared_error

MAX_WRONG = 19  # more parameters that are told to be wrong, beside the first


@dataclass(frozen=True)
class Plan:
    """A run that can be started."""

    method: Method[Any]
    params: Params
    data: tuple[Floats, Floats]
    name: str  # a person's; empty: none was given
    group: str | None
    total_steps: int
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    default_name: str = ""  # in a race: what it is called where no person renames it
    why: str | None = None  # what theory says will go wrong with its learning rate
    cost_scale: float | None = None  # of a descent: the cost that it is measured by
    first_loss: float | None = None  # of one that is judged by its cost over all data: before the first update
    varied: dict[str, Any] = field(default_factory=dict)  # in a race: what differs from the others


def plan_run(wanted: RunIn) -> Plan:
    """Check a request; InvalidError names the field that is wrong and says what to send instead."""
    if wanted.id:
        raise InvalidError("Only a run of method external brings its own id; leave id out.", field=("id",))
    if wanted.live is not None:
        raise InvalidError("What may be changed in a run of this method is known; leave live out.", field=("live",))
    method = find_method(wanted.method, also="external")
    plan = _plan(method, wanted.params, arrays(wanted.data), wanted.name, wanted.group)
    return dataclasses.replace(plan, tags=wanted.tags, notes=wanted.notes)


def plan_race(wanted: RaceIn) -> list[Plan]:
    """Check a request for a race, each run before the first is made; InvalidError names the value that is wrong."""
    ((key, values),) = wanted.vary.items()
    data = arrays(wanted.data)
    if key != "method":
        method = find_method(wanted.method)
        if key not in method.params.model_fields:
            raise InvalidError(f"{method.name} has no such parameter; {_vary_what(method)}.", field=("vary", key))
    elif wanted.method:
        raise InvalidError("The method is what varies; leave method out.", field=("method",))
    racing = _racing_methods(values, wanted.params) if key == "method" else [method] * len(values)
    plans = []
    for at, (method, value) in enumerate(zip(racing, values, strict=True)):
        has = method.params.model_fields
        params = {name: given for name, given in wanted.params.items() if key != "method" or name in has}
        try:
            plan = _plan(method, params if key == "method" else params | {key: value}, data, "", wanted.group)
        except InvalidError as error:
            raise _of_variant(error, key, at) from None
        chosen = method.name if key == "method" else getattr(plan.params, key)
        what = method.title if key == "method" else part(key, chosen)
        name = f"{wanted.name[:100]}, {what}" if wanted.name else what
        plans.append(dataclasses.replace(plan, default_name=name, varied={key: chosen}))
    return plans


def _racing_methods(names: list[Any], params: dict[str, Any]) -> list[Method[Any]]:
    """The methods of a race, each of which is run with those of the parameters that it has. InvalidError for one that
    none of them has."""
    racing = []
    for at, name in enumerate(names):
        try:
            racing.append(find_method(name))
        except InvalidError as error:
            raise InvalidError(error.message, field=("vary", "method", at), broken=error.broken) from None
    known = list(dict.fromkeys(name for method in racing for name in method.params.model_fields))
    for name in params:
        if name not in known:
            raise InvalidError(
                f"None of these methods has such a parameter; they have {', '.join(known)}.", field=("params", name)
            )
    return racing


def _plan(method: Method[Any], values: dict[str, Any], data: tuple[Floats, Floats], name: str, group: str) -> Plan:
    n = len(data[0])
    params = check_params(method, values, n)
    samples = Data.of(*data)
    return Plan(
        method,
        params,
        data,
        name,
        group or None,
        method.total_steps(params, n),
        why=why(method, params, samples),
        cost_scale=cost_scale(method, params, samples),
        first_loss=mean_squared_error(samples, method.initial(params)) if "mse" in method.metrics(params) else None,
    )


def check_params(method: Method[Any], values: dict[str, Any], n: int) -> Params:
    """The method's parameters for a run on ``n`` pairs. InvalidError for the first that is wrong, or wrong there."""
    params = parse_params(method, values)
    try:
        method.check(params, n)
    except ParameterError as error:
        broken = {"rule": error.rule, **error.values} if error.rule else {}
        raise InvalidError(error.message, field=("params", error.field), broken=broken) from None
    return params


def arrays(data: DataIn) -> tuple[Floats, Floats]:
    """The x and y of a request."""
    return np.array(data.x, dtype=float), np.array(data.y, dtype=float)


def _of_variant(error: InvalidError, key: str, at: int) -> InvalidError:
    """What is wrong with one run of a race: the value that varies, or what all of them share."""
    place = error.place[1:]
    if place in (("method",), ("params", key)):
        return InvalidError(error.message, field=("vary", key, at), broken=error.broken)
    return error


def _vary_what(method: Method[Any]) -> str:
    return f"vary one of {', '.join(method.params.model_fields)}, or method"


def find_method(name: object, also: str = "") -> Method[Any]:
    """The method of this name; InvalidError lists those there are, and what ``also`` may be sent in its place."""
    method = METHODS.get(name) if isinstance(name, str) else None
    if method is None:
        known = ", ".join([*METHODS, also] if also else METHODS)
        raise InvalidError(f"There is no method {str(name)[:50]!r}; send one of {known}.", field=("method",))
    return method


def check_change(record: RunRecord, values: dict[str, Any]) -> dict[str, Any]:
    """Parameters that are to be changed while a run goes on, as they will hold. InvalidError for the first that may not
    be changed, or not to this."""
    method = METHODS.get(record.method)
    may = method.live if method else live_of_script(record)
    for name, value in values.items():
        if name not in may:
            which = f"{', '.join(may)} can" if may else "it has no such number"
            raise InvalidError(f"This cannot be changed while the run goes on; {which}.", field=("params", name))
        if method is None and not is_number(value):
            raise InvalidError("Send a finite number.", field=("params", name), broken={"rule": "number_type"})
        if method is None and record.live:
            _check_bounds(name, value, record.live[name])
    if method is None:
        return values
    params = parse_params(method, record.params | values)
    return {name: getattr(params, name) for name in values}


def live_of_script(record: RunRecord) -> tuple[str, ...]:
    """The parameters of a script's run that may be changed: those that it names, else all numbers."""
    if record.live is not None:
        return tuple(record.live)
    return tuple(name for name, value in record.params.items() if is_number(value))


def _check_bounds(name: str, value: float, bounds: Bounds) -> None:
    least, greatest = bounds
    if least is not None and value < least:
        broken = {"rule": "greater_than_equal", "ge": least}
        raise InvalidError(f"Send a number of at least {short(least)}.", field=("params", name), broken=broken)
    if greatest is not None and value > greatest:
        broken = {"rule": "less_than_equal", "le": greatest}
        raise InvalidError(f"Send a number of at most {short(greatest)}.", field=("params", name), broken=broken)


def is_number(value: object) -> bool:
    """Whether a script's parameter is one that can be changed."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= MAX_WHOLE if isinstance(value, int) else math.isfinite(value)


def parse_params(method: Method[Any], values: dict[str, Any]) -> Params:
    """The method's parameters from JSON. InvalidError for those that are wrong."""
    try:
        params: Params = method.params.model_validate(values)
    except ValidationError as error:
        first, *more = [_wrong_param(method, one) for one in error.errors(include_input=False, include_url=False)]
        first.more = tuple(more[:MAX_WRONG])
        raise first from None
    return params


def _wrong_param(method: Method[Any], error: Mapping[str, Any]) -> InvalidError:
    """One of pydantic's errors about a method's parameters."""
    message = message_of(error)
    if error["type"] == "extra_forbidden":
        message = f"{method.name} has no such parameter; it has {', '.join(method.params.model_fields)}."
    return InvalidError(message, field=("params", *error["loc"]), broken=broken_rule(error))
