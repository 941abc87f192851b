"""Who changed: what the page is told through server-sent events, gathered until a listener asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class News:
    """What changed since a listener was told last."""

    runs: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    visdom: bool = False
    board: bool = False

    def __bool__(self) -> bool:
        return bool(self.runs or self.removed or self.visdom or self.board)


class Listener:
    """One open event stream."""

    def __init__(self) -> None:
        self._news = News(visdom=True, board=True)
        self._waiting = asyncio.Event()
        self._waiting.set()
        self._closed = False

    async def next(self) -> News | None:
        """What changed since the last call, as soon as something has; None when the board shuts down."""
        await self._waiting.wait()
        if not self._closed:
            news, self._news = self._news, News()
            self._waiting.clear()
            return news
        return None

    def tell(self, news: News) -> None:
        """Add to what will be told next."""
        self._news.runs |= news.runs
        self._news.removed |= news.removed
        self._news.runs -= self._news.removed
        self._news.visdom |= news.visdom
        self._news.board |= news.board
        self._waiting.set()

    def close(self) -> None:
        """Let ``next`` return None."""
        self._closed = True
        self._waiting.set()


class Feed:
    """All open event streams."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[Listener]:
        """A listener for as long as the block runs."""
        listener = Listener()
        if self._closed:
            listener.close()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def changed(self, run_id: str) -> None:
        """A run has new points or another state."""
        self._tell(News(runs={run_id}))

    def removed(self, run_id: str) -> None:
        """A run was deleted."""
        self._tell(News(removed={run_id}))

    def visdom_changed(self) -> None:
        """Visdom came up or went down."""
        self._tell(News(visdom=True))

    def board_changed(self) -> None:
        """What belongs to everyone who looks (which axes) was changed."""
        self._tell(News(board=True))

    def close(self) -> None:
        """End every stream: an open one would hold up the exit."""
        self._closed = True
        for listener in self._listeners:
            listener.close()

    def _tell(self, news: News) -> None:
        for listener in self._listeners:
            listener.tell(news)
