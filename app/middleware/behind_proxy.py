"""What a proxy in front of the board says of a request: under which path, name and scheme it came, and from whom.

Everyone can send such headers: they are believed of the proxies in ``trusted_proxy``, and of whoever comes through the
board's own Unix socket. The path below which the board lives is also a setting, ``root_path``; whether a proxy takes it
off or keeps it, what comes after this has paths as if the board lived at the root of its address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.settings import ROOT_PATH, Settings

type Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"[\w.:\[\]-]{1,255}", re.ASCII)
_SECURE = {"http": "https", "ws": "wss"}


class BehindProxy:
    """ASGI middleware: a request is as the browser sent it to the proxy, but for the path, which is the board's own.

    The path that was taken off is in ``scope["state"]["prefix"]``, empty if there was none, or if only the proxy knows.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._root_path = settings.root_path
        self._trusted = [ipaddress.ip_network(name) for name in settings.trusted_proxy]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; the path of the board without its last slash leads to the page."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        prefix = self._root_path if f"{scope['path']}/".startswith(f"{self._root_path}/") else ""
        scope = {**scope, "state": {**scope.get("state", {})}}
        if self._is_proxy(scope):
            headers = Headers(scope=scope)
            given = _last(headers, "x-forwarded-prefix").rstrip("/")
            prefix = given if ROOT_PATH.fullmatch(given) else prefix
            scope |= self._told(scope, headers)
        scope["state"]["prefix"] = prefix
        if prefix and scope["path"] == prefix and scope["type"] == "http":
            query = scope["query_string"].decode("latin-1")
            await RedirectResponse(f"{prefix}/{'?' if query else ''}{query}", 307)(scope, receive, send)
            return
        if prefix and scope["path"].startswith(f"{prefix}/"):
            scope["path"] = scope["path"].removeprefix(prefix)
            scope["raw_path"] = scope["raw_path"].removeprefix(prefix.encode())
        await self._app(scope, receive, send)

    def _is_proxy(self, scope: Scope) -> bool:
        """Whether what comes from there is believed."""
        peer = scope.get("client")
        return peer is None or self._is_trusted(peer[0])  # None: it came through the Unix socket

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def _told(self, scope: Scope, headers: Headers) -> Mapping[str, object]:
        """The parts of the scope that are others with what the proxy says."""
        told: dict[str, object] = {}
        if _last(headers, "x-forwarded-proto").lower() in ("https", "wss"):
            told["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
        if _HOST.fullmatch(host := _last(headers, "x-forwarded-host")):
            changed = MutableHeaders(raw=[*scope["headers"]])
            changed["host"] = host
            told["headers"] = changed.raw
        chain = [host.strip() for host in ",".join(headers.getlist("x-forwarded-for")).split(",")]
        senders = [host for host in chain if not self._is_trusted(host)]
        if senders and senders[-1]:  # the last that no proxy of ours is: those before it can be made up
            told["client"] = (senders[-1][:100], 0)
        return told


def _last(headers: Headers, name: str) -> str:
    """What the nearest proxy says where several have added to a header."""
    return ",".join(headers.getlist(name)).rpartition(",")[2].strip()
