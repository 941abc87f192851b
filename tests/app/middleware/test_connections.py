"""Connections that send too much, too slowly or nothing. They have a transport that keeps what is written, and are told
the time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.config import Config
from uvicorn.server import ServerState
from wsproto import ConnectionType, WSConnection, events

from app.middleware import connections
from app.middleware.connections import MAX_HEAD_BYTES, HttpConnection, fault_of_handshake

GET = b"GET / HTTP/1.1\r\nHost: board\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: board\r\nContent-Length: 10000\r\n\r\n"
HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: board\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


class FakeTransport(asyncio.Transport):
    """Keeps what is written; nothing comes by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.state = "open"

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.state = "closing" if self.state == "open" else self.state

    def abort(self) -> None:
        self.state = "aborted"
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.state != "open"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Served:
    """An app behind our protocols. Its responses wait for `going_on`."""

    def __init__(self) -> None:
        self.going_on = asyncio.Event()
        self.state = ServerState()
        self.asked = 0
        self.heard: list[str] = []
        app = Starlette(
            routes=[Route("/", self._respond, methods=["GET", "POST"]), WebSocketRoute("/socket", self._listen)]
        )
        self._config = Config(
            app,
            http=HttpConnection,
            ws=connections.WebSocketConnection,
            lifespan="off",
            log_config=None,
            ws_max_size=1000,
        )
        self._config.load()

    async def _respond(self, request: Request) -> Response:
        self.asked += 1
        if request.method == "POST":
            await request.body()
        await self.going_on.wait()
        return PlainTextResponse("done")

    async def _listen(self, websocket: WebSocket) -> None:
        await self.going_on.wait()
        await websocket.accept()
        async for text in websocket.iter_text():
            self.heard.append(text)

    def connect(self) -> FakeTransport:
        """A new connection."""
        transport = FakeTransport()
        transport.set_protocol(HttpConnection(self._config, self.state, {}))
        transport.protocol.connection_made(transport)
        return transport


async def settle() -> None:
    """Let the app do what it can."""
    for _ in range(20):
        await asyncio.sleep(0)


def send(transport: FakeTransport, data: bytes) -> None:
    transport.protocol.data_received(data)


def after(seconds: float, transport: FakeTransport) -> str:
    """The state of a connection when so much time has passed since what came last."""
    transport.protocol.check(asyncio.get_running_loop().time() + seconds)
    return transport.state


