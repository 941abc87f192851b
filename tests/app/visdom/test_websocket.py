"""What passes between a page and Visdom: seen from a stand-in that does what Visdom never does, and tells what came."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from httpx2.websockets import WebSocketDisconnect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.visdom.connection import AnyVisdom
from app.visdom.proxy import visdom_routes
from app.visdom.supervisor import ExternalVisdom
from app.visdom.websocket import Outbox
from tests.app.visdom.conftest import eventually, serving, socket_of
from tests.harness.boards import PATIENCE

pytestmark = pytest.mark.anyio


# Every command that Visdom's page knows, and what is none.
COMMANDS = [
    {"cmd": "close", "data": "loss", "eid": "lossboard"},
    {"cmd": "undo", "eid": "lossboard"},
    {"cmd": "delete_env", "prev_eid": "main", "eid": "lossboard"},
    {"cmd": "save", "data": {}, "prev_eid": "lossboard", "eid": "copy"},
    {"cmd": "save_all"},
    {"cmd": "save_layouts", "data": "{}"},
    {"cmd": "layout_item_update", "eid": "lossboard", "win": "loss", "data": {"i": "loss", "h": 1, "w": 1}},
    {"cmd": "update_plot_layout", "eid": "lossboard", "win": "loss", "data": {"shapes": []}},
    {"cmd": "update_comment", "eid": "lossboard", "win": "loss", "data": "seen"},
    {"cmd": "pop_embeddings_pane", "data": {"target": "loss", "eid": "lossboard"}},
    {"cmd": "forward_to_vis", "data": {"target": "loss", "eid": "lossboard", "event_type": "KeyPress", "key": "b"}},
    {"cmd": "echo"},
    {},
]


class StandIn:
    """A websocket that sends the texts it is given, closes with a code if it has one, and remembers what came."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.texts: list[str] = []
        self.close_code: int | None = None
        self.received: list[str] = []
        self.closed_with: int | None = None
        self.app = Starlette(
            routes=[
                Route("/visdom/health", lambda _: PlainTextResponse("")),
                Route("/visdom/static/file", self.file),
                WebSocketRoute("/visdom/socket", self.socket),
            ]
        )

    async def file(self, request: Request) -> Response:
        self.headers = dict(request.headers)
        return PlainTextResponse("", headers={"Set-Cookie": "a=b", "Connection": "close", "X-Inner": "1"})

    async def socket(self, websocket: WebSocket) -> None:
        self.headers = dict(websocket.headers)
        await websocket.accept("second" if "second" in websocket.scope["subprotocols"] else None)
        for text in self.texts:
            await websocket.send_text(text)
        if self.close_code is not None:
            await websocket.close(self.close_code, "as told")
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            self.received.append(message["text"])
        self.closed_with = message["code"]


@pytest.fixture
async def stand_in() -> AsyncIterator[tuple[StandIn, httpx2.AsyncClient]]:
    stand_in = StandIn()
    async with serving(stand_in.app) as inner:
        visdom: AnyVisdom = ExternalVisdom(inner + "/visdom")
        visdom.headers = {"X-Lossboard-Key": "the secret"}
        await visdom.start()
        assert await visdom.wait_until_up(PATIENCE)
        async with (
            serving(Starlette(routes=visdom_routes(visdom))) as outer,
            httpx2.AsyncClient(base_url=outer, timeout=PATIENCE, trust_env=False) as browser,
        ):
            yield stand_in, browser
        await visdom.stop()


async def test_texts_pass_to_the_page(stand_in: tuple[StandIn, httpx2.AsyncClient]) -> None:
    stand_in[0].texts = ["", "a", "Ünïcode ✓", "x" * 5_000_000, ""]
    async with socket_of(stand_in[1], subprotocols=["first", "second"]) as page:
        assert page.subprotocol == "second"
        for text in stand_in[0].texts:
            assert await page.receive_text(timeout=PATIENCE) == text


