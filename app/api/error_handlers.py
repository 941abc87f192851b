"""How every error becomes a response: ``{"detail": [{"loc", "msg", "type"}]}``.

One about values also has `broken`, a list as long as `detail`: for each reason the rule, by name, and the numbers that
the message speaks of, such as ``{"rule": "less_than_equal", "le": 1000}``. A form says it in its own words by them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.errors import ApiError, InvalidError, broken_rule, message_of, out_of_files

MAX_REASONS = 20  # in one response: a request may be wrong in a million places
MAX_PART = 200  # characters of one part of a place: an unknown key may be of any length

SEND_JSON = "Send a JSON object, with the header Content-Type: application/json"


def add_error_handlers(app: FastAPI) -> None:
    """Respond to every refusal with ``{"detail": [{"loc", "msg", "type"}]}``, without echoing the refused input.

    FastAPI's own handler echoes it, and a NaN in it makes that response a 500.
    """

    @app.exception_handler(ApiError)
    async def _api_error(_: Request, error: ApiError) -> JSONResponse:
        kind = type(error).__name__.removesuffix("Error").lower()
        errors = (error, *error.more) if isinstance(error, InvalidError) else (error,)
        detail = [{"loc": _place(one.place), "msg": one.message, "type": kind} for one in errors]
        broken = {"broken": [one.broken for one in errors]} if any(one.broken for one in errors) else {}
        return JSONResponse({"detail": detail, **broken, **error.extra}, error.status)

    @app.exception_handler(HTTPException)
    async def _refused(request: Request, error: HTTPException) -> JSONResponse:
        kind = HTTPStatus(error.status_code).name.lower()
        detail = [{"loc": [], "msg": _sentence(request, error), "type": kind}]
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def _left(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # it is not read: the client went away in the middle of the body

    @app.exception_handler(OSError)
    async def _out_of_files(_: Request, error: OSError) -> JSONResponse:
        if not (reason := out_of_files(error)):
            raise error
        sentence = f"The board can open no more files just now ({reason}). Try again; close pages that are not needed."
        return JSONResponse({"detail": [{"loc": [], "msg": sentence, "type": "unavailable"}]}, 503)

    @app.exception_handler(MemoryError)
    async def _out_of_memory(_: Request, __: MemoryError) -> JSONResponse:
        sentence = "The board has too little memory for this just now. Send or ask for less at once, or try again."
        return JSONResponse({"detail": [{"loc": [], "msg": sentence, "type": "unavailable"}]}, 503)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        detail = [
            {"loc": _place(e["loc"]), "msg": _about_body(e) or message_of(e), "type": e["type"]}
            for e in error.errors()[:MAX_REASONS]
        ]
        broken = [broken_rule(e) for e in error.errors()[:MAX_REASONS]]
        return JSONResponse({"detail": detail, "broken": broken}, 422)


def _place(parts: Iterable[str | int]) -> list[str | int]:
    """Where it is wrong, fit to be written: keys come from the request, with any length and any half characters."""
    return [part if isinstance(part, int) else part[:MAX_PART].encode(errors="replace").decode() for part in parts]


def _about_body(error: Mapping[str, Any]) -> str | None:
    """What to tell of a body that is no JSON object at all; None for any other error."""
    place, kind = tuple(error["loc"]), error["type"]
    if kind == "json_invalid":
        return f"The body is no JSON ({error['ctx']['error']}). {SEND_JSON}."
    if place == ("body",) and kind in ("missing", "model_type", "model_attributes_type"):
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
