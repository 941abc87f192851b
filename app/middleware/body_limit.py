"""No body beyond a size is taken in, whether it declares its length or only streams; nor too much of all at once."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 100 << 20  # of records in the binary form: JSON may have less
MAX_HELD_BYTES = 384 << 20  # of all requests that are under way


class BodyLimit:
    """ASGI middleware: whoever reads too large a body gets a 413 instead of the rest of it, and a 503 while too much of
    others is held.

    FastAPI's own ``max_body_size`` answers in plain text, and not in the shape of every other refusal.
    """

    def __init__(self, app: ASGIApp, size: int = MAX_BODY_BYTES, held: int = MAX_HELD_BYTES) -> None:
        self._app = app
        self._size = size
        self._left = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken = 0

        async def receive_held() -> Message:
            nonlocal taken
            message = await receive()
            size = len(message.get("body", b""))
            if size > self._left:
                raise HTTPException(
                    503, "Too much is sent to the board at once; try again shortly", {"Retry-After": "1"}
                )
            taken += size
            self._left -= size
            return message

        try:
            await self._app(scope, limited(receive_held, Headers(scope=scope), self._size), send)
        finally:
            self._left += taken


def limited(receive: Receive, headers: Headers, size: int) -> Receive:
    """What receives a request with these headers, and raises a 413 once its body turns out to be larger than ``size``
    bytes; before any of it is read if it says so."""
    declared = headers.get("content-length", "")
    too_large = declared.isdecimal() and int(declared[:20]) > size
    taken = 0

    async def receive_counted() -> Message:
        nonlocal taken
        message: Message = {} if too_large else await receive()
        taken += len(message.get("body", b""))
        if too_large or taken > size:
            raise HTTPException(413, f"Send at most {in_words(size)} here; points may come in batches")
        return message

    return receive_counted


def in_words(size: int) -> str:
    """A number of bytes as people read it."""
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
