"""The lock: who has no token of this board, or one with too little right, is refused before anything is looked at.

Scripts send ``Authorization: Bearer TOKEN``. A browser opens the page with ``?token=TOKEN`` behind its address, as the
board prints it at start: it gets a cookie for it at once, and the address loses it. The cookie is for whoever has the
page open; as browsers send it along with whatever another website asks, host_check comes before this.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.middleware.rights import rights_for
from app.middleware.tokens import Tokens

PAGE = "/"
COOKIE_AGE_S = 30 * 24 * 3600

_MISSING = (
    "This board asks for a token. Send the header Authorization: Bearer TOKEN; scripts take it from LOSSBOARD_TOKEN,"
    " and browsers from the link that the board printed at its start. `lossboard token` prints both there."
)
_WRONG = "This is no token of this board, or one that was renewed. `lossboard token` prints those that hold."
_WORDS = {
    "read": "The token that was sent is for looking, and changes nothing. `lossboard token` prints the owner's.",
    "report": "The token that was sent is for scripts: it makes runs of theirs, sends their points and how they ended,"
    " and hears what is asked of them. `lossboard token` prints the owner's, and one for looking.",
}


class Door:
    """ASGI middleware that lets through whoever may. A request that passes has its right in ``request.state.right``."""

    def __init__(self, app: ASGIApp, tokens: Tokens | None, port: int) -> None:
        """``tokens``: None if everyone who gets here may do everything."""
        self._app = app
        self._tokens = tokens
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it; a websocket is refused before it opens."""
        if scope["type"] in ("http", "websocket"):
            method = scope.get("method", "WEBSOCKET")
            if method == "GET" and scope["path"] == PAGE and (given := _token_in(scope["query_string"])):
                await self._exchange(given, scope)(scope, receive, send)
                return
            right, refusal = self._judge(method, scope)
            if refusal:
                await refusal(scope, receive, send)
                return
            scope.setdefault("state", {})["right"] = right
        await self._app(scope, receive, send)

    def _judge(self, method: str, scope: Scope) -> tuple[str | None, Response | None]:
        """The right that a request has, and why it is refused."""
        if self._tokens is None:
            return "owner", None
        token = self._token_of(Headers(scope=scope))
        right = self._tokens.right_of(token) if token else None
        if right in rights_for(method, scope["path"]):
            return right, None
        if right is None:
            return None, _refusal(401, _WRONG if token else _MISSING)
        return right, _refusal(403, _WORDS.get(right, "This is not for workers."))

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

    def _exchange(self, token: str, scope: Scope) -> Response:
        """Answer a link with a token in it: the same address without it, and with a right one the cookie."""
        response = RedirectResponse(_without_token(scope), 303)
        response.headers.update({"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
        if self._tokens and self._tokens.right_of(token) in rights_for("GET", PAGE):
            headers = Headers(scope=scope)
            response.set_cookie(
                self._cookie_name(headers),
                token,
                max_age=COOKIE_AGE_S,
                secure=scope["scheme"] == "https",
                httponly=True,
                samesite="lax",
            )
        return response


def _token_in(query: bytes) -> str:
    return dict(parse_qsl(query.decode("latin-1"))).get("token", "")


def _without_token(scope: Scope) -> str:
    """The address of a request, as a path, without the token in it."""
    left = [(name, value) for name, value in parse_qsl(scope["query_string"].decode("latin-1")) if name != "token"]
    path: str = scope.get("root_path", "") + PAGE
    return f"{path}?{urlencode(left)}" if left else path


def _refusal(status: int, sentence: str) -> JSONResponse:
    kind = {401: "unauthorized", 403: "forbidden"}[status]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    detail = [{"loc": ["header", "authorization"], "msg": sentence, "type": kind}]
    return JSONResponse({"detail": detail}, status, {"Cache-Control": "no-store", **headers})
