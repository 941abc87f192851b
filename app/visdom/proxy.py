"""Visdom under the board's address: its page, its files and its websocket, and nothing that writes.

Only what the page needs to show windows is forwarded. What writes (/events, /update, /save …) is for the publisher,
which connects to Visdom directly, and no command that a page sends over its websocket reaches Visdom (websocket.py).
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

from app import assets
from app.addresses import root_from
from app.visdom.connection import AnyVisdom
from app.visdom.constants import BASE_PATH
from app.visdom.websocket import WebSocketRelay, forwarded_headers

# A list of what is forwarded: hop-by-hop headers and cookies are not.
FORWARDED_RESPONSE_HEADERS = (
    "content-type",
    "content-length",
    "content-encoding",
    "content-range",
    "etag",
    "last-modified",
)

# The page sets styles and shows HTML that comes with windows: none of it may run a script or reach another machine.
PAGE_POLICY = (
    "default-src 'self' data: blob:; script-src {scripts}; style-src 'self' 'unsafe-inline';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
)
WAITING_POLICY = "default-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'"
CACHED_FOR_A_YEAR = "public, max-age=31536000, immutable"

FIRST_SCRIPT = '<script src="{}gathered_windows.js"></script>'  # runs before Visdom's own
LAST_SCRIPT = '<script src="{}plot_guard.js"></script>'  # and this one after them

MAX_ENV_REQUEST_BYTES = 65536  # it holds an id and a flag
MAX_COMPARED = 20  # envs in one page: Visdom copies the windows of each

PAGE_ADDRESS = re.compile(rf"https?://[^/]+(.*{BASE_PATH}/(?:env|compare)/[^#]+)")


def visdom_routes(visdom: AnyVisdom) -> list[BaseRoute]:
    """Routes that show this Visdom under /visdom, for `app.router.routes.extend(…)`.

    An external Visdom under another path cannot be shown here; browsers are redirected to it instead.
    """
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    proxy = Proxy(visdom)
    refused: list[BaseRoute] = [
        Route(BASE_PATH + "/{rest:path}", refuse, methods=methods, include_in_schema=False),
        WebSocketRoute(BASE_PATH + "/{rest:path}", refuse_websocket),
    ]
    if not visdom.proxied:
        paths = ("", "/{rest:path}")
        return [Route(BASE_PATH + path, proxy.redirect, include_in_schema=False) for path in paths] + refused
    pages = ("", "/", "/env/{name}", "/compare/{names}")
    files = ("/static/{path:path}", "/user/style.css", "/health")
    icons = ("/favicon.png", "/env/favicon.png", "/compare/favicon.png")  # beside whichever page asks for one
    return [
        *(Route(BASE_PATH + path, icon, include_in_schema=False) for path in icons),
        *(Route(BASE_PATH + path, proxy.page, include_in_schema=False) for path in pages),
        *(Route(BASE_PATH + path, proxy.request_env, methods=["POST"], include_in_schema=False) for path in pages[2:]),
        *(Route(BASE_PATH + path, proxy.file, include_in_schema=False) for path in files),
        Route(BASE_PATH + "/error/{code}", go_back, include_in_schema=False),
        WebSocketRoute(BASE_PATH + "/socket", proxy.websocket),
        *refused,
    ]


class Proxy:
    """Forwards the requests of browsers to one Visdom."""

    def __init__(self, visdom: AnyVisdom) -> None:
        self._visdom = visdom

    async def page(self, request: Request) -> Response:
        """The document that shows an env; while there is none, a page that reloads itself."""
        if refusal := _too_many_envs(request):
            return refusal
        response = await self._send(request)
        if response is None:
            return waiting_page(self._reason(), 503)
        if response.status_code == httpx2.codes.NOT_FOUND:  # an env exists from its first window on
            await response.aclose()
            return waiting_page("Nothing has been drawn here yet.", 404)
        page = await response.aread()
        await response.aclose()
        return Response(
            _completed(page, root_from(request.scope)),
            response.status_code,
            {
                "Cache-Control": "no-store",
                "Content-Security-Policy": PAGE_POLICY.format(scripts=assets.script_sources(page)),
            },
            response.headers["content-type"],
        )

    async def file(self, request: Request) -> Response:
        """A script, style sheet or font; one whose URL holds a version never changes."""
        response = await self._send(request)
        if response is None:
            return _refusal(503, self._reason())
        if response.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:  # a name that no file system takes
            await response.aclose()
            return _refusal(404, "Visdom has no such file.")
        versioned = "v" in request.query_params and response.status_code == httpx2.codes.OK
        return _forward(response, {"Cache-Control": CACHED_FOR_A_YEAR if versioned else "no-cache"})

    async def request_env(self, request: Request) -> Response:
        """The page's request that Visdom send an env's windows over the websocket session which it names."""
        if refusal := _too_many_envs(request):
            return refusal
        body = await _env_request(request)
        if body is None:
            return _refusal(400, 'Send a JSON object {"sid": "…"} with the id of a websocket session.')
        response = await self._send(request, body)
        if response is None:
            return _refusal(503, self._reason())
        return _forward(response, {"Cache-Control": "no-store"})

    async def redirect(self, request: Request) -> Response:
        """Redirect to an external Visdom that cannot be shown here."""
        target = _target(request).decode().removeprefix(BASE_PATH)
        return RedirectResponse(self._visdom.url + target)

    async def websocket(self, browser: WebSocket) -> None:
        """Visdom's websocket, relayed until either side closes it."""
        await WebSocketRelay(self._visdom, browser).run()

    async def _send(self, request: Request, body: bytes | None = None) -> httpx2.Response | None:
        """Visdom's response, its body yet to be read; None if Visdom is not up or does not respond."""
        if self._visdom.state != "up":
            return None
        client = self._visdom.client
        forwarded = client.build_request(
            "GET" if body is None else "POST",
            self._visdom.url,
            content=body,
            headers=forwarded_headers(request, self._visdom),
            extensions={"target": _target(request)},  # httpx2 would normalise dots and escapes in a URL
        )
        try:
            return await client.send(forwarded, stream=True)
        except httpx2.HTTPError:
            return None

    def _reason(self) -> str:
        return self._visdom.error or "Visdom is starting…"


