"""The lock: who has no token of this board, or one with too little right, is refused before anything is looked at.

Scripts send ``Authorization: Bearer TOKEN``. A browser opens the page with ``?token=TOKEN`` behind its address, as the
board prints it at start, or sends it on the page that asks for one: it gets a cookie for it at once, and the address
loses it. As browsers send a cookie along with whatever another website asks, host_check comes before this.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.addresses import relative
from app.middleware.rights import LOOK, rights_for
from app.middleware.sign_in import PATH, read_form, sign_in_page, wants_page
from app.middleware.slowing import Slowing
from app.middleware.tokens import Tokens

PAGE = "/"
EVENTS = "/api/events"
CHECK_S = 2.0  # between two looks whether the token of an event stream or a websocket still holds
POLICY_VIOLATION = 1008  # of a websocket: RFC 6455
COOKIE_AGE_S = 30 * 24 * 3600

_MISSING = (
    "This board asks for a token. Send the header Authorization: Bearer TOKEN; scripts take it from LOSSBOARD_TOKEN,"
    " and browsers from the link that the board printed at its start. `lossboard token` prints both there."
)
_WRONG = "This is no token of this board, or one that was renewed. `lossboard token` prints those that hold."
_SLOW = "There were too many wrong tokens from this address. Wait {} s, then send a right one."
_TOO_LITTLE = {
    "read": "The token that was sent is for looking, and changes nothing. `lossboard token` prints the owner's.",
    "report": "The token that was sent is for scripts: it makes runs of theirs, sends their points and how they ended,"
    " and hears what is asked of them. `lossboard token` prints the owner's, and one for looking.",
    "worker": "The token that was sent is for the board's own workers.",
}


@dataclass(frozen=True)
class Found:
    """What the token of a request gives: a right, or none, as it is not one; whether one was sent; or a wait."""

    right: str | None = None
    was_sent: bool = False
    wait_s: int = 0


class Door:
    """ASGI middleware that lets through whoever may. A request that passes has its right in ``request.state.right``."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None, port: int, slowing: Slowing) -> None:
        """``tokens``: None if everyone who gets here may do everything."""
        self._app = app
        self._tokens = tokens
        self._port = port
        self._slowing = slowing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; a websocket is refused before it opens."""
        answer: Response | None = None
        if scope["type"] in ("http", "websocket"):
            method = scope.get("method", "WEBSOCKET")
            if (method, scope["path"]) == ("GET", PAGE) and (token := _token_in(scope["query_string"])):
                answer = self._exchange(token, _address(scope), scope)
            elif self._tokens and (method, scope["path"]) == ("POST", PATH):
                answer = await self._sign_in(scope, receive)
            elif (method, scope["path"]) == ("GET", PATH):  # as where that page is loaded anew
                answer = _leading_to(PAGE, scope)
            else:
                answer = self._judge(method, scope)
        if answer is None and self._tokens and (scope["type"] == "websocket" or scope.get("path") == EVENTS):
            await self._serve_while_it_holds(self._tokens, scope, receive, send)
        else:
            await (answer or self._app)(scope, receive, send)

    async def _serve_while_it_holds(self, tokens: Tokens, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what has no end of its own until the token with which it was asked for is renewed."""
        token = self._token_of(Headers(scope=scope))
        serving = asyncio.ensure_future(self._app(scope, receive, send))
        try:
            while not serving.done() and tokens.right_of(token):
                await asyncio.wait([serving], timeout=CHECK_S)
        finally:
            was_served = serving.done()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
        if not was_served:
            closing = {"type": "websocket.close", "code": POLICY_VIOLATION}
            await send(closing if scope["type"] == "websocket" else {"type": "http.response.body", "body": b""})

    def _judge(self, method: str, scope: Scope) -> Response | None:
        """Why a request is refused; one that is not has its right from then on."""
        found = self._look(self._token_of(Headers(scope=scope)), scope)
        if self._tokens is None or found.right in rights_for(method, scope["path"]):
            scope.setdefault("state", {})["right"] = found.right
            return None
        if wants_page(method, scope) and found.right not in LOOK:
            return sign_in_page(scope, _status(found), _problem(found), _address(scope))
        return _refusal(found)

    def _look(self, token: str, scope: Scope) -> Found:
        """What a token gives that was sent with a request; "" if none was."""
        if self._tokens is None:
            return Found("owner")
        if not token:
            return Found()
        right = self._tokens.right_of(token)
        host, _ = scope.get("client") or ("", 0)
        wait_s = self._slowing.judge(host, token, is_right=right is not None)
        return Found(None if wait_s else right, was_sent=True, wait_s=wait_s)

    def _token_of(self, headers: Headers) -> str:
        """The token that a request brings; empty if it brings none."""
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return token.strip()
        wanted = f"{self._cookie_name(headers)}="
        cookies = (part.strip() for part in headers.get("cookie", "").split(";"))
        return next((cookie.removeprefix(wanted) for cookie in cookies if cookie.startswith(wanted)), "")

    def _cookie_name(self, headers: Headers) -> str:
        """Browsers send a cookie to every port of a host: with the port that the browser knows in its name, boards
        beside each other do not replace each other's."""
        port = headers.get("host", "").rpartition(":")[2]
        return f"lossboard-{port if port.isdecimal() else self._port}"

    async def _sign_in(self, scope: Scope, receive: Receive) -> Response:
        """Answer the page that asks for a token."""
        token, back = await read_form(receive)
        found = self._look(token, scope)
        if found.right in LOOK:
            return self._exchange(token, back, scope)
        return sign_in_page(scope, _status(found), _problem(found), back)

    def _exchange(self, token: str, address: str, scope: Scope) -> Response:
        """Lead a browser that has sent a token on to an address; with a right one it gets the cookie."""
        response = _leading_to(address, scope)
        response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        if self._tokens and self._look(token, scope).right in LOOK:
            response.set_cookie(
                self._cookie_name(Headers(scope=scope)),
                token,
                max_age=COOKIE_AGE_S,
                path=scope["state"]["prefix"] or "/",
                secure=scope["scheme"] == "https",
                httponly=True,
                samesite="lax",
            )
        return response


def _token_in(query: bytes) -> str:
    return dict(parse_qsl(query.decode("latin-1"))).get("token", "")


def _address(scope: Scope) -> str:
    """The address that a request asks for, as a path, without the token in it."""
    path: str = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    left = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
    return f"{path}?{urlencode(left)}" if left else path


def _leading_to(address: str, scope: Scope) -> Response:
    """Lead a browser to an address of this board, given as a path."""
    return RedirectResponse(relative(address, scope), 303)


def _status(found: Found) -> int:
    return 429 if found.wait_s else 401 if found.right is None else 403


def _problem(found: Found) -> str:
    """Which of the sign-in page's words tells why a token was not taken; empty if none was sent."""
    return "slow" if found.wait_s else "report" if found.right else "wrong" if found.was_sent else ""


def _refusal(found: Found) -> JSONResponse:
    status, kind, headers = _status(found), "forbidden", {"Cache-Control": "no-store"}
    sentence = _TOO_LITTLE.get(found.right or "", _WRONG if found.was_sent else _MISSING)
    if status == 429:
        sentence, kind = _SLOW.format(found.wait_s), "too_many_requests"
        headers["Retry-After"] = str(found.wait_s)
    elif status == 401:
        kind, headers["WWW-Authenticate"] = "unauthorized", "Bearer"
    return JSONResponse(
        {"detail": [{"loc": ["header", "authorization"], "msg": sentence, "type": kind}]}, status, headers
    )
