"""One line of log for each request, on demand: what was asked, how it was answered, by whom, and how long it took.

The line has an id that the response carries too, in X-Request-Id. It has no query, no header and no body: those may
hold tokens and people's data.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("lossboard.requests")

_STARTS = ("http.response.start", "websocket.http.response.start")
_MAX_PATH = 200  # characters of a line


class RequestLog:
    """ASGI middleware that writes the lines; what has no end of its own, as a websocket, has its line at its end."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        log.setLevel(logging.INFO)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and log it once it is answered."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id, status, began = secrets.token_hex(6), 0, self._clock()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _STARTS:
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            method = scope.get("method", "WEBSOCKET")
            path = ascii(scope["path"])[1:-1][:_MAX_PATH]  # no control character, which could begin a line of its own
            host = (scope.get("client") or ("unix", 0))[0]
            taken_ms = 1000 * (self._clock() - began)
            log.info("%s %s %s %s %s %.1f ms", request_id, host, method, path, status or "-", taken_ms)
