"""When windows are sent to Visdom: the shared env at most ten times a second, a run's own env once a second."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from app.charts.cache import ChartCache
from app.charts.latest import LatestRuns
from app.charts.run_chart import RunChart
from app.charts.view_state import ViewState
from app.errors import DamagedError, GoneError, UnavailableError
from app.schemas.view import View
from app.storage.records import RunRecord
from app.storage.store import Store
from app.visdom.connection import VisdomConnection, VisdomError, encode
from app.visdom.windows.layout import Window
from app.visdom.windows.race import WIN, race_windows
from app.visdom.windows.shared import shared_windows, without_legend_clicks
from app.visdom.windows.single_run import windows_at

log = logging.getLogger("lossboard.publisher")

SHARED_ENV = "lossboard"
SHARED_INTERVAL_S = 0.1
SINGLE_RUN_INTERVAL_S = 1.0
MAX_REST_S = 2.0  # between two pushes, where Visdom is slow
MAX_SINGLE_RUN_ENVS = 50  # kept in Visdom; the one opened longest ago goes first


def env_of(run_id: str) -> str:
    """The name of a run's own Visdom env."""
    return f"run-{run_id}"


class Publisher:
    """Sends whole windows when something changed, slower when Visdom is slow, and all of them when it is new."""

    def __init__(
        self,
        store: Store,
        connection: VisdomConnection,
        latest: LatestRuns,
        view_state: ViewState,
        is_up: Callable[[], bool],
    ) -> None:
        self._store = store
        self._connection = connection
        self._latest = latest
        self._view_state = view_state
        self._is_up = is_up
        self._single_runs = ChartCache(store, most=MAX_SINGLE_RUN_ENVS)
        self._shared_outdated = asyncio.Event()
        self._shared_outdated.set()
        self._outdated: set[str] = set()  # runs whose own windows are
        self._hurry = asyncio.Event()  # someone waits for a run's own windows
        self._drawing = asyncio.Lock()  # held while a run's own windows are drawn and sent
        self._sent: dict[tuple[str, str], bytes] = {}  # by env and window, a digest of what Visdom shows
        self._failed: set[str] = set()  # envs of which a window could not be drawn
        self._versions = itertools.count(1)
        latest.charts.subscribe(lambda _: self._shared_outdated.set())
        self._single_runs.subscribe(self._outdated.add)
        view_state.subscribe(self._view_changed)

    def visdom_is_new(self) -> None:
        """Visdom was started: it has no windows."""
        self._sent.clear()
        self._sent[SHARED_ENV, WIN] = b""  # one that was there before us may have it from an earlier board
        self._outdated |= {chart.run.id for chart in self._single_runs.all()}
        self._shared_outdated.set()

    async def open_single_run(self, run: RunRecord) -> None:
        """Build the env of one run, if it is not there. VisdomError if Visdom does not take it, GoneError if the run is
        deleted meanwhile."""
        async with self._drawing:
            chart = await self._single_runs.open(run)
            await self._publish(env_of(run.id), await self._single_run_windows(chart))

    async def publish_shared(self) -> None:
        """Keep the shared windows as they should be; runs for ever."""
        while True:
            await self._shared_outdated.wait()
            began = time.monotonic()
            if self._is_up():
                self._shared_outdated.clear()
                try:
                    await self._publish_shared()
                except (VisdomError, UnavailableError) as error:
                    log.info("the shared windows wait: %s", error)
                    self._shared_outdated.set()
                except Exception:
                    self._note_failure(SHARED_ENV)
            spent = time.monotonic() - began
            # Where sending takes long, Visdom is given as long again to rest.
            await asyncio.sleep(max(SHARED_INTERVAL_S - spent, min(spent, MAX_REST_S), 0.01))

    async def publish_single_runs(self) -> None:
        """Keep the opened runs' own envs as they should be; runs for ever."""
        while True:
            await asyncio.sleep(SHARED_INTERVAL_S)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), SINGLE_RUN_INTERVAL_S - SHARED_INTERVAL_S)
            self._hurry.clear()
            if self._is_up():
                outdated = self._outdated.copy()
                self._outdated.clear()
                for run_id in outdated:
                    await self._publish_single_run(run_id)

    async def _publish_shared(self) -> None:
        charts = self._latest.charts.all()
        await self._publish(SHARED_ENV, shared_windows(charts, self._view_state.get()))
        races = [without_legend_clicks(window) for window in race_windows(charts)]
        await self._publish(SHARED_ENV, races)
        if not races:
            await self._close(SHARED_ENV, WIN)

    async def _publish_single_run(self, run_id: str) -> None:
        env = env_of(run_id)
        async with self._drawing:
            try:
                chart = self._single_runs.get(run_id)
                if chart is None:
                    await self._delete(env)
                else:
                    await self._publish(env, await self._single_run_windows(chart))
            except GoneError:  # deleted meanwhile: its env is outdated again, and will go
                return
            except DamagedError as error:
                log.info("the windows of run %s stay as they are: %s", run_id, error)
            except (VisdomError, UnavailableError) as error:
                log.info("the windows of run %s wait: %s", run_id, error)
                self._outdated.add(run_id)
            except Exception:
                self._note_failure(env)

    def _view_changed(self, before: View, after: View) -> None:
        if (before.run, before.at, before.sample) != (after.run, after.at, after.sample):
            self._outdated |= {run for run in (before.run, after.run) if run and run in self._single_runs}
        if before.axes != after.axes:
            self._outdated |= {chart.run.id for chart in self._single_runs.all()}
        self._hurry.set()
        self._shared_outdated.set()

    def _note_failure(self, env: str) -> None:
        """What cannot be drawn must not end the other windows. It is logged once, and tried at the next change."""
        if env not in self._failed:
            self._failed.add(env)
            log.exception("windows of the env %s cannot be drawn", env)

    async def _single_run_windows(self, chart: RunChart) -> list[Window]:
        view = self._view_state.get()
        selected = chart.run.id == view.run
        point = None if view.at is None or not selected else await self._store.point_at(chart.run, view.at)
        return windows_at(chart, point, view.sample if selected else 0, view.axes)

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

    async def _delete(self, env: str) -> None:
        await self._connection.delete_env(env)
        self._sent = {key: digest for key, digest in self._sent.items() if key[0] != env}


def _pane(env: str, window: Window) -> dict[str, Any]:
    """A window as Visdom's /events takes it."""
    pane = {"eid": env, "win": window.win, "data": window.data, "layout": window.layout}
    return {**pane, "opts": {"title": window.title}}


def _numbered(pane: bytes, version: int) -> bytes:
    """The pane with a version that no other has: plotly takes data of the same version to be the same data, and
    then draws the old data again."""
    return pane[:-1] + b',"version":%d}' % version
