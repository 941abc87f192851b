"""When windows are sent to Visdom: the shared env at most ten times a second, fewer where it shows much, that of the
selected run five times, and those of other runs once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from app.charts.cache import ChartCache
from app.charts.colours import hex_of
from app.charts.latest import LatestRuns
from app.charts.metric_choice import choose
from app.charts.run_chart import RunChart
from app.charts.run_state import RunState, newest_state, state_at
from app.charts.view_state import ViewState
from app.errors import DamagedError, GoneError, NotFoundError, UnavailableError
from app.schemas.view import View
from app.storage.media import CONTENT_TYPES, Medium
from app.storage.records import MediaAdded, RunEvent, RunRecord
from app.storage.store import Store
from app.visdom.connection import VisdomConnection, VisdomError, encode
from app.visdom.windows.layout import Window, drawable
from app.visdom.windows.media import MAX_WINDOWS as MAX_MEDIA
from app.visdom.windows.media import media_windows
from app.visdom.windows.race import race_windows
from app.visdom.windows.shared import each_shared_window, in_place, without_legend_clicks
from app.visdom.windows.single_run import windows_at
from trainers import METHODS

log = logging.getLogger("lossboard.publisher")

SHARED_ENV = "lossboard"
SHARED_INTERVAL_S = 0.1
EASY_POINTS = 6000  # of all curves: with no more a page keeps up with the shared interval
S_PER_POINT = 5e-5  # by which the interval grows with every other
SELECTED_INTERVAL_S = 0.2
SINGLE_RUN_INTERVAL_S = 1.0
LOST_INTERVAL_S = 0.5  # between two looks at whether Visdom has lost windows
PAGE_SETTLES_S = 0.25  # in which Visdom's page has taken in what was sent
MAX_REST_S = 2.0  # between two pushes, where Visdom is slow
MAX_SINGLE_RUN_ENVS = 50  # kept in Visdom; the one opened longest ago goes first


def env_of(run_id: str) -> str:
    """The name of a run's own Visdom env."""
    return f"run-{run_id}"