async def refuse(request: Request) -> Response:
    """Refuse a request that is not forwarded."""
    return _refusal(403, f"{request.method} {request.url.path} is not open: {BASE_PATH} only shows windows.")


async def refuse_websocket(browser: WebSocket) -> None:
    """Refuse what this address is not for; the browser sees a 403."""
    await browser.close()


async def icon(request: Request) -> Response:
    """Visdom names an icon that it does not have: the board's stands for it."""
    return RedirectResponse(f"{root_from(request.scope)}favicon.svg")


async def go_back(request: Request) -> Response:
    """Visdom's page goes to /error when one of its requests fails: show the env again that it came from."""
    came_from = PAGE_ADDRESS.match(request.headers.get("referer", ""))
    return waiting_page("Visdom did not answer.", 503, back=came_from[1] if came_from else "../")


def waiting_page(sentence: str, status: int, back: str = "") -> HTMLResponse:
    """A page that shows a sentence and after a second loads `back`, by default itself."""
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
    headers = {"Cache-Control": "no-store", "Retry-After": "1", "Content-Security-Policy": WAITING_POLICY}
    return HTMLResponse(page, status, headers)


def _completed(page: bytes, root: str) -> bytes:
    """Visdom's page with our scripts, and with addresses that are relative: the board may live below a path that only
    the browser knows."""
    first, last = (script.format(root).encode() for script in (FIRST_SCRIPT, LAST_SCRIPT))
    page = page.replace(f'"{BASE_PATH}/static/'.encode(), f'"{root}{BASE_PATH[1:]}/static/'.encode())
    page = page.replace(f"={BASE_PATH}/static/".encode(), f"={root}{BASE_PATH[1:]}/static/".encode())
    return page.replace(b"<head>", b"<head>" + first, 1).replace(b"</head>", last + b"</head>", 1)


def _too_many_envs(request: Request) -> Response | None:
    """A refusal of a comparison of more than MAX_COMPARED envs."""
    if request.path_params.get("names", "").count("+") < MAX_COMPARED:
        return None
    return _refusal(400, f"Compare at most {MAX_COMPARED} envs at once.")


async def _env_request(request: Request) -> bytes | None:
    """The body of the page's request for an env, reduced to the fields it needs; None if it is not valid."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_ENV_REQUEST_BYTES:
            return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("sid"), str | None):
        return None
    return json.dumps({"sid": content.get("sid"), "show_all": content.get("show_all") is True}).encode()


def _target(request: Request) -> bytes:
    """The path and query as they were received, not decoded."""
    path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return path + b"?" + query if query else path


def _forward(response: httpx2.Response, headers: Mapping[str, str]) -> Response:
    forwarded = {name: response.headers[name] for name in FORWARDED_RESPONSE_HEADERS if name in response.headers}
    return StreamingResponse(_body(response), response.status_code, {**forwarded, **headers})


async def _body(response: httpx2.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    finally:
        await response.aclose()


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"detail": sentence}, status, {"Cache-Control": "no-store"})
