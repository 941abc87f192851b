"""No body beyond a size is taken in, whether it declares its length or only streams."""

from __future__ import annotations

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 100 << 20  # bytes: a million pairs in all their digits are 40 MB


class BodyLimit:
    """ASGI middleware: whoever reads too large a body gets a 413 instead of the rest of it.

    FastAPI's own ``max_body_size`` answers in plain text, and not in the shape of every other refusal.
    """

    def __init__(self, app: ASGIApp, size: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted as it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        too_large = declared.isdecimal() and int(declared[:20]) > self._size
        taken = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message: Message = {} if too_large else await receive()
            taken += len(message.get("body", b""))
            if too_large or taken > self._size:
                raise HTTPException(413, f"Send at most {self._size >> 20} MiB at once; points may come in batches")
            return message

        await self._app(scope, receive_counted, send)
