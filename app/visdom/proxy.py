"""Visdom under our own address: its page, its files and its websocket, and nothing that writes.

Only what the page needs to show windows passes. What writes (/events, /update, /save …) is the publisher's alone,
and goes to Visdom directly. Not closed: the commands a page sends over its websocket (close, delete_env, save).
"""

import asyncio
import html
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress

import httpx2
from httpx2.websockets import (
    AsyncWebSocketSession,
    HTTPXWSException,
    WebSocketDisconnect,
    WebSocketUpgradeError,
)
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket
from wsproto.utilities import LocalProtocolError

from app.visdom.connection import BASE_PATH, AnyVisdom

# What passes is named, so hop-by-hop headers, cookies and a key from outside do not.
# Host goes along with Origin: Visdom's websocket refuses an Origin that differs from the Host.
ASKED = ("host", "origin", "accept", "accept-encoding", "if-none-match", "if-modified-since", "range")
ANSWERED = ("content-type", "content-length", "content-encoding", "content-range", "etag", "last-modified")

# The page runs inline scripts and shows HTML that comes with windows: let none of it reach another machine.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
ONE_YEAR = "public, max-age=31536000, immutable"

MAX_QUESTION = 65536  # bytes; the page asks for an env with an id and a flag
MAX_MESSAGE = 2**30  # bytes; Visdom sets its windows no limit
PATIENCE = 15.0  # seconds a browser's websocket is held while its Visdom is replaced
TRY_AGAIN_LATER = 1013  # a websocket's close code

PAGE_ADDRESS = re.compile(rf"https?://[^/]+({BASE_PATH}/(?:env|compare)/[^#]+)")
WINDOW = re.compile(r'\{"command": "window", "version": \d+, "id": ("(?:[^"\\]|\\.)*")')


def visdom_routes(visdom: AnyVisdom) -> list[BaseRoute]:
    """Routes that show this Visdom under /visdom, for `app.router.routes.extend(…)`.

    A Visdom elsewhere that lives under another path cannot be shown here; browsers are sent to it instead.
    """
    every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    proxy = Proxy(visdom)
    closed: list[BaseRoute] = [
        Route(BASE_PATH + "/{rest:path}", refuse, methods=every, include_in_schema=False),
        WebSocketRoute(BASE_PATH + "/{rest:path}", refuse_websocket),
    ]
    if not visdom.proxied:
        paths = ("", "/{rest:path}")
        return [Route(BASE_PATH + path, proxy.elsewhere, include_in_schema=False) for path in paths] + closed
    pages = ("", "/", "/env/{name}", "/compare/{names}")
    files = ("/static/{path:path}", "/user/style.css", "/health")
    return [
        *(Route(BASE_PATH + path, proxy.page, include_in_schema=False) for path in pages),
        *(Route(BASE_PATH + path, proxy.ask, methods=["POST"], include_in_schema=False) for path in pages[2:]),
        *(Route(BASE_PATH + path, proxy.file, include_in_schema=False) for path in files),
        Route(BASE_PATH + "/error/{code}", go_back, include_in_schema=False),
        WebSocketRoute(BASE_PATH + "/socket", proxy.websocket),
        *closed,
    ]