class Publisher:
    """Sends whole windows when something changed, slower when Visdom is slow, and all of them when it is new.

    ``state`` is that of the selected run as its windows show it, which are sent together, or would show it while Visdom
    is away; None where no run is selected or it cannot be read.
    """

    def __init__(
        self,
        store: Store,
        connection: VisdomConnection,
        latest: LatestRuns,
        view_state: ViewState,
        is_up: Callable[[], bool],
        find: Callable[[str], Awaitable[RunRecord | None]] | None = None,
        state_changed: Callable[[], None] = lambda: None,
        *,
        proxied: bool = True,
    ) -> None:
        """``find`` gives a run as it is now; without it, as it is stored. ``state_changed`` is called when ``state``
        has changed; it must not block. ``proxied``: Visdom's pages are shown under our own address."""
        self._store = store
        self._connection = connection
        self._latest = latest
        self._view_state = view_state
        self._is_up = is_up
        self._proxied = proxied
        self._find = find or store.get_run
        self.state: RunState | None = None
        self._state_changed = state_changed
        self._single_runs = ChartCache(store, self._kept_of_single_run, most=MAX_SINGLE_RUN_ENVS)
        self._shared_interval_s = SHARED_INTERVAL_S
        self._shared_outdated = asyncio.Event()
        self._shared_outdated.set()
        self._outdated: set[str] = set()  # runs whose own windows are
        self._selected_outdated = asyncio.Event()
        self._selected_outdated.set()
        self._chose_metrics = True  # whether the charts of single runs have the metrics that the view asks for
        self._drawing = asyncio.Lock()  # held while a run's own windows are drawn and sent
        self._sent: dict[tuple[str, str], bytes] = {}  # by env and window, a digest of what Visdom shows
        self._emptied: set[str] = set()  # envs without windows of an earlier board, which have an order of their own
        self._knows_shared = False  # which windows the shared env has
        self._failed: set[str] = set()  # envs of which a window could not be drawn
        self._versions = itertools.count(1)
        latest.charts.subscribe(lambda _: self._shared_outdated.set())
        self._single_runs.subscribe(self._chart_changed)
        latest.subscribe(self._shared_outdated.set)
        view_state.subscribe(self._view_changed)
        store.subscribe(self._follow)

    def visdom_is_new(self) -> None:
        """Visdom was started: it has no windows."""
        self._sent.clear()
        self._knows_shared = False
        self._outdated |= {chart.run.id for chart in self._single_runs.all()}
        self._shared_outdated.set()
        self._selected_outdated.set()

    async def open_single_run(self, run: RunRecord) -> None:
        """Build the env of one run, if it is not there. VisdomError if Visdom does not take it, GoneError if the run is
        deleted meanwhile."""
        async with self._drawing:
            chart = await self._single_runs.open(run)
            await self._send_single_run(chart, await self._state_of(chart))

    async def publish_shared(self) -> None:
        """Keep the shared windows as they should be; runs for ever."""
        await _whenever(self._shared_outdated, lambda: self._shared_interval_s, self._try_shared)

    async def publish_selected_run(self) -> None:
        """Keep the selected run's own env as it should be, and its state told; runs for ever."""
        await _whenever(self._selected_outdated, lambda: SELECTED_INTERVAL_S, self._try_selected)

    async def publish_single_runs(self) -> None:
        """Keep the other opened runs' own envs as they should be; runs for ever."""
        while True:
            await asyncio.sleep(SINGLE_RUN_INTERVAL_S)
            if self._is_up():
                outdated = self._outdated.copy()
                self._outdated.clear()
                for run_id in outdated:
                    if run_id != self._view_state.get().run or run_id not in self._single_runs:
                        await self._publish_single_run(run_id)

    async def replace_lost(self) -> None:
        """Send windows again that another than the publisher has closed or deleted; runs for ever."""
        while True:
            await asyncio.sleep(LOST_INTERVAL_S)
            if self._is_up():
                await self._look_for_lost()

    async def _look_for_lost(self) -> None:
        before = self._sent.copy()
        try:
            shown = await self._connection.all_windows()
        except VisdomError as error:
            log.info("whether windows are lost is looked at later: %s", error)
            return
        if shown is None:
            return
        missing = {(env, win) for env, win in before if win not in shown.get(env, ())}
        lost = {key for key in missing if self._sent.get(key) == before[key]}  # and not closed or sent meanwhile
        for key in lost:
            del self._sent[key]
        selected = self._view_state.get().run
        for env in {env for env, _ in lost}:
            if env == SHARED_ENV:
                self._shared_outdated.set()
            elif selected is not None and env == env_of(selected):
                self._selected_outdated.set()
            else:
                await self._publish_single_run(env.removeprefix(env_of("")))

    async def _try_shared(self) -> None:
        if not self._is_up():
            self._shared_outdated.set()
            return
        try:
            await self._publish_shared()
        except (VisdomError, UnavailableError) as error:
            log.info("the shared windows wait: %s", error)
            self._shared_outdated.set()
        except Exception:
            self._note_failure(SHARED_ENV)

    async def _publish_shared(self) -> None:
        if not self._knows_shared:
            await self._look_for_windows()
        charts = self._latest.charts.all()
        failed = partial(self._note_failure, SHARED_ENV)
        windows = []
        for window in each_shared_window(charts, self._view_state.get(), self._latest.metrics, failed):
            windows.append(window)
            await asyncio.sleep(0)  # the drawing of many windows must not hold up what comes in
        try:
            races = [without_legend_clicks(window) for window in race_windows(charts)]
        except Exception:
            failed()
            races = []
        windows += [in_place(window, place) for place, window in enumerate(races, len(windows))]
        points = sum(len(trace.get("x", ())) for window in windows for trace in window.data)
        self._shared_interval_s = SHARED_INTERVAL_S + S_PER_POINT * max(0, points - EASY_POINTS)
        await self._close_all_but(SHARED_ENV, windows)
        await self._publish(SHARED_ENV, windows)

    async def _look_for_windows(self) -> None:
        """Take note of windows in a Visdom that is new to us: they may be of an earlier board."""
        for win in await self._connection.window_names(SHARED_ENV):
            self._sent.setdefault((SHARED_ENV, win), b"")
        self._knows_shared = True

    async def _close_all_but(self, env: str, windows: list[Window]) -> None:
        """Close the windows of an env that are shown no longer, with time for pages before and after: Visdom's page
        places a new window among those that it had a tenth of a second ago, and loses it if one of them is gone."""
        wanted = {window.win for window in windows}
        unwanted = [win for sent_env, win in self._sent if sent_env == env and win not in wanted]
        pause_s = PAGE_SETTLES_S if any(self._sent[env, win] for win in unwanted) else 0.0
        await asyncio.sleep(pause_s)
        for win in unwanted:
            await self._close(env, win)
        await asyncio.sleep(pause_s)

    async def _try_selected(self) -> None:
        run_id = self._view_state.get().run
        if run_id is None:
            self._tell(None)
            return
        async with self._drawing:
            try:
                await self._choose_metrics()
                chart = await self._open(run_id)
                state = await self._state_of(chart)
                if self._is_up():
                    await self._send_single_run(chart, state)
                self._tell(state)
            except (NotFoundError, GoneError):
                self._tell(None)
            except DamagedError as error:
                log.info("the windows of run %s stay as they are: %s", run_id, error)
                self._tell(None)
            except (VisdomError, UnavailableError) as error:
                log.info("the windows of run %s wait: %s", run_id, error)
                self._selected_outdated.set()
            except Exception:
                self._note_failure(env_of(run_id))

    async def _publish_single_run(self, run_id: str) -> None:
        env = env_of(run_id)
        async with self._drawing:
            try:
                await self._choose_metrics()
                chart = self._single_runs.get(run_id)
                if chart is None:
                    await self._delete(env)
                else:
                    await self._send_single_run(chart, await self._state_of(chart))
            except GoneError:  # deleted meanwhile: its env is outdated again, and will go
                return
            except DamagedError as error:
                log.info("the windows of run %s stay as they are: %s", run_id, error)
            except (VisdomError, UnavailableError) as error:
                log.info("the windows of run %s wait: %s", run_id, error)
                self._outdated.add(run_id)
            except Exception:
                self._note_failure(env)

    async def _open(self, run_id: str) -> RunChart:
        """The chart of a run. NotFoundError or GoneError if there is no such run."""
        if chart := self._single_runs.get(run_id):
            return chart
        run = await self._find(run_id)
        if run is None:
            raise NotFoundError(f"There is no run {run_id!r}.")
        return await self._single_runs.open(run)

    def _tell(self, state: RunState | None) -> None:
        self.state = state
        self._state_changed()

    def _chart_changed(self, run_id: str) -> None:
        if run_id == self._view_state.get().run:
            self._selected_outdated.set()
        if run_id != self._view_state.get().run or run_id not in self._single_runs:
            self._outdated.add(run_id)

    def _follow(self, event: RunEvent) -> None:
        match event:
            case MediaAdded(run) if run.id in self._single_runs:
                self._chart_changed(run.id)

    def _view_changed(self, before: View, after: View) -> None:
        if (before.run, before.at, before.sample) != (after.run, after.at, after.sample):
            self._selected_outdated.set()
        if before.run and before.run != after.run and before.run in self._single_runs:
            self._outdated.add(before.run)
        if before.metrics != after.metrics:
            self._chose_metrics = False
        if _what_single_runs_show(before) != _what_single_runs_show(after):
            self._outdated |= {chart.run.id for chart in self._single_runs.all()}
            self._selected_outdated.set()
        self._shared_outdated.set()

    def _kept_of_single_run(self, run: RunRecord, names: Iterable[str]) -> frozenset[str] | None:
        """Of a script the curves of those metrics that have a window; of a built-in method, which has few, all."""
        if run.method in METHODS:
            return None
        return frozenset(choose([(run.method, names)], self._view_state.get().metrics).shown)

    async def _choose_metrics(self) -> None:
        if not self._chose_metrics:
            self._chose_metrics = True
            try:
                await self._single_runs.keep()
            except UnavailableError:
                self._chose_metrics = False
                raise

    def _note_failure(self, env: str) -> None:
        """What cannot be drawn must not end the other windows. It is logged once, and tried at the next change."""
        if env not in self._failed:
            self._failed.add(env)
            log.exception("windows of the env %s cannot be drawn", env)

    async def _state_of(self, chart: RunChart) -> RunState:
        """The state that a run's own windows show: at the step of the view, if it is selected, else the newest."""
        view = self._view_state.get()
        if view.at is None or chart.run.id != view.run:
            return newest_state(chart)
        point = await self._store.point_at(chart.run, view.at)
        if not chart.is_descent:
            return state_at(chart, point) if point else newest_state(chart)
        following = await self._store.point_at(chart.run, (point.step if point else -1) + 1)
        is_next = following is not None and following.step == (point.step if point else -1) + 1
        return state_at(chart, point, following if is_next else None)

    async def _send_single_run(self, chart: RunChart, state: RunState) -> None:
        view = self._view_state.get()
        selected = chart.run.id == view.run
        chosen = selected and view.at is not None
        media = await self._media_of(chart.run, view.at if selected else None)
        env = env_of(chart.run.id)
        failed = partial(self._note_failure, env)
        windows = windows_at(
            chart, state, view.sample if selected else 0, view, chosen=chosen, media=media, failed=failed
        )
        if env not in self._emptied:
            await self._connection.close_windows(env, windows[-1].win)
            self._emptied.add(env)
        await self._close_all_but(env, windows)
        await self._publish(env, windows)

    async def _media_of(self, run: RunRecord, step: float | None) -> list[Window]:
        """The windows of a run's media as they were at a step, None for the newest."""
        found = await self._store.media.at(run, math.inf if step is None else step)
        shown = [(medium, await self._shown_by(run, medium)) for medium in found[:MAX_MEDIA]]
        return media_windows(shown, [medium.name for medium in found[MAX_MEDIA:]], hex_of(run))

    async def _shown_by(self, run: RunRecord, medium: Medium) -> str | bytes | None:
        """What a window shows it by: its content, or of an image or a sound the address; None if it cannot be read. A
        Visdom under an address of its own, whose pages get nothing from ours, is given all of it."""
        by_address = medium.kind in ("image", "audio")
        if by_address and self._proxied:
            return f"../../api/runs/{run.id}/media/{medium.number}"  # from the page of an env, wherever that is
        try:
            _, content = await self._store.media.content(run, medium.number)
        except (DamagedError, NotFoundError) as error:  # thinned out in the meantime
            log.info("the %s %r of run %s is not shown: %s", medium.kind, medium.name, run.id, error)
            return None
        if not by_address:
            return content
        return f"data:{CONTENT_TYPES[medium.kind]};base64,{base64.b64encode(content).decode()}"

    async def _publish(self, env: str, windows: list[Window]) -> None:
        """Send those windows that are not shown as they are: all at once, but new ones in their order. The last one
        tells a page that the set is whole (static/gathered_windows.js)."""
        bodies = {window.win: encode(_pane(env, window)) for window in windows}
        digests = {win: hashlib.blake2b(body).digest() for win, body in bodies.items()}
        outdated = [win for win, digest in digests.items() if self._sent.get((env, win)) != digest]

        async def send(win: str) -> None:
            await self._connection.post_events(
                win, _numbered(bodies[win], self._next_version(is_last=win == outdated[-1]))
            )
            self._sent[env, win] = digests[win]

        for win in outdated[:-1]:
            if (env, win) not in self._sent:
                await send(win)
        known = [win for win in outdated[:-1] if self._sent.get((env, win)) != digests[win]]
        for failure in await asyncio.gather(*map(send, known), return_exceptions=True):
            if failure:
                raise failure
        for win in outdated[-1:]:
            await send(win)

    def _next_version(self, *, is_last: bool) -> int:
        """A number that no other window had: odd for the last of a set, even while others follow."""
        return 2 * next(self._versions) + is_last

    async def _close(self, env: str, win: str) -> None:
        if (env, win) in self._sent:
            await self._connection.close_window(env, win)
            self._sent.pop((env, win), None)

    async def _delete(self, env: str) -> None:
        await self._connection.delete_env(env)
        self._sent = {key: digest for key, digest in self._sent.items() if key[0] != env}


async def _whenever(
    outdated: asyncio.Event, interval_s: Callable[[], float], publish: Callable[[], Awaitable[None]]
) -> None:
    """Publish when something is outdated, no sooner than so many seconds after the last time; runs for ever."""
    while True:
        await outdated.wait()
        outdated.clear()
        began = time.monotonic()
        await publish()
        spent = time.monotonic() - began
        # Where sending takes long, Visdom is given as long again to rest.
        await asyncio.sleep(max(interval_s() - spent, min(spent, MAX_REST_S), 0.01))


def _what_single_runs_show(view: View) -> tuple[object, ...]:
    return view.axes, view.metrics, view.smoothing


def _pane(env: str, window: Window) -> dict[str, Any]:
    """A window as Visdom's /events takes it."""
    pane = {"eid": env, "win": window.win, "data": drawable(window.data, window.layout), "layout": window.layout}
    return {**pane, "opts": {"title": window.title}}


def _numbered(pane: bytes, version: int) -> bytes:
    """The pane with a version that no other has: plotly takes data of the same version to be the same data, and
    then draws the old data again."""
    return pane[:-1] + b',"version":%d}' % version