def refusal(transport: FakeTransport) -> tuple[int, str]:
    """Status and sentence of the last response."""
    head, _, body = transport.written[transport.written.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    (reason,) = json.loads(body)["detail"]
    assert set(reason) == {"loc", "msg", "type"}
    return int(head.split()[1]), reason["msg"]


def asynchronous(test: Callable[[Served], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that runs in an event loop."""

    async def run() -> None:
        await test(Served())

    def run_test() -> None:
        asyncio.run(run())

    return run_test


# --- HTTP -------------------------------------------------------------------------------------------------------------


@asynchronous
async def test_a_header_that_does_not_end_is_refused(served: Served) -> None:
    line = served.connect()
    send(line, b"GET / HTTP/1.1\r\nHost: board\r\nX-A: ")
    sent = 0
    while not line.is_closing():
        send(line, b"a" * 1000)
        sent += 1000
    assert sent <= MAX_HEAD_BYTES + 1000
    assert refusal(line) == (431, "The header is too large; send at most 64 KiB.")
    send(line, b"a" * 1000)  # as was under way already
    assert line.written.count(b"HTTP/1.1") == 1


@asynchronous
async def test_so_is_a_large_one_that_ends(served: Served) -> None:
    line = served.connect()
    send(line, GET[:-2] + b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(70)) + b"\r\n")
    await settle()
    assert refusal(line)[0] == 431
    assert served.asked == 0


@asynchronous
async def test_a_header_has_ten_seconds(served: Served) -> None:
    line = served.connect()
    send(line, GET[:-2])
    assert after(9, line) == "open"
    assert after(11, line) == "closing"
    assert refusal(line)[0] == 408


@asynchronous
async def test_who_sends_nothing_has_a_minute(served: Served) -> None:
    line = served.connect()
    assert after(59, line) == "open"
    assert after(61, line) == "closing"
    assert not line.written


@asynchronous
async def test_so_has_who_was_answered(served: Served) -> None:
    served.going_on.set()
    line = served.connect()
    send(line, GET)
    await settle()
    assert line.written.endswith(b"done")
    assert after(59, line) == "open"
    assert after(61, line) == "closing"


@asynchronous
async def test_a_body_comes_at_a_minimum_pace(served: Served) -> None:
    silent, slow = served.connect(), served.connect()
    send(silent, POST)
    send(slow, POST + b"1" * 5000)
    await settle()
    assert after(19, silent) == "open"
    assert after(21, silent) == "closing"
    assert refusal(silent)[0] == 408
    assert after(29, slow) == "open"
    assert after(31, slow) == "closing"


@asynchronous
async def test_a_response_may_take_any_time(served: Served) -> None:
    line = served.connect()
    send(line, POST + b"1" * 10_000)
    await settle()
    assert after(1e6, line) == "open"
    served.going_on.set()
    await settle()
    assert line.written.endswith(b"done")


@asynchronous
async def test_what_comes_after_the_response_is_not_taken_for_ever(served: Served) -> None:
    served.going_on.set()
    line = served.connect()
    send(line, POST.replace(b"POST / ", b"POST /nowhere "))
    await settle()
    assert line.written.startswith(b"HTTP/1.1 404")
    send(line, b"1" * 5000)
    assert after(9, line) == "open"
    assert after(11, line) == "closing"


@asynchronous
async def test_who_reads_nothing_is_cut_off(served: Served) -> None:
    line = served.connect()
    send(line, GET)
    await settle()
    line.protocol.pause_writing()
    assert after(59, line) == "open"
    line.protocol.resume_writing()
    assert after(61, line) == "open"
    line.protocol.pause_writing()
    assert after(61, line) == "aborted"


@asynchronous
async def test_so_is_who_does_not_let_it_close(served: Served) -> None:
    line = served.connect()
    assert after(61, line) == "closing"
    assert after(62, line) == "closing"
    assert after(73, line) == "aborted"


@asynchronous
async def test_few_requests_may_wait_for_another(served: Served) -> None:
    line = served.connect()
    send(line, GET * connections.MAX_PIPELINED)
    assert line.state == "open"
    send(line, GET * 100)
    assert line.state == "closing"
    assert len(line.protocol.pipeline) <= connections.MAX_PIPELINED


@asynchronous
async def test_what_is_no_http_is_told_so(served: Served) -> None:
    line = served.connect()
    send(line, b"\x16\x03\x01 hello\r\n\r\n")
    assert refusal(line) == (400, "This is no HTTP request that can be understood.")


def test_of_too_many_the_one_that_has_waited_for_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)

    async def run() -> None:
        served = Served()
        busy, first, second = (served.connect() for _ in range(3))
        send(busy, GET)
        await settle()
        third = served.connect()
        assert [line.state for line in (busy, first, second, third)] == ["open", "aborted", "open", "open"]

    asyncio.run(run())


# --- websockets -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        b"Sec-WebSocket-Protocol: a, \xff",
        b"Sec-WebSocket-Protocol: ,,,",
        b"Sec-WebSocket-Protocol: a b",
        b"Sec-WebSocket-Extensions: \xff",
        b"Origin: http://\xc3\xa9",
        b"Host: xn--99999999999",
        b"Sec-WebSocket-Version: 12",
    ],
)
def test_a_handshake_that_cannot_be_read_leaves_nothing_behind(header: bytes) -> None:
    name = header.partition(b":")[0]
    others = b"".join(line for line in HANDSHAKE.splitlines(keepends=True) if not line.startswith(name))

    async def run() -> None:
        served = Served()
        line = served.connect()
        send(line, others + header + b"\r\n\r\n")
        await settle()
        assert line.written.startswith(b"HTTP/1.1 4")
        assert line.is_closing()
        line.protocol.connection_lost(None)
        assert not served.state.connections

    asyncio.run(run())


def test_a_cookie_may_be_of_any_bytes() -> None:
    assert fault_of_handshake([(b"cookie", b"a=\xff"), (b"sec-websocket-protocol", b"a, b")]) is None


@asynchronous
async def test_a_message_is_refused_by_its_size(served: Served) -> None:
    line, peer = await websocket(served)
    send(line, peer.send(events.TextMessage("a" * 1000)))
    await settle()
    assert served.heard == ["a" * 1000]
    send(line, peer.send(events.TextMessage("a" * 10_000_000))[:2000])  # the rest need not have come
    assert line.is_closing()
    assert closing_code(line, peer) == 1009


@asynchronous
async def test_pings_of_who_does_not_read_are_not_answered(served: Served) -> None:
    line, peer = await websocket(served)
    before = len(line.written)
    send(line, peer.send(events.Ping(b"1")))
    answered = len(line.written)
    assert answered > before
    line.protocol.pause_writing()
    send(line, peer.send(events.Ping(b"2")) * 1000)
    assert len(line.written) == answered
    assert after(61, line) == "aborted"


@asynchronous
async def test_nothing_is_kept_of_who_is_not_let_in_yet(served: Served) -> None:
    line = served.connect()
    send(line, HANDSHAKE + b"\r\n")
    await settle()
    assert line.state == "open"
    for _ in range(3):
        send(line, b"a" * MAX_HEAD_BYTES)
    assert line.state == "aborted"


def test_so_many_websockets_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_WEBSOCKETS", 2)

    async def run() -> None:
        served = Served()
        await websocket(served)
        await websocket(served)
        line = served.connect()
        send(line, HANDSHAKE + b"\r\n")
        status, sentence = refusal(line)
        assert (status, sentence[:7]) == (503, "2 pages")

    asyncio.run(run())


async def websocket(served: Served) -> tuple[FakeTransport, WSConnection]:
    """An open websocket, and the state of its other end."""
    served.going_on.set()
    line = served.connect()
    peer = WSConnection(ConnectionType.CLIENT)
    send(line, peer.send(events.Request(host="board", target="/socket")))
    await settle()
    peer.receive_data(line.written)
    assert isinstance(next(peer.events()), events.AcceptConnection)
    line.written = b""
    return line, peer


def closing_code(line: FakeTransport, peer: WSConnection) -> int:
    """The code with which a websocket was closed."""
    peer.receive_data(line.written)
    (closing,) = [event for event in peer.events() if isinstance(event, events.CloseConnection)]
    return closing.code
