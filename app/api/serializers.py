"""What turns records, methods and theory into responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from app.charts.colours import hex_of
from app.charts.run_state import RunState
from app.runs.progress import final_mse, has_exploded
from app.schemas.responses import MethodOut, Place, Run, SelectedState, Visdom
from app.storage.records import RunRecord
from app.visdom.publisher import env_of
from trainers.method import Method


def run_response(record: RunRecord) -> Run:
    """The run as the API returns it."""
    derived = {
        "params": _in_json(record.params),
        "changes": _in_json(record.changes),
        "result": _in_json(record.result),
        "summary": _in_json(record.summary),
        "varied": _in_json(record.varied),
        "colour": hex_of(record),
        "exploded": has_exploded(record),
        "visdom": Visdom(env=env_of(record.id), url=f"/api/runs/{record.id}/visdom"),
    }
    return Run.model_validate(vars(record) | derived)


def state_response(state: RunState) -> SelectedState:
    """The state of the selected run, as pages show it."""
    return SelectedState(
        run=state.run,
        position=state.position,
        step=state.step,
        first=state.first,
        updates=state.updates,
        values=_line(state.values) | _cost_and_gradient(state) | ({} if state.loss is None else {"loss": state.loss}),
        loss_of=state.loss_of,
        next=_line(state.next_values) if state.next_values else None,
    )


def _line(values: Mapping[str, float]) -> dict[str, float]:
    return {name: values[name] for name in ("w", "b") if name in values}


def _cost_and_gradient(state: RunState) -> dict[str, float]:
    """Of a descent; the gradient as its derivatives by w and b, or, by more parameters than those, as its length."""
    if state.loss_of == "point":
        return {}
    told = {} if state.cost is None else {"cost": state.cost}
    gradient = state.gradient or {}
    is_length = "b" in state.values and "grad_b" not in gradient
    names = {"grad": "gradient_length" if is_length else "gradient", "grad_b": "gradient_b"}
    return told | {names[name]: value for name, value in gradient.items()}


def place_response(record: RunRecord) -> Place:
    """A run's line in the ranking of its group."""
    return Place(
        run=record.id,
        name=record.name,
        value=next(iter(record.varied.values()), None),
        status=record.status,
        exploded=has_exploded(record),
        steps_to_1_percent=record.steps_to_1_percent,
        final_loss=record.final_loss,
        evaluations_to_1_percent=record.evaluations_to_1_percent,
        final_mse=final_mse(record),
    )


def method_response(method: Method[Any]) -> MethodOut:
    """What can be run, as the API returns it."""
    return MethodOut(
        name=method.name,
        title=method.title,
        description=method.description,
        kind=method.kind,
        graph=method.graph is not None,
        formula=method.formula,
        params_schema=method.params.model_json_schema(),
        live=list(method.live),
        source=method.source,
        update_line=method.update_line,
    )


def _in_json(value: Any) -> Any:
    """Numbers that JSON lacks as their strings, at any depth: of what is declared as Any, pydantic makes null.

    Written and read again by pydantic's own code: a page has many runs, and each may have many thousand numbers.
    """
    return from_json(to_json(value, inf_nan_mode="strings"))
