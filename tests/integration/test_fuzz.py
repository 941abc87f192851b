"""The whole API under random requests, sound and broken: no 5xx, and no answer that /docs does not announce."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks

import lossboard
from app.api import media
from tests.harness.boards import BoardProcess

# One that does not end cannot be waited for.
ENDLESS = "/api/events"

EXAMPLES = 12  # requests for each operation


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    with BoardProcess(tmp_path_factory.mktemp("fuzzed"), LOSSBOARD_MAX_RUNNING="1") as running:
        running.wait_for_visdom()
        yield running
        assert running.get("/api/runs", limit=1000)["total"] < 1000
        assert running.get("/api/health")["visdom"] == "up"


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


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


def test_every_call(fuzzed: BoardProcess) -> None:
    described = schemathesis.openapi.from_url(f"{fuzzed.url}/openapi.json").exclude(path=ENDLESS)
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) >= 15
    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            with suppress(Unsatisfiable):  # nothing can be wrong in a call that takes nothing
                fuzz(fuzzed, operation, operation.as_strategy(generation_mode=mode))


def fuzz(board: BoardProcess, operation: Any, cases: st.SearchStrategy[Any]) -> None:
    """Try one operation with many random requests, of which half name a run, or parameters, that there are."""

    @given(case=cases, known=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def try_once(case: Any, known: bool) -> None:
        run = board.client.post("/api/runs", json={"method": "external"}).json()["id"]
        if known and "run_id" in (case.path_parameters or {}):
            case.path_parameters["run_id"] = run
        if known and isinstance(case.body, dict) and "params" in case.body:
            case.body["params"] = {}
            case.body.pop("data" if case.body.get("method") == "external" else "id", None)
        answer = case.call(allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)
        made = answer.json().get("id") if answer.status_code == 201 else None
        for unneeded in filter(None, (run, made)):
            board.client.delete(f"/api/runs/{unneeded}")

    try_once()
