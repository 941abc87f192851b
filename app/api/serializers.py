"""What turns records, methods and theory into responses."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json, to_json

from app.charts.colours import hex_of
from app.runs.progress import final_mse, has_exploded
from app.schemas.responses import MethodOut, Place, Run, Visdom
from app.storage.records import RunRecord
from app.visdom.publisher import env_of
from trainers.method import Method


def run_response(record: RunRecord) -> Run:
    """The run as the API returns it."""
    derived = {
        "params": _in_json(record.params),
        "changes": _in_json(record.changes),
        "result": _in_json(record.result),
        "varied": _in_json(record.varied),
        "colour": hex_of(record),
        "exploded": has_exploded(record),
        "visdom": Visdom(env=env_of(record.id), url=f"/api/runs/{record.id}/visdom"),
    }
    return Run.model_validate(vars(record) | derived)


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
