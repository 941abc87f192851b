"""What goes wrong, in words: the app's own errors and how every error becomes an answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

MAX_REASONS = 20  # told of one refused request: it may be wrong in a million places
MAX_PART = 200  # characters of one part of a place: an unknown key may be of any length

SEND_JSON = "Send a JSON object, with the header Content-Type: application/json"


class BoardError(Exception):
    """A request that cannot be done. ``field`` names the part of the request that should be different, in its body or
    wherever else ``part`` says."""

    status = 400

    def __init__(self, message: str, *, part: str = "body", field: tuple[str | int, ...] = (), **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.place = (part, *field)
        self.extra = extra


class NotFoundError(BoardError):
    """No such run, method or dataset."""

    status = 404


class ConflictError(BoardError):
    """The request does not fit the state of what it speaks of."""

    status = 409


class GoneError(BoardError):
    """The run was deleted."""

    status = 410


class MediaError(BoardError):
    """The body is not of a content type that is understood here."""

    status = 415


class InvalidError(BoardError):
    """A value of the request is wrong."""

    status = 422


class UnavailableError(BoardError):
    """Visdom, or the disk, cannot be used just now."""

    status = 503


def message_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors tells people: a bound like 1e100 is not written out in all its digits."""
    message: str = error["msg"]
    for bound in (error.get("ctx") or {}).values():
        if isinstance(bound, int | float) and abs(bound) >= 1e16:
            message = re.sub(r"-?\d{16,}(\.\d+)?", f"{bound:g}", message)
    return message.removeprefix("Value error, ")


def add_error_handlers(app: FastAPI) -> None:
    """Answer every refusal with ``{"detail": [{"loc", "msg", "type"}]}``, without echoing the refused input.

    FastAPI's own handler echoes it, and a NaN in it makes that answer a 500.
    """

    @app.exception_handler(BoardError)
    async def _board_error(_: Request, error: BoardError) -> JSONResponse:
        kind = type(error).__name__.removesuffix("Error").lower()
        detail = [{"loc": _place(error.place), "msg": error.message, "type": kind}]
        return JSONResponse({"detail": detail, **error.extra}, error.status)

    @app.exception_handler(HTTPException)
    async def _refused(request: Request, error: HTTPException) -> JSONResponse:
        kind = HTTPStatus(error.status_code).name.lower()
        detail = [{"loc": [], "msg": _sentence(request, error), "type": kind}]
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def _left(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it: who asked went away in the middle of the body

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        detail = [
            {"loc": _place(e["loc"]), "msg": _about_body(e) or message_of(e), "type": e["type"]}
            for e in error.errors()[:MAX_REASONS]
        ]
        return JSONResponse({"detail": detail}, 422)


def _place(parts: Iterable[str | int]) -> list[str | int]:
    """Where it is wrong, fit to be written: keys come from the request, with any length and any half characters."""
    return [part if isinstance(part, int) else part[:MAX_PART].encode(errors="replace").decode() for part in parts]


def _about_body(error: Mapping[str, Any]) -> str | None:
    """What to tell of a body that is no JSON object at all; None for any other error."""
    place, kind = tuple(error["loc"]), error["type"]
    if kind == "json_invalid":
        return f"The body is no JSON ({error['ctx']['error']}). {SEND_JSON}."
    if place == ("body",) and kind in ("missing", "model_attributes_type"):
        return f"{SEND_JSON}."
    return None


def _sentence(request: Request, error: HTTPException) -> str:
    """What to do instead, where starlette only names the status."""
    asked = f"{request.method} {request.url.path[:MAX_PART]}"
    match error.status_code:
        case HTTPStatus.BAD_REQUEST:
            return f"The body cannot be read: it is no JSON in UTF-8, or nested too deeply. {SEND_JSON}."
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return f"{asked} is not possible; /docs lists what is."
    return f"{error.detail}."