class Proxy:
    """Passes on what browsers ask of one Visdom."""

    def __init__(self, visdom: AnyVisdom) -> None:
        self._visdom = visdom

    async def page(self, request: Request) -> Response:
        """The document that shows an env; while there is none, one that tries again."""
        answer = await self._send(request)
        if answer is None:
            return waiting_page(self._reason(), 503)
        if answer.status_code == httpx2.codes.NOT_FOUND:  # an env exists from its first window on
            await answer.aclose()
            return waiting_page("Nothing has been drawn here yet.", 404)
        return _pass_on(answer, {"Cache-Control": "no-store", "Content-Security-Policy": POLICY})

    async def file(self, request: Request) -> Response:
        """A script, style sheet or font; those whose address holds their version never change."""
        answer = await self._send(request)
        if answer is None:
            return _refusal(503, self._reason())
        lasting = "v" in request.query_params and answer.status_code == httpx2.codes.OK
        return _pass_on(answer, {"Cache-Control": ONE_YEAR if lasting else "no-cache"})

    async def ask(self, request: Request) -> Response:
        """The page asks Visdom to send an env's windows over the websocket it names."""
        question = await _question(request)
        if question is None:
            return _refusal(400, 'Send a JSON object {"sid": "…"} with the id of a websocket session.')
        answer = await self._send(request, question)
        if answer is None:
            return _refusal(503, self._reason())
        return _pass_on(answer, {"Cache-Control": "no-store"})

    async def elsewhere(self, request: Request) -> Response:
        """Send the browser to a Visdom that cannot be shown here."""
        target = _target(request).decode().removeprefix(BASE_PATH)
        return RedirectResponse(self._visdom.url + target)

    async def websocket(self, browser: WebSocket) -> None:
        """Visdom's websocket, relayed until either side closes it."""
        await Relay(self._visdom, browser).run()

    async def _send(self, request: Request, body: bytes | None = None) -> httpx2.Response | None:
        """Visdom's answer, its body yet to be read; None if there is no Visdom."""
        if self._visdom.state != "up":
            return None
        client = self._visdom.client
        passed = client.build_request(
            "GET" if body is None else "POST",
            self._visdom.url,
            content=body,
            headers=_headers(request, self._visdom),
            extensions={"target": _target(request)},  # a URL would have its dots and escapes tidied
        )
        try:
            return await client.send(passed, stream=True)
        except httpx2.HTTPError:
            return None

    def _reason(self) -> str:
        return self._visdom.error or "Visdom is starting…"


class Relay:
    """One browser's websocket, with one of Visdom's behind it.

    When Visdom dies the browser's stays open, and Visdom's next one takes the place behind it: it introduces
    itself, upon which the page asks for its env again. Left alone, Visdom's page would stay offline.
    """

    def __init__(self, visdom: AnyVisdom, browser: WebSocket) -> None:
        self._visdom = visdom
        self._browser = browser
        self._session: AsyncWebSocketSession | None = None
        self._outbox = Outbox()

    async def run(self) -> None:
        """Relay until either side closes."""
        reader = asyncio.create_task(self._from_browser())
        writer = asyncio.create_task(self._to_browser())
        source = asyncio.create_task(self._from_visdom())
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer, source):
                task.cancel()
            await asyncio.gather(reader, writer, source, return_exceptions=True)

    async def _from_browser(self) -> None:
        await self._browser.receive()  # that it wants to connect
        while (message := await self._browser.receive())["type"] != "websocket.disconnect":
            if self._session is not None:  # else Visdom is being replaced, and what it was told is gone
                with suppress(HTTPXWSException, LocalProtocolError):  # lost just now
                    await self._session.send_text(message.get("text") or "")
        if self._session is not None:
            await self._session.close(_sendable(message["code"]))

    async def _to_browser(self) -> None:
        while True:
            message = await self._outbox.get()
            await self._browser.send(message)
            if message["type"] == "websocket.close":
                return

    async def _from_visdom(self) -> None:
        """Fill the outbox: an accept, texts, at last a close. One without an accept is a refusal."""
        accepted = False
        deadline = time.monotonic()
        while self._visdom.state == "up" or accepted:
            try:
                async with self._connect() as session:
                    if not accepted:
                        self._outbox.put({"type": "websocket.accept", "subprotocol": session.subprotocol})
                        accepted = True
                    closing = await self._read(session)
                    deadline = time.monotonic() + PATIENCE
            except WebSocketUpgradeError:
                self._outbox.put(_closing(1008, "Visdom refuses it."))
                return
            except (httpx2.HTTPError, ExceptionGroup):
                closing = None
            if closing is not None:
                self._outbox.put(closing)
                return
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(0.1)  # its death may not be known yet
            await self._visdom.wait_until_up(deadline - time.monotonic())
        if not accepted:
            self._outbox.put({"type": "websocket.accept"})  # or the browser would not see the close code
        self._outbox.put(_closing(TRY_AGAIN_LATER, "Visdom is starting."))

    def _connect(self) -> AbstractAsyncContextManager[AsyncWebSocketSession]:
        return self._visdom.client.websocket(
            self._visdom.url.replace("http", "ws", 1) + "/socket",
            headers=_headers(self._browser, self._visdom),
            subprotocols=self._browser.scope["subprotocols"] or None,
            max_message_size_bytes=MAX_MESSAGE,
        )

    async def _read(self, session: AsyncWebSocketSession) -> Message | None:
        """Visdom's texts until it closes: the close for the browser, None if the connection was lost."""
        self._session = session
        try:
            while True:
                self._outbox.put({"type": "websocket.send", "text": await session.receive_text()})
        except WebSocketDisconnect as closed:
            return _closing(_sendable(closed.code), closed.reason)
        except HTTPXWSException:
            return None
        finally:
            self._session = None


