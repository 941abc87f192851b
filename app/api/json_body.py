"""JSON in requests, read so that a small body costs little memory and a large one keeps nobody waiting.

A body becomes a model straight from its bytes: between them there is no tree of Python's lists and dictionaries. What
is large may hold long lists of numbers, and few other things (`check_json`); it is read one at a time, in a thread.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError

from app.api.deps import aside
from app.api.error_handlers import MAX_REASONS
from app.middleware.body_limit import in_words, limited
from app.schemas.limits import MAX_BODY_BYTES, MAX_DEPTH, MAX_PARTS, MAX_VALUES
from app.schemas.requests import RequestModel

BYTES_OF_PART = 1000  # of memory, at most, that a list, an object or an entry takes while it is read
BYTES_OF_VALUE = 80

_large = ThreadPoolExecutor(1, "large-json")  # while one is read, Python does little else


class JsonRoute(APIRoute):
    """A route whose body, if it has one, is a RequestModel."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        model: type[RequestModel] = self.body_field.field_info.annotation  # type: ignore[assignment]

        async def handle_json(request: Request) -> Response:
            receive = limited(request.receive, request.headers, model.max_bytes)
            try:
                return await handle(_JsonRequest(model, request.scope, receive))
            except _Refused as refused:
                raise refused.error from None

        return handle_json


class _Refused(HTTPException):
    """FastAPI passes on no other error of reading a body."""

    def __init__(self, error: Exception) -> None:
        super().__init__(422)
        self.error = error


class _JsonRequest(Request):
    """A request whose JSON is read as a model, which FastAPI then takes as it is."""

    def __init__(self, model: type[RequestModel], *of_request: Any) -> None:
        super().__init__(*of_request)
        self._model = model

    async def json(self) -> RequestModel:
        body = await self.body()
        try:
            return await read_json(body, _read, self._model, body)
        except (RequestValidationError, MemoryError) as error:
            raise _Refused(error) from None


async def read_json[**P, T](body: bytes, read: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Read a body of JSON; a large one in a thread, after those that came before it."""
    if len(body) <= MAX_BODY_BYTES:
        return await aside(len(body), read, *args, **options)
    return await asyncio.get_running_loop().run_in_executor(_large, lambda: read(*args, **options))


def check_json(text: bytes, size: int) -> None:
    """See that a text in JSON is at most so large, and that what is large has few parts besides its numbers.
    HTTPException 413; MemoryError if it would take more than there is."""
    if len(text) > size:
        raise HTTPException(413, f"Send at most {in_words(size)} of JSON here; points may come in batches")
    if len(text) <= MAX_BODY_BYTES:
        return
    parts, values = sum(map(text.count, (b"[", b"{", b":"))), text.count(b",")
    if parts > MAX_PARTS or values > MAX_VALUES:
        raise HTTPException(
            413,
            f"Send at most {MAX_PARTS:,} lists, objects and entries, and {MAX_VALUES:,} values, in JSON of more than"
            f" {in_words(MAX_BODY_BYTES)}",
        )
    bytearray(len(text) + BYTES_OF_PART * parts + BYTES_OF_VALUE * values)  # where the parser would end the process


def _read(model: type[RequestModel], body: bytes) -> RequestModel:
    check_json(body, model.max_bytes)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> Exception:
    """As FastAPI refuses what Python's own parser has read."""
    errors = error.errors(include_url=False, include_input=False)[:MAX_REASONS]
    first = errors[0]
    if first["type"] == "json_invalid":
        words = str(first["ctx"]["error"])
        return json.JSONDecodeError(
            words.replace("recursion limit exceeded", f"nested more than {MAX_DEPTH} times"), "", 0
        )
    return RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in errors])