async def test_nothing_that_a_page_sends_reaches_visdom(stand_in: tuple[StandIn, httpx2.AsyncClient]) -> None:
    inner, browser = stand_in
    inner.texts = ["connected"]
    async with socket_of(browser) as page:
        assert await page.receive_text(timeout=PATIENCE) == "connected"
        for command in COMMANDS:
            await page.send_json(command)
        for text in ("", "no JSON", "[" * 50_000, "x" * 1_000_000):
            await page.send_text(text)
        await page.send_bytes(b"\xff")
        await page.close(4002)
        await eventually(lambda: inner.closed_with == 4002)  # what was sent before that would have come before it
    assert inner.received == []


async def test_close_codes_pass_both_ways(stand_in: tuple[StandIn, httpx2.AsyncClient]) -> None:
    stand_in[0].close_code = 4001
    async with socket_of(stand_in[1]) as page:
        with pytest.raises(WebSocketDisconnect) as closed:
            await page.receive(timeout=PATIENCE)
        assert (closed.value.code, closed.value.reason) == (4001, "as told")
    stand_in[0].close_code, stand_in[0].closed_with, stand_in[0].texts = None, None, ["hello"]
    async with socket_of(stand_in[1]) as page:
        await page.receive_text(timeout=PATIENCE)
        await page.close(4002)
        await eventually(lambda: stand_in[0].closed_with == 4002)


async def test_headers_that_pass(stand_in: tuple[StandIn, httpx2.AsyncClient]) -> None:
    inner, browser = stand_in
    sent = {"X-Lossboard-Key": "a guess", "Cookie": "login=1", "Authorization": "Basic eDp5", "TE": "trailers"}
    for _ in range(2):  # what the first answer sets must not come back
        answer = await browser.get("/visdom/static/file", headers=sent)
    assert inner.headers["host"] == browser.base_url.netloc.decode()
    assert inner.headers["x-lossboard-key"] == "the secret"
    assert not {"cookie", "authorization", "te"} & inner.headers.keys()
    assert not {"set-cookie", "x-inner"} & answer.headers.keys()
    async with socket_of(browser, headers={**sent, "Origin": "http://here"}):
        await eventually(lambda: inner.headers.get("origin") == "http://here")
        assert inner.headers["host"] == browser.base_url.netloc.decode()
        assert inner.headers["x-lossboard-key"] == "the secret"
        assert "cookie" not in inner.headers


async def test_a_header_in_no_ascii_does_not_pass(stand_in: tuple[StandIn, httpx2.AsyncClient]) -> None:
    inner, browser = stand_in
    answer = await browser.get(
        "/visdom/static/file", headers=[(b"Accept", "Ä".encode("latin-1")), (b"Range", b"bytes=0-")]
    )
    assert answer.status_code == 200
    assert inner.headers["range"] == "bytes=0-"
    assert "Ä" not in inner.headers.get("accept", "")


# --- the outbox


def window(name: str, n: int) -> dict[str, Any]:
    return {"type": "websocket.send", "text": json.dumps({"command": "window", "version": 1, "id": name, "n": n})}


async def test_a_slow_browser_skips_pictures() -> None:
    outbox = Outbox()
    for n in range(100):
        outbox.put(window("loss", n))
        outbox.put(window("path", n))
    assert [await outbox.get() for _ in range(2)] == [window("loss", 99), window("path", 99)]
    outbox.put(window("loss", 100))
    outbox.put(window("path", 100))
    assert await outbox.get() == window("loss", 100)
    outbox.put(window("loss", 101))
    assert [await outbox.get() for _ in range(2)] == [window("path", 100), window("loss", 101)]


async def test_what_is_no_picture_is_neither_skipped_nor_overtaken() -> None:
    outbox = Outbox()
    close = {"type": "websocket.send", "text": '{"command": "close", "data": "loss"}'}
    for message in (window("loss", 1), close, close, window("loss", 2), window("loss", 3)):
        outbox.put(message)
    assert [await outbox.get() for _ in range(3)] == [close, close, window("loss", 3)]
