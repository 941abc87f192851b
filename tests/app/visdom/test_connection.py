"""What is posted arrives in a real Visdom, and what goes wrong is said."""

import json
import math
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from app.visdom import connection as connection_module
from app.visdom.connection import VisdomConnection, VisdomError, encode
from app.visdom.supervisor import ExternalVisdom, VisdomServer
from tests.app.visdom.conftest import post_window, serving
from tests.harness.fake_visdom import FakeVisdom

pytestmark = pytest.mark.anyio

LINE = [{"type": "scatter", "x": [0, 1], "y": [1.0, 0.5]}]


@pytest.fixture(params=["real", "fake"])
def connection(request: pytest.FixtureRequest, visdom: VisdomServer) -> VisdomConnection | FakeVisdom:
    """Both, for the fake must do as the real one does."""
    return VisdomConnection(visdom) if request.param == "real" else FakeVisdom()


async def windows(connection: VisdomConnection | FakeVisdom, env: str) -> Any:
    if isinstance(connection, FakeVisdom):
        return {win: window["data"] for (eid, win), window in connection.windows.items() if eid == env}
    state = json.loads(await connection.post("/env_state", encode({"eid": env})))
    return {win: window["content"]["data"] for win, window in state.items()}


async def test_windows_are_posted_replaced_and_closed(connection: VisdomConnection | FakeVisdom) -> None:
    await post_window(connection, "posted", "loss", LINE, {"title": "loss"})
    await post_window(connection, "posted", "path", LINE)
    assert await windows(connection, "posted") == {"loss": LINE, "path": LINE}
    await post_window(connection, "posted", "loss", [{"type": "scatter", "y": []}])
    assert (await windows(connection, "posted"))["loss"] == [{"type": "scatter", "y": []}]
    await connection.close_window("posted", "loss")
    assert await windows(connection, "posted") == {"path": LINE}


async def test_closing_and_deleting_what_is_not_there_is_no_error(
    connection: VisdomConnection | FakeVisdom,
) -> None:
    await connection.close_window("nowhere", "nothing")
    await connection.delete_env("nowhere")
    await post_window(connection, "deleted", "w", LINE)
    await connection.close_window("deleted", "nothing")
    await connection.delete_env("deleted")
    await connection.close_window("deleted", "w")


async def test_all_windows_are_told_by_their_env(connection: VisdomConnection | FakeVisdom) -> None:
    await post_window(connection, "told", "loss", LINE)
    await post_window(connection, "told", "path", LINE)
    await post_window(connection, "too", "loss", LINE)
    told = await connection.all_windows()
    assert told is not None
    assert (sorted(told["told"]), told["too"]) == (["loss", "path"], ["loss"])
    await connection.close_window("told", "path")
    await connection.delete_env("too")
    told = await connection.all_windows()
    assert told is not None
    assert (told["told"], told.get("too")) == (["loss"], None)


async def test_an_external_visdom_does_not_tell_its_windows(visdom: VisdomServer) -> None:
    external = ExternalVisdom(visdom.url)
    assert await VisdomConnection(external).all_windows() is None
    await external.stop()


async def test_numbers_that_json_lacks_become_null(connection: VisdomConnection | FakeVisdom) -> None:
    line = [{"type": "scatter", "y": [math.nan, 1.0, math.inf, -math.inf], "meta": {"at": (math.nan, 1)}}]
    await post_window(connection, "numbers", "w", line)
    expected = [{"type": "scatter", "y": [None, 1.0, None, None], "meta": {"at": [None, 1]}}]
    assert await windows(connection, "numbers") == {"w": expected}


async def test_an_error_page_is_an_error(visdom: VisdomServer) -> None:
    connection = VisdomConnection(visdom)
    with pytest.raises(VisdomError, match=r"^Visdom answered /events with status 500\.$"):
        await connection.post("/events", b"no JSON")
    with pytest.raises(VisdomError, match=r"^Visdom answered /nothing with status 500\.$"):
        await connection.post("/nothing", b"{}")


async def test_another_answer_than_the_window_is_an_error(visdom: VisdomServer) -> None:
    body = encode({"eid": "main", "win": "this", "data": LINE, "layout": {}})
    with pytest.raises(VisdomError, match=r"^Visdom answered 'this' to window 'that'"):
        await VisdomConnection(visdom).post_events("that", body)


async def test_a_visdom_that_is_not_there_is_an_error() -> None:
    nobody = ExternalVisdom("http://127.0.0.1:9/visdom")
    with pytest.raises(VisdomError, match=r"^Visdom could not be reached: .+\.$"):
        await VisdomConnection(nobody).post("/events", b"{}")
    nobody.tells_windows = True
    with pytest.raises(VisdomError, match=r"^Visdom does not tell its windows: .+\.$"):
        await VisdomConnection(nobody).all_windows()
    await nobody.stop()


async def test_a_visdom_that_does_not_answer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "REQUEST_TIMEOUT_S", 0.1)

    async def slow(request: Request) -> Response:
        await request.receive()  # the request itself
        await request.receive()  # that it was given up
        return PlainTextResponse("w")

    async with serving(Starlette(routes=[Route("/events", slow, methods=["POST"])])) as address:
        visdom = ExternalVisdom(address)
        with pytest.raises(VisdomError, match=r"^Visdom did not answer /events within 0.1 seconds\.$"):
            await post_window(VisdomConnection(visdom), "main", "w", LINE)
        await visdom.stop()


async def test_the_environments_proxy_is_not_used(visdom: VisdomServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    other = ExternalVisdom(visdom.url)
    other.headers = visdom.headers
    await post_window(VisdomConnection(other), "main", "w", LINE)
    await other.stop()
