"""Refuses requests of other websites: this board's own page and this machine's programs pass.

A board that listens on loopback is reached by programs of this machine only; but a browser is one of them, and it runs
what any website sends it, and sends the board's cookie along. So these rules come before the token (door), and hold
for every call: the page, the API, the event stream, the proxied Visdom, its websocket.

1. **Host** has to be a name of this board: localhost, a loopback address, the host it was told to listen on, or a name
   in the setting ``allowed_hosts``. A website whose name was made to point to 127.0.0.1 (DNS rebinding) is of the same
   origin as the board in the browser's eyes, and only its Host gives it away. A board that listens beyond loopback also
   answers to any IP address, as such a website always has a name, and to this machine's own name. The port in Host is
   free: containers and ssh tunnels give a board another one. Otherwise 421.
2. **Origin**, which browsers send with what writes and with every websocket, has to be that Host, port included:
   another server on this machine is another site. "null" (a sandboxed frame, a file) is none. Whether https or http
   does not matter, as a proxy in front may add the s. Otherwise 403.
3. **Sec-Fetch-Site**, which browsers send to trustworthy addresses (loopback, https), has to say same-origin, or none
   (typed, or a bookmark). From elsewhere only a link may lead here: a GET that opens a document in a tab, not in a
   frame. Otherwise 403. This closes what comes without an Origin: images, scripts, frames.

Scripts (curl, lossboard.py) send neither Origin nor Sec-Fetch-Site and pass. There are no CORS headers, so a browser
lets no other site read a response; what every response tells a browser besides is in security_headers.py.
"""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.settings import Settings

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:/?#@\[\]]+?)\.?(:[0-9]{0,5})?", re.IGNORECASE)


class HostCheck:
    """ASGI middleware that refuses requests of other websites."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._url = settings.url
        self._names = names_of(settings)
        self._any_address = not is_loopback(settings.host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; a websocket is refused before it opens."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        headers = Headers(scope=scope)
        refusal = self._wrong_host(headers) or self._foreign(headers, scope.get("method", "GET"))
        await (refusal or self._app)(scope, receive, send)

    def _wrong_host(self, headers: Headers) -> JSONResponse | None:
        given = headers.getlist("host")
        name = name_in(given[0]) if len(given) == 1 else None
        if name is None:
            return _refusal(400, "host", f"Send one Host header, the name of this board; use {self._url}.")
        if name in self._names or is_loopback(name) or (self._any_address and _address(name) is not None):
            return None
        return _refusal(
            421,
            "host",
            f"This board does not answer to the name {name[:100]!r}. Use {self._url}, or, if that is to be a name of"
            " this board, start it with that name in the environment variable LOSSBOARD_ALLOWED_HOSTS.",
        )

    def _foreign(self, headers: Headers, method: str) -> JSONResponse | None:
        """A refusal of what another website asks."""
        host = headers["host"].lower()
        for origin in headers.getlist("origin"):
            if origin.lower() not in (f"http://{host}", f"https://{host}"):
                return _refusal(
                    403,
                    "origin",
                    f"The page at {origin[:100]!r} is not this board's own page; use {self._url}. A proxy in front of"
                    " a board has to pass on the Host header as it came.",
                )
        link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        link = link and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not link:
            return _refusal(
                403, "sec-fetch-site", f"Another website asked for this; open {self._url} in a tab of its own."
            )
        return None


def names_of(settings: Settings) -> frozenset[str]:
    """The names to which a board with these settings answers, besides addresses."""
    names = {"localhost", settings.host, *settings.allowed_hosts}
    if not is_loopback(settings.host):
        own = socket.gethostname()
        short = own.partition(".")[0]
        names |= {own, short, f"{short}.local"}  # the last is its name in a home network
    return frozenset(name.lower().strip("[]").rstrip(".") for name in names) - {""}


def name_in(host: str) -> str | None:
    """The name or address in a Host header, without its port and its brackets; None if there is none."""
    found = _HOST.fullmatch(host)
    return found[1].lower().strip("[]") if found else None


def is_loopback(name: str) -> bool:
    """Whether this is localhost or an address that only this machine reaches."""
    address = _address(name)
    return name.lower() == "localhost" if address is None else address.is_loopback


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _refusal(status: int, header: str, sentence: str) -> JSONResponse:
    kind = {400: "bad_request", 403: "forbidden", 421: "misdirected_request"}[status]
    return JSONResponse({"detail": [{"loc": ["header", header], "msg": sentence, "type": kind}]}, status)
