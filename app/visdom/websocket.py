"""One browser's websocket and one of Visdom's, tied together for as long as the browser's is open."""

import asyncio
import re
from contextlib import AbstractAsyncContextManager, suppress

import httpx2
from httpx2.websockets import (
    AsyncWebSocketSession,
    HTTPXWSException,
    WebSocketDisconnect,
    WebSocketUpgradeError,
)
from starlette.requests import HTTPConnection
from starlette.types import Message
from starlette.websockets import WebSocket
from wsproto.utilities import LocalProtocolError

from app.visdom.connection import AnyVisdom

# What passes is named, so hop-by-hop headers, cookies and a key from outside do not.
# Host goes along with Origin: Visdom's websocket refuses an Origin that differs from the Host.
ASKED = ("host", "origin", "accept", "accept-encoding", "if-none-match", "if-modified-since", "range")
MAX_MESSAGE = 2**30  # bytes; Visdom sets its windows no limit
TRY_AGAIN_LATER = 1013  # a websocket's close code
WINDOW = re.compile(r'\{"command": "window", "version": \d+, "id": ("(?:[^"\\]|\\.)*")')
RETRY_INTERVAL = 0.1  # seconds


class Relay:
    """One browser's websocket, with one of Visdom's behind it.

    When Visdom dies the browser's stays open, and Visdom's next one takes the place behind it: it introduces
    itself, upon which the page asks for its env again. Left alone, Visdom's page would stay offline.
    """

    def __init__(self, visdom: AnyVisdom, browser: WebSocket) -> None:
        self._visdom = visdom
        self._browser = browser
        self._session: AsyncWebSocketSession | None = None
        self._outbox = Outbox()

    async def run(self) -> None:
        """Relay until either side closes."""
        reader = asyncio.create_task(self._from_browser())
        writer = asyncio.create_task(self._to_browser())
        source = asyncio.create_task(self._from_visdom())
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (reader, writer, source):
                task.cancel()
            await asyncio.gather(reader, writer, source, return_exceptions=True)

    async def _from_browser(self) -> None:
        await self._browser.receive()  # that it wants to connect
        while (message := await self._browser.receive())["type"] != "websocket.disconnect":
            if self._session is not None:  # else Visdom is being replaced, and what it was told is gone
                with suppress(HTTPXWSException, LocalProtocolError):  # lost just now
                    await self._session.send_text(message.get("text") or "")
        if self._session is not None:
            await self._session.close(_sendable(message["code"]))

    async def _to_browser(self) -> None:
        while True:
            message = await self._outbox.get()
            await self._browser.send(message)
            if message["type"] == "websocket.close":
                return

    async def _from_visdom(self) -> None:
        """Fill the outbox: an accept, texts, at last a close. A close without an accept is a refusal."""
        if self._visdom.state == "down":
            self._outbox.put({"type": "websocket.accept"})  # or the browser would not see the close code
            self._outbox.put(_closing(TRY_AGAIN_LATER, "There is no Visdom."))
            return
        accepted = False
        closing: Message | None = None
        while closing is None:
            await self._visdom.wait_until_up()
            try:
                async with self._connect() as session:
                    if not accepted:
                        self._outbox.put({"type": "websocket.accept", "subprotocol": session.subprotocol})
                        accepted = True
                    closing = await self._read(session)
            except WebSocketUpgradeError:
                closing = _closing(1008, "Visdom refuses it.")
            except (httpx2.HTTPError, ExceptionGroup):
                await asyncio.sleep(RETRY_INTERVAL)  # it died, which may not be known yet
        self._outbox.put(closing)

    def _connect(self) -> AbstractAsyncContextManager[AsyncWebSocketSession]:
        return self._visdom.client.websocket(
            self._visdom.url.replace("http", "ws", 1) + "/socket",
            headers=passed_headers(self._browser, self._visdom),
            subprotocols=self._browser.scope["subprotocols"] or None,
            max_message_size_bytes=MAX_MESSAGE,
        )

    async def _read(self, session: AsyncWebSocketSession) -> Message | None:
        """Put out Visdom's texts until it closes: the close for the browser, or None if it was lost."""
        self._session = session
        try:
            while True:
                self._outbox.put({"type": "websocket.send", "text": await session.receive_text()})
        except WebSocketDisconnect as closed:
            return _closing(_sendable(closed.code), closed.reason)
        except HTTPXWSException:
            return None
        finally:
            self._session = None


class Outbox:
    """What waits to be sent to one browser; a window that still waits is replaced by its successor.

    So a slow browser skips pictures, instead of falling behind and filling the memory with them.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Message] = {}
        self._replaceable: set[object] = set()
        self._filled = asyncio.Event()

    def put(self, message: Message) -> None:
        """Add it; a window takes the place of the waiting one, unless something else has come in since."""
        window = WINDOW.match(message.get("text", ""))
        if window:
            key: object = window[1]
            if key not in self._replaceable:
                self._waiting.pop(key, None)
                self._replaceable.add(key)
        else:
            key = object()
            self._replaceable.clear()
        self._waiting[key] = message
        self._filled.set()

    async def get(self) -> Message:
        """The message that has waited longest, as soon as there is one."""
        await self._filled.wait()
        message = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._filled.clear()
        return message


def passed_headers(connection: HTTPConnection, visdom: AnyVisdom) -> dict[str, str]:
    """The headers with which Visdom is asked on behalf of a browser."""
    found = ((name, connection.headers.get(name, "")) for name in ASKED)
    asked = {name: value for name, value in found if value.isascii() and value}  # httpx2 sends nothing else
    return {**asked, **visdom.headers}


def _closing(code: int, reason: str) -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


def _sendable(code: int) -> int:
    """A code that may be sent: some only stand for a close that had none."""
    return 1000 if code in {1005, 1006, 1015} else code
