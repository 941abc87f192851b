"""Visdom under our own address: its page, its files and its websocket, and nothing that writes.

Only what the page needs to show windows passes. What writes (/events, /update, /save …) is the publisher's alone,
and goes to Visdom directly. Not closed: the commands a page sends over its websocket (close, delete_env, save).
"""

import html
import json
import re
from collections.abc import AsyncIterator, Mapping

import httpx2
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from app.visdom.connection import BASE_PATH, AnyVisdom
from app.visdom.websocket import Relay, passed_headers

# What passes is named, so hop-by-hop headers and cookies do not.
ANSWERED = ("content-type", "content-length", "content-encoding", "content-range", "etag", "last-modified")

# The page runs inline scripts and shows HTML that comes with windows: let none of it reach another machine.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
ONE_YEAR = "public, max-age=31536000, immutable"

MAX_QUESTION = 65536  # bytes; the page asks for an env with an id and a flag

PAGE_ADDRESS = re.compile(rf"https?://[^/]+({BASE_PATH}/(?:env|compare)/[^#]+)")


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
    icons = ("/favicon.png", "/env/favicon.png", "/compare/favicon.png")  # beside whichever page asks for one
    return [
        *(Route(BASE_PATH + path, icon, include_in_schema=False) for path in icons),
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
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:  # a name that no file system takes
            await answer.aclose()
            return _refusal(404, "Visdom has no such file.")
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
            headers=passed_headers(request, self._visdom),
            extensions={"target": _target(request)},  # a URL would have its dots and escapes tidied
        )
        try:
            return await client.send(passed, stream=True)
        except httpx2.HTTPError:
            return None

    def _reason(self) -> str:
        return self._visdom.error or "Visdom is starting…"


async def refuse(request: Request) -> Response:
    """Answer what this address is not for."""
    return _refusal(403, f"{request.method} {request.url.path} is not open: {BASE_PATH} only shows windows.")


async def refuse_websocket(browser: WebSocket) -> None:
    """Refuse what this address is not for; the browser sees a 403."""
    await browser.close()


async def icon(_: Request) -> Response:
    """Visdom names an icon that it does not have: the board's stands for it."""
    return RedirectResponse("/favicon.svg")


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
