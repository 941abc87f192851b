"""What every response tells a browser, so that no other site can use it and nothing in it runs that is not the board's.

No other site may frame it, embed it, or guess its type; and a page uses only what comes from this board, unless the
response has a policy of its own: Visdom's page (app/visdom/proxy.py), /docs, and what scripts have logged.

It wraps everything: an error of the board itself and a refused websocket are responses as well.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
_STARTS = ("http.response.start", "websocket.http.response.start")
_NO_WEBSOCKET = {"loc": [], "msg": "There is no websocket for you at this address.", "type": "forbidden"}


class SecurityHeaders:
    """ASGI middleware that adds the headers to every response that has not its own.

    visdom_url: that of a Visdom which the page may have to frame at its own address
    """

    def __init__(self, app: ASGIApp, visdom_url: str | None = None) -> None:
        self._app = app
        policy = _POLICY
        if visdom_url:
            elsewhere = urlsplit(visdom_url)
            policy += f"; frame-src 'self' {elsewhere.scheme}://{elsewhere.netloc}"
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a websocket that is closed before it was accepted gets a 403 with a reason."""
        undecided = scope["type"] == "websocket" and "websocket.http.response" in scope.get("extensions", {})

        async def send_with_headers(message: Message) -> None:
            nonlocal undecided
            if message["type"] == "websocket.close" and undecided:
                for part in _refusal():
                    await send_with_headers(part)
                return
            if message["type"] in _STARTS:
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            undecided = undecided and not message["type"].startswith("websocket.")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _refusal() -> list[Message]:
    body = json.dumps({"detail": [_NO_WEBSOCKET]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return [
        {"type": "websocket.http.response.start", "status": 403, "headers": headers},
        {"type": "websocket.http.response.body", "body": body},
    ]
