"""Random requests to the whole API, sound and broken, made from the board's own description of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

import lossboard
from app.api import media
from tests.harness.boards import BoardProcess

# One that does not end cannot be waited for.
ENDLESS = "/api/events"

CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@schemathesis.serializer(lossboard.CONTENT_TYPE)
def _records(_context: Any, value: Any) -> bytes:
    """The client's binary form: what is generated is any bytes, and half of them get a head that is right."""
    body: bytes = getattr(value, "data", str(value).encode())
    return body if len(body) % 2 else b'{"seq": 0, "metrics": ["loss"]}\n' + body * 8


@schemathesis.serializer(media.CONTENT_TYPE)
def _medium(_context: Any, value: Any) -> bytes:
    """A text: what is generated is any bytes, and half of them get a head that is right."""
    body: bytes = getattr(value, "data", str(value).encode())
    head = b'{"session": "a", "number": 0, "name": "note", "kind": "text", "step": 0, "time": 0}\n'
    return body if len(body) % 2 else head + body


def operations_of(board: BoardProcess) -> list[Any]:
    """All that the board describes and that ends."""
    described = schemathesis.openapi.from_url(f"{board.url}/openapi.json").exclude(path=ENDLESS)
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 15
    return operations


def fuzz(board: BoardProcess, cases: int, number: int = 0) -> Iterator[tuple[str, int]]:
    """Try each operation with so many random requests that can be meant, and as many that cannot; yields its name and
    how many were sent. AssertionError for a 5xx, or a response that the description does not announce. ``number``
    chooses among sequences of requests, each of which is always the same."""
    for operation in operations_of(board):
        sent = 0
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with suppress(Unsatisfiable):  # nothing can be wrong in a call that takes nothing
                sent += _try(board, operation.as_strategy(generation_mode=mode), cases, number)
        yield operation.label, sent


def _try(board: BoardProcess, requests: st.SearchStrategy[Any], cases: int, number: int) -> int:
    """Send requests of one operation, of which half name a run, or parameters, that there are; how many."""
    sent = 0

    @seed(number)
    @given(case=requests, known=st.booleans())
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def try_once(case: Any, known: bool) -> None:
        nonlocal sent
        run = board.client.post("/api/runs", json={"method": "external"}).json()["id"]
        if known and "run_id" in (case.path_parameters or {}):
            case.path_parameters["run_id"] = run
        if known and isinstance(case.body, dict) and "params" in case.body:
            case.body["params"] = {}
            case.body.pop("data" if case.body.get("method") == "external" else "id", None)
        answer = case.call(allow_redirects=False)
        sent += 1
        case.validate_response(answer, checks=CHECKS)
        made = answer.json().get("id") if answer.status_code == 201 else None
        for unneeded in filter(None, (run, made)):
            board.client.delete(f"/api/runs/{unneeded}")

    try_once()
    return sent