class Outbox:
    """What waits to be sent to one browser; a window that still waits is replaced by its successor.

    So a slow browser skips pictures, instead of falling behind and filling the memory with them.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Message] = {}
        self._replaceable: set[object] = set()
        self._filled = asyncio.Event()

    def put(self, message: Message) -> None:
        """Add it; a window takes the place of the waiting one, unless something else has come in since."""
        window = WINDOW.match(message.get("text", ""))
        if window:
            key: object = window[1]
            if key not in self._replaceable:
                self._waiting.pop(key, None)
                self._replaceable.add(key)
        else:
            key = object()
            self._replaceable.clear()
        self._waiting[key] = message
        self._filled.set()

    async def get(self) -> Message:
        """The message that has waited longest, as soon as there is one."""
        await self._filled.wait()
        message = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._filled.clear()
        return message


async def refuse(request: Request) -> Response:
    """Answer what this address is not for."""
    return _refusal(403, f"{request.method} {request.url.path} is not open: {BASE_PATH} only shows windows.")


async def refuse_websocket(browser: WebSocket) -> None:
    """Refuse what this address is not for; the browser sees a 403."""
    await browser.close()


async def go_back(request: Request) -> Response:
    """Where Visdom's page sends itself when a request of its fails: back to the env it came from."""
    came_from = PAGE_ADDRESS.match(request.headers.get("referer", ""))
    return waiting_page("Visdom did not answer.", 503, back=came_from[1] if came_from else BASE_PATH + "/")


def waiting_page(sentence: str, status: int, back: str = "") -> HTMLResponse:
    """A page that shows a sentence and loads itself, or the page to go back to, once a second."""
    refresh = html.escape(f"1; url={back}" if back else "1")
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="light dark">
<meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="{refresh}">
<title>Visdom</title>
<style>body {{ font: 1rem system-ui, sans-serif; margin: 20vh auto; max-width: 40rem; text-align: center }}</style>
</head>
<body><p role="status">{html.escape(sentence)}</p></body>
</html>
"""
    return HTMLResponse(page, status, {"Cache-Control": "no-store", "Retry-After": "1"})


async def _question(request: Request) -> bytes | None:
    """What the page asks an env with, and no more of it; None for what is no such question."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_QUESTION:
            return None
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(asked, dict) or not isinstance(asked.get("sid"), str | None):
        return None
    return json.dumps({"sid": asked.get("sid"), "show_all": asked.get("show_all") is True}).encode()


def _headers(connection: HTTPConnection, visdom: AnyVisdom) -> dict[str, str]:
    asked = {name: connection.headers[name] for name in ASKED if name in connection.headers}
    return {**asked, **visdom.headers}


def _target(request: Request) -> bytes:
    """The path and query as they came, not decoded."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


def _pass_on(answer: httpx2.Response, headers: Mapping[str, str]) -> Response:
    answered = {name: answer.headers[name] for name in ANSWERED if name in answer.headers}
    return StreamingResponse(_body(answer), answer.status_code, {**answered, **headers})


async def _body(answer: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status, {"Cache-Control": "no-store"})


def _closing(code: int, reason: str) -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


def _sendable(code: int) -> int:
    """A code that may be sent: some only stand for a close that had none."""
    return 1000 if code in {1005, 1006, 1015} else code
