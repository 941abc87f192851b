"""The line of log that a request has on demand."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.middleware.request_log import RequestLog
from tests.app.middleware.conftest import LockedBoard

pytestmark = pytest.mark.anyio

LOGGER = "lossboard.requests"


async def test_a_request_has_a_line_whose_id_the_response_carries(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    board = LockedBoard(tmp_path, log_requests="true")
    answer = await board.ask("GET", "/api/runs?limit=7", board.token("read"))
    (line,) = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    request_id, _, method, path, status, *_ = line.split()
    assert answer.headers["x-request-id"] == request_id
    assert (method, path, status) == ("GET", "/api/runs", "200")
    assert line.endswith(" ms")


async def test_no_line_has_a_token_or_what_was_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    board = LockedBoard(tmp_path, log_requests="true")
    for token in (board.token("owner"), "wrong-token"):
        await board.ask("GET", f"/?token={token}")
        await board.ask("GET", "/api/runs?search=secret", token)
        assert token not in caplog.text
    assert "secret" not in caplog.text
    statuses = [record.getMessage().split()[4] for record in caplog.records if record.name == LOGGER]
    assert statuses == ["303", "200", "303", "401"]


async def test_it_is_off_unless_asked_for(locked: LockedBoard, caplog: pytest.LogCaptureFixture) -> None:
    answer = await locked.ask("GET", "/api/runs", locked.token("read"))
    assert "x-request-id" not in answer.headers
    assert not [record for record in caplog.records if record.name == LOGGER]


@pytest.mark.parametrize("failing", [False, True])
async def test_paths_make_no_lines_and_failures_have_theirs(caplog: pytest.LogCaptureFixture, *, failing: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if failing:
            raise RuntimeError
        await send({"type": "websocket.accept"})

    async def nothing() -> Message:
        return {}

    async def drop(_: Message) -> None:
        pass

    times = iter([1.0, 1.25])
    scope = {"type": "websocket", "path": "/a\nERROR: made up", "client": None}
    logged = RequestLog(app, clock=lambda: next(times))
    if failing:
        with pytest.raises(RuntimeError):
            await logged(scope, nothing, drop)
    else:
        await logged(scope, nothing, drop)
    (record,) = [record for record in caplog.records if record.name == LOGGER]
    assert record.levelno == logging.INFO
    status = "-" if failing else "101"
    assert record.getMessage()[13:] == f"unix WEBSOCKET /a\\nERROR: made up {status} 250.0 ms"
