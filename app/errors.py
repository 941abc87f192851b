"""What goes wrong, in words: the app's own errors and how every error becomes an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class BoardError(Exception):
    """A request that cannot be done. ``field`` names the part of the request that should be different."""

    status = 400

    def __init__(self, message: str, *, field: tuple[str | int, ...] = (), **extra: Any) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
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
        detail = [{"loc": ["body", *error.field], "msg": error.message, "type": kind}]
        return JSONResponse({"detail": detail, **error.extra}, error.status)

    @app.exception_handler(HTTPException)
    async def _refused(_: Request, error: HTTPException) -> JSONResponse:
        kind = HTTPStatus(error.status_code).name.lower()
        detail = [{"loc": [], "msg": f"{error.detail}.", "type": kind}]
        return JSONResponse({"detail": detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        detail = [{"loc": list(e["loc"]), "msg": message_of(e), "type": e["type"]} for e in error.errors()]
        return JSONResponse({"detail": detail}, 422)
