"""Relays Visdom's websocket to a browser for as long as the browser's is open, across restarts of Visdom.

Nothing of what a browser sends on it goes on to Visdom. A page that only shows windows sends nothing there that Visdom
would need: all its commands change the windows of everybody (close, undo, delete_env, save, save_all, save_layouts,
layout_item_update, update_plot_layout, update_comment, pop_embeddings_pane), or are for a program that made a window
(forward_to_vis: keys pressed in a text). Windows are asked for over HTTP (app/visdom/proxy.py).
"""

import asyncio
import re
from contextlib import AbstractAsyncContextManager

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

from app.visdom.connection import AnyVisdom

# A list of what is forwarded: hop-by-hop headers, cookies and a key that the browser sends are not.
# Host goes along with Origin: Visdom's websocket refuses an Origin that differs from the Host.
FORWARDED_REQUEST_HEADERS = (
    "host",
    "origin",
    "accept",
    "accept-encoding",
    "if-none-match",
    "if-modified-since",
    "range",
)
MAX_MESSAGE_BYTES = 2**30  # Visdom sets its windows no limit
RETRY_INTERVAL_S = 0.1

# Close codes of RFC 6455 and its registry.
NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013
NEVER_SENT = {1005, 1006, 1015}  # they stand for a close without a code, no close at all, and a failed TLS handshake

WINDOW = re.compile(r'\{"command": "window", "version": \d+, "id": ("(?:[^"\\]|\\.)*")')


class WebSocketRelay:
    """Passes the messages of one of Visdom's websockets to one browser's.

    When Visdom ends, the browser's websocket stays open, and a new one to the next Visdom is opened for it. Visdom's
    first message on it makes the page request its env again. Without this, Visdom's page would stay offline.
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
        await self._browser.receive()  # the request to connect
        while (message := await self._browser.receive())["type"] != "websocket.disconnect":
            pass  # no command of a page reaches Visdom
        if self._session is not None:
            await self._session.close(_sendable(message["code"]))

    async def _to_browser(self) -> None:
        while True:
            message = await self._outbox.get()
            await self._browser.send(message)
            if message["type"] == "websocket.close":
                return

    async def _from_visdom(self) -> None:
        """Fill the outbox: an accept, then texts, last a close. A close without an accept is a refusal."""
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
                closing = _closing(POLICY_VIOLATION, "Visdom refuses it.")
            except (httpx2.HTTPError, ExceptionGroup):
                await asyncio.sleep(RETRY_INTERVAL_S)  # Visdom has ended, which the supervisor may not know yet
        self._outbox.put(closing)

    def _connect(self) -> AbstractAsyncContextManager[AsyncWebSocketSession]:
        return self._visdom.client.websocket(
            self._visdom.url.replace("http", "ws", 1) + "/socket",
            headers=forwarded_headers(self._browser, self._visdom),
            subprotocols=self._browser.scope["subprotocols"] or None,
            max_message_size_bytes=MAX_MESSAGE_BYTES,
        )

    async def _read(self, session: AsyncWebSocketSession) -> Message | None:
        """Put Visdom's texts into the outbox until it closes. Returns the close message; None if it was lost."""
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
    """A queue of messages to one browser, in which a newer version of a window replaces the one that still waits.

    So a slow browser skips versions, instead of falling behind while they fill the memory.
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Message] = {}
        self._replaceable: set[object] = set()
        self._filled = asyncio.Event()

    def put(self, message: Message) -> None:
        """Add a message; a window replaces its waiting version, unless a message of another kind was added since."""
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
        """Remove the oldest message and return it; waits until there is one."""
        await self._filled.wait()
        message = self._waiting.pop(next(iter(self._waiting)))
        if not self._waiting:
            self._filled.clear()
        return message


def forwarded_headers(connection: HTTPConnection, visdom: AnyVisdom) -> dict[str, str]:
    """The headers of a browser's request that go on to Visdom, and those that Visdom needs."""
    found = ((name, connection.headers.get(name, "")) for name in FORWARDED_REQUEST_HEADERS)
    forwarded = {name: value for name, value in found if value.isascii() and value}  # httpx2 sends nothing else
    return {**forwarded, **visdom.headers}


def _closing(code: int, reason: str) -> Message:
    return {"type": "websocket.close", "code": code, "reason": reason}


def _sendable(code: int) -> int:
    """The code, or the normal one in place of those that may not be sent."""
    return NORMAL_CLOSURE if code in NEVER_SENT else code
