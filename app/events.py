"""Who is told of what changed: subscriptions within the app, and the event streams of open pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

log = logging.getLogger("lossboard.events")


class Subscribers[*Args]:
    """Functions that are called at each event, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[*Args], None]] = []

    def subscribe(self, listener: Callable[[*Args], None]) -> None:
        """Call ``listener`` at each event from now on, on the event loop; it must not block."""
        self._listeners.append(listener)

    def notify(self, *args: *Args) -> None:
        """Call every listener. What one of them raises is logged: the event has happened, whoever cannot use it."""
        for listener in self._listeners:
            try:
                listener(*args)
            except Exception:
                log.exception("a listener failed on an event")


@dataclass
class Changes:
    """What changed since a stream was told last."""

    runs: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    visdom: bool = False
    view: bool = False
    state: bool = False
    viewers: bool = False


class EventStream:
    """One open event stream: changes are gathered until it asks for them."""

    def __init__(self) -> None:
        self._changes = Changes(visdom=True, view=True, viewers=True, state=True)
        self._waiting = asyncio.Event()
        self._waiting.set()
        self._state_told = asyncio.Event()
        self._closed = False

    async def next(self) -> Changes | None:
        """What changed since the last call, as soon as something has; None when the board shuts down."""
        await self._waiting.wait()
        if not self._closed:
            changes, self._changes = self._changes, Changes()
            self._waiting.clear()
            self._state_told.clear()
            return changes
        return None

    async def state_before(self, time: float) -> bool:
        """Wait until the selected run has another state: True; or until this time of the event loop, or until the board
        shuts down: False. Such a change is not told by ``next`` again."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(time):
                await self._state_told.wait()
        self._state_told.clear()
        is_told, self._changes.state = self._changes.state and not self._closed, False
        return is_told

    def add_runs(self, run_ids: set[str]) -> None:
        """Add runs, as of which it could not be told just now."""
        self.add(Changes(runs=run_ids))

    def add(self, new: Changes) -> None:
        """Add to what ``next`` will return."""
        self._changes.runs |= new.runs
        self._changes.removed |= new.removed
        self._changes.runs -= self._changes.removed
        self._changes.visdom |= new.visdom
        self._changes.view |= new.view
        self._changes.state |= new.state
        self._changes.viewers |= new.viewers
        self._waiting.set()
        if new.state:
            self._state_told.set()

    def restore_run(self, run_id: str) -> None:
        """A run is there again: that it was removed is told no more, if it was not yet."""
        self._changes.removed.discard(run_id)
        self.add_runs({run_id})

    def close(self) -> None:
        """Let ``next`` return None."""
        self._closed = True
        self._waiting.set()
        self._state_told.set()


class EventStreams:
    """All open event streams."""

    def __init__(self) -> None:
        self._streams: set[EventStream] = set()
        self._closed = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[EventStream]:
        """A stream for as long as the block runs."""
        stream = EventStream()
        if self._closed:
            stream.close()
        self._streams.add(stream)
        self._add(Changes(viewers=True))
        try:
            yield stream
        finally:
            self._streams.discard(stream)
            self._add(Changes(viewers=True))

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._streams)

    def run_changed(self, run_id: str) -> None:
        """A run is new, or has new points or another state."""
        self._add(Changes(runs={run_id}))

    def run_removed(self, run_id: str) -> None:
        """A run was deleted."""
        self._add(Changes(removed={run_id}))

    def run_restored(self, run_id: str) -> None:
        """A run that was removed is there again."""
        for stream in self._streams:
            stream.restore_run(run_id)

    def visdom_changed(self) -> None:
        """Visdom came up or went down."""
        self._add(Changes(visdom=True))

    def view_changed(self) -> None:
        """The view that everyone shares was changed."""
        self._add(Changes(view=True))

    def state_changed(self) -> None:
        """The state of the selected run is another one."""
        self._add(Changes(state=True))

    def close(self) -> None:
        """End every stream: an open one would hold up the exit."""
        self._closed = True
        for stream in self._streams:
            stream.close()

    def _add(self, changes: Changes) -> None:
        for stream in self._streams:
            stream.add(changes)
