"""When windows are sent to Visdom: the shared env at most ten times a second, a run's own env once a second."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from app.charts.latest import Overlay
from app.charts.run_chart import Drawn, prepare
from app.errors import GoneError
from app.schemas.responses import env_of
from app.schemas.view import Board
from app.storage.batch import Batch
from app.storage.store import RunRecord, Store
from app.visdom.connection import VisdomConnection, VisdomError, encode
from app.visdom.windows.layout import Window
from app.visdom.windows.race import WIN, race_windows
from app.visdom.windows.shared import shared_windows
from app.visdom.windows.single_run import windows_at

log = logging.getLogger("lossboard.publisher")

SHARED_ENV = "lossboard"
SHARED_INTERVAL = 0.1
OWN_INTERVAL = 1.0
OWN_ENVS = 50  # run envs kept in Visdom; the one opened longest ago goes first


class Publisher:
    """Sends whole windows when something changed, slower when Visdom is slow, and all of them when it is new."""

    def __init__(self, store: Store, connection: VisdomConnection, is_up: Callable[[], bool]) -> None:
        self.overlay: Overlay | None = None
        self.board = Board()
        self._store = store
        self._connection = connection
        self._is_up = is_up
        self._changed = asyncio.Event()
        self._changed.set()
        self._own: OrderedDict[str, Drawn] = OrderedDict()
        self._one_own = asyncio.Lock()  # held by whoever draws a run's own windows and sends them
        self._own_changed: set[str] = set()
        self._stale: set[str] = set()  # runs of which points were missed
        self._dropping: set[str] = set()  # runs whose env is to go
        self._own_wanted = asyncio.Event()  # someone waits for a run's own windows
        self._sent: dict[tuple[str, str], bytes] = {}  # a digest of what each window shows
        self._failed: set[str] = set()  # envs of which a window could not be drawn
        self._versions = itertools.count(1)

    def changed(self) -> None:
        """The shared windows have something new to show."""
        self._changed.set()

    def visdom_is_new(self) -> None:
        """Visdom was started: it has no windows."""
        self._sent.clear()
        self._sent[SHARED_ENV, WIN] = b""  # one that was there before us may have it from an earlier board
        self._own_changed |= set(self._own)
        self._changed.set()

    def append(self, run: RunRecord, batch: Batch) -> None:
        """A run has new points."""
        if drawn := self._own.get(run.id):
            drawn.run = run
            if not drawn.append(batch):
                self._stale.add(run.id)
            self._own_changed.add(run.id)

    def refresh(self, run: RunRecord) -> None:
        """A run has another state."""
        if drawn := self._own.get(run.id):
            drawn.run = run
            self._own_changed.add(run.id)

    def show(self, board: Board) -> None:
        """Show what the board has chosen, and of its run the step that it has chosen."""
        before, self.board = self.board, board
        if (before.run, before.at, before.sample) != (board.run, board.at, board.sample):
            self._own_changed |= {run for run in (before.run, board.run) if run}
        if before.axes != board.axes:
            self._own_changed |= set(self._own)
        self._own_wanted.set()
        self._changed.set()

    async def open_own(self, run: RunRecord) -> None:
        """Build the env of one run, if it is not there. VisdomError if Visdom does not take it, GoneError if the run is
        deleted meanwhile."""
        async with self._one_own:
            drawn = self._own.get(run.id) or await self._draw_own(run)
            if run.id not in self._own:
                raise GoneError(f"The run {run.id} was deleted.")
            self._own.move_to_end(run.id)
            await self._publish(env_of(run.id), await self._windows_of(drawn))
            while len(self._own) > OWN_ENVS:
                self._dropping.add(self._own.popitem(last=False)[0])

    async def _draw_own(self, run: RunRecord) -> Drawn:
        drawn = self._own[run.id] = Drawn(run)  # it is told how the run goes on while it is prepared
        try:
            await prepare(drawn, self._store)
        except BaseException:
            self._own.pop(run.id, None)
            raise
        return drawn

    def removed(self, run_id: str) -> None:
        """A run was deleted: so will be its env."""
        if self._own.pop(run_id, None):
            self._dropping.add(run_id)

    async def publish_shared(self) -> None:
        """Keep the shared windows as they should be; runs for ever."""
        while True:
            await self._changed.wait()
            began = time.monotonic()
            if self._is_up() and self.overlay:
                self._changed.clear()
                try:
                    drawn = self.overlay.drawn
                    await self._publish(SHARED_ENV, shared_windows(drawn, self.board))
                    races = race_windows(drawn)
                    await self._publish(SHARED_ENV, races)
                    if not races:
                        await self._close(SHARED_ENV, WIN)
                except VisdomError as error:
                    log.info("the shared windows wait: %s", error)
                    self._changed.set()
                except Exception:
                    self._note_failure(SHARED_ENV)
            spent = time.monotonic() - began
            # Where sending takes long, Visdom is given as long again to rest.
            await asyncio.sleep(max(SHARED_INTERVAL - spent, min(spent, 2.0), 0.01))

    async def publish_own(self) -> None:
        """Keep the opened runs' own envs as they should be; runs for ever."""
        while True:
            await asyncio.sleep(SHARED_INTERVAL)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._own_wanted.wait(), OWN_INTERVAL - SHARED_INTERVAL)
            self._own_wanted.clear()
            if not self._is_up():
                continue
            while self._dropping:
                await self._drop(self._dropping.pop())
            changed, self._own_changed = self._own_changed, set()
            for run_id in changed & set(self._own):
                await self._publish_own(run_id)

    async def _publish_own(self, run_id: str) -> None:
        async with self._one_own:
            drawn = self._own.get(run_id)
            if drawn is None:  # deleted while another run was published
                return
            try:
                if run_id in self._stale:
                    self._stale.discard(run_id)
                    await drawn.catch_up(self._store)
                await self._publish(env_of(run_id), await self._windows_of(drawn))
            except VisdomError as error:
                log.info("the windows of run %s wait: %s", run_id, error)
                self._own_changed.add(run_id)
            except Exception:
                self._note_failure(env_of(run_id))

    def _note_failure(self, env: str) -> None:
        """Whatever cannot be drawn must not end the other windows. It is told once, and tried at the next change."""
        if env not in self._failed:
            self._failed.add(env)
            log.exception("windows of the env %s cannot be drawn", env)

    async def _windows_of(self, drawn: Drawn) -> list[Window]:
        at = self.board.at if drawn.run.id == self.board.run else None
        point = None if at is None else await self._store.point_at(drawn.run, at)
        sample = self.board.sample if drawn.run.id == self.board.run else 0
        return windows_at(drawn, point, sample, self.board.axes)

    async def _publish(self, env: str, windows: list[Window]) -> None:
        for window in windows:
            body = encode(_pane(env, window))
            digest = hashlib.blake2b(body).digest()
            if self._sent.get((env, window.win)) != digest:
                await self._connection.post_events(window.win, _numbered(body, next(self._versions)))
                self._sent[env, window.win] = digest

    async def _close(self, env: str, win: str) -> None:
        if (env, win) in self._sent:
            await self._connection.close_window(env, win)
            del self._sent[env, win]

    async def _drop(self, run_id: str) -> None:
        env = env_of(run_id)
        self._sent = {key: digest for key, digest in self._sent.items() if key[0] != env}
        try:
            await self._connection.delete_env(env)
        except VisdomError as error:
            log.info("the env of run %s stays in Visdom: %s", run_id, error)


def _pane(env: str, window: Window) -> dict[str, Any]:
    """A window as Visdom's /events takes it."""
    pane = {"eid": env, "win": window.win, "data": window.data, "layout": window.layout}
    return {**pane, "opts": {"title": window.title}}


def _numbered(pane: bytes, version: int) -> bytes:
    """The pane with a version that no other has: plotly takes data of the same version to be the same data, and
    then draws the old picture again."""
    return pane[:-1] + b',"version":%d}' % version
