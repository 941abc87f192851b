"""The connections of the web server: how much each may send before it is understood, and how long it may take.

uvicorn gives a request any time and its header any length, and a peer that reads nothing keeps what waits for it. These
are its two protocols with bounds; `check` of each is called once a second. What takes long on our side has no bound: a
response that is being made (an event stream, a wait for control) or a websocket, whose peers answer pings.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.events import Ping

MAX_HEAD_BYTES = 64 << 10  # first line and header
MAX_MESSAGE_BYTES = 4 << 20  # of a websocket: those of a page that looks at windows are far smaller
MAX_PIPELINED = 16  # requests of one connection that wait for the response to another
MAX_CONNECTIONS = 2000
MAX_WEBSOCKETS = 200

HEAD_S = 10.0  # from a header's first byte to its last
IDLE_S = 60.0  # until the first request, or the next
BODY_S = 20.0  # for a body, and more for its size:
BODY_BYTES_PER_S = 500
UNREAD_BODY_S = 10.0  # for what still comes of a body after the response
STALLED_S = 60.0  # while the peer reads nothing of what it is sent
CLOSING_S = 10.0  # to read the rest before the connection is cut

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LARGE_HEAD = f"The header is too large; send at most {MAX_HEAD_BYTES >> 10} KiB."
_SLOW_HEAD = "The header of the request took too long; send it again, sooner."
_SLOW_BODY = "The body of the request took too long; send it again, sooner."
_NO_HTTP = "This is no HTTP request that can be understood."
_PIPELINED = f"At most {MAX_PIPELINED} requests of one connection may wait; read the responses first."


class Connection(asyncio.Protocol):
    """What both kinds have in common. Times are those of the event loop, in seconds."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _stalled_at: float | None = None
    _closing_at: float | None = None

    def pause_writing(self) -> None:
        """The peer does not read what it is sent."""
        self._stalled_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        self._stalled_at = None
        super().resume_writing()

    def check(self, now: float) -> None:
        """Cut it if its peer has read nothing for too long, or does not let it close."""
        if self.transport.is_closing():
            self._closing_at = now if self._closing_at is None else self._closing_at
            if now - self._closing_at > CLOSING_S:
                self.transport.abort()
        elif self._stalled_at is not None and now - self._stalled_at > STALLED_S:
            self.transport.abort()


class HttpConnection(Connection, HttpToolsProtocol):
    """A connection that speaks HTTP, as uvicorn's but bounded."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As uvicorn's; where there are too many, the one that has waited for a request for longest gives way."""
        super().connection_made(transport)
        self._since = self.loop.time()  # of what `_limit` bounds
        self._in_head = False
        self._head_bytes = self._body_bytes = 0
        self._fault = (HTTPStatus.BAD_REQUEST, _NO_HTTP)
        if len(self.connections) > MAX_CONNECTIONS:
            others = [other for other in self.connections if isinstance(other, HttpConnection) and other._is_waiting]
            min(others, key=lambda other: other._since).transport.abort()

    @property
    def _is_waiting(self) -> bool:
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def check(self, now: float) -> None:
        """Close it if it has taken too long."""
        super().check(now)
        seconds, sentence = self._limit()
        if now - self._since <= seconds or self.transport.is_closing():
            return
        if sentence:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, sentence)
        else:
            self.transport.close()

    def _limit(self) -> tuple[float, str]:
        """How many seconds it may take from `_since` on to come further, and what is said of it that it has not."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self.flow.read_paused or not cycle.more_body:  # it waits for us
                return math.inf, ""
            return BODY_S + self._body_bytes / BODY_BYTES_PER_S, _SLOW_BODY
        if self._in_head:
            return HEAD_S, _SLOW_HEAD
        return UNREAD_BODY_S if cycle is not None and cycle.more_body else IDLE_S, ""

    # --- what comes

    def data_received(self, data: bytes) -> None:
        """As uvicorn's; a header that does not end is refused."""
        if self.transport.is_closing():  # what came before the refusal was sent
            return
        was_in_head = self._in_head
        super().data_received(data)
        if was_in_head and self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)  # not told of by on_header, which gets a header when it is whole
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes, self._body_bytes = True, 0, 0
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """A piece of its address."""
        self._head_bytes += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of its header."""
        self._head_bytes += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The header is whole."""
        self._in_head = False
        self._since = self.loop.time()
        if self._head_bytes > MAX_HEAD_BYTES:
            self._fault = (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD)
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._fault = (HTTPStatus.TOO_MANY_REQUESTS, _PIPELINED)
        else:
            super().on_headers_complete()
            return
        raise ValueError(self._fault)  # which makes the parser stop, and uvicorn send a refusal

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The response was made, to which the next request may follow."""
        self._since = self.loop.time()
        super().on_response_complete()

    # --- what goes

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  (uvicorn's words)
        """As uvicorn's, in the shape of every other refusal."""
        self._refuse(*self._fault)

    def handle_websocket_upgrade(self) -> None:
        """As uvicorn's, for a handshake that can be answered."""
        if fault := fault_of_handshake(self.headers):
            self._refuse(HTTPStatus.BAD_REQUEST, fault)
        elif sum(isinstance(other, WebSocketConnection) for other in self.connections) >= MAX_WEBSOCKETS:
            sentence = f"{MAX_WEBSOCKETS} pages have their windows open, as many as may; close some of them."
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, sentence)
        else:
            super().handle_websocket_upgrade()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Respond without the app, and close; only close in the middle of a response, or of several."""
        if self.cycle is None or self.cycle.response_complete or not (self.cycle.response_started or self.pipeline):
            self.transport.write(_refusal(status, sentence))
        self.transport.close()


class WebSocketConnection(Connection, WSProtocol):
    """A connection that speaks WebSocket, as uvicorn's but bounded."""

    _bytes_before_accept = 0

    def data_received(self, data: bytes) -> None:
        """As uvicorn's; a peer that sends much before it is let in is cut off."""
        if not self.handshake_complete:
            self._bytes_before_accept += len(data)
            if self._bytes_before_accept > 2 * MAX_HEAD_BYTES:
                self.transport.abort()
                return
        try:
            super().data_received(data)
        except UnicodeError:  # as of a Host that is no name
            self.transport.write(_refusal(HTTPStatus.BAD_REQUEST, "The header cannot be read; send a websocket's."))
            self.transport.close()

    def handle_ping(self, event: Ping) -> None:
        """As uvicorn's; a peer that does not read gets no answers, which would be kept for it."""
        if self.writable.is_set():
            super().handle_ping(event)


def fault_of_handshake(headers: list[tuple[bytes, bytes]]) -> str | None:
    """What is wrong with the header of a websocket's handshake, in a sentence; None if uvicorn can read it."""
    for name, value in headers:
        shown = name.decode("latin-1")[:100]
        if name != b"cookie" and not value.isascii():  # cookies come from other servers of this machine too
            return f"The header {shown} has characters beyond ASCII; send none."
        if name == b"sec-websocket-protocol" and not all(_TOKEN.fullmatch(one.strip()) for one in value.split(b",")):
            return f"The header {shown} is to be a list of names with commas between."
    return None


def _refusal(status: HTTPStatus, sentence: str) -> bytes:
    detail: list[dict[str, Any]] = [{"loc": [], "msg": sentence, "type": status.name.lower()}]
    body = json.dumps({"detail": detail}).encode()
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
        "connection: close",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
