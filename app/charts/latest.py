"""The latest runs: which of them, and of their metrics, the shared windows show, and in which colours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress

from app.charts.cache import RETRY_S, ChartCache
from app.charts.colours import PALETTE
from app.charts.metric_choice import COUNTERS, MetricChoice, choose
from app.charts.metric_names import key_of
from app.errors import DamagedError, GoneError, UnavailableError
from app.events import Subscribers
from app.schemas.limits import MAX_RACE
from app.schemas.view import OF_METRIC, View
from app.storage.records import PointsAdded, RunDeleted, RunEvent, RunRecord, RunSaved
from app.storage.store import Store

log = logging.getLogger("lossboard.charts")

CANDIDATES = 10 * MAX_RACE  # latest runs among which those to show are chosen
SHARED_METRICS = frozenset({"loss", "w", "mse", "epoch"})  # what windows of several metrics, and axes, are made of

type Newest = Callable[[RunRecord], RunRecord]


def as_stored() -> Newest:
    """Of no run is anything newer known than what is stored."""
    return lambda stored: stored


class LatestRuns:
    """The charts of the runs that the shared windows show, and the colours that keep them apart.

    By default these are the latest ``size`` runs that have started on the same data as the newest; scripts, of whose
    data nothing is known, go with those of the same group, or else with those that log one of the same metrics. If the
    newest belongs to a race, all of that race is shown and nothing else: other races have the same colours. If not, no
    run of a race is: a few left of one have nearly the same colour, and say nothing. The view adds runs to these, or
    has chosen others in their place, and hides some of them. Of the metrics that they have logged those are kept that
    have a window, ``metrics``. Whoever has to know which runs or metrics are shown subscribes.

    ``by_default``: the ids of the runs that are shown unless they are hidden, as chosen last; ``shown``: the ids of
    those that are shown, oldest first.
    """

    def __init__(self, store: Store, size: int, newest: Callable[[], Newest] = as_stored) -> None:
        """``newest`` is called before runs are read from the store; what it returns gives, for each stored record, the
        record as it is now."""
        self.charts = ChartCache(store, self._kept)
        self._store = store
        self._size = size
        self._newest = newest
        self._view = View()
        self._choosing = asyncio.Lock()
        self._outdated = asyncio.Event()  # other runs are to be shown, or another range of them
        self.by_default: frozenset[str] = frozenset()
        self.shown: list[str] = []
        self.metrics = MetricChoice()
        self._logged: dict[str, dict[str, None]] = {}  # by the id of a shown run, its metrics in order
        self._subscribers = Subscribers[()]()
        self.subscribe = self._subscribers.subscribe
        self._colours = list(range(len(PALETTE)))  # places in the palette, the one given last at the end
        store.subscribe(self._follow)

    def show(self, view: View) -> None:
        """Show the runs, and the range of their steps, that a view asks for, soon."""
        before, self._view = self._view, view
        if _what_is_shown(before) != _what_is_shown(view):
            self._outdated.set()

    async def keep_up(self) -> None:
        """Keep the charts those of the latest runs; runs for ever."""
        while True:
            await self._outdated.wait()
            try:
                await self.load()
            except UnavailableError as error:
                log.info("the latest runs cannot be read: %s", error)
                await asyncio.sleep(RETRY_S)

    async def load(self) -> None:
        """Open the charts of the runs to show, as they are stored now, and drop all others. UnavailableError if they
        cannot be read: ``keep_up`` tries again."""
        async with self._choosing:
            self._outdated.clear()
            try:
                await self._load()
            except UnavailableError:
                self._outdated.set()
                raise

    async def _load(self) -> None:
        if self._view.detail != self.charts.step_range:
            await self.charts.show_range(self._view.detail)
        newest_of = self._newest()
        chosen = await self._choose(newest_of)
        await self._choose_metrics(chosen)
        await self.charts.keep()
        for stored in chosen:
            if stored.id in self.charts:
                continue
            if stored.shade is None:
                self._give(stored.colour)
            with suppress(GoneError, DamagedError):  # deleted in the meantime, or cannot be read, as its row says
                await self.charts.open(newest_of(stored))
        for chart in self.charts.all():
            if chart.run.id not in self.shown:
                self.charts.drop(chart.run.id)

    def next_colour(self, *, queue: bool) -> int:
        """The place in the palette of a new run's colour: the one given longest ago, and while no ``queue`` of other
        new runs waits to be shown, one that no shown run has."""
        taken = set() if queue else {chart.run.colour for chart in self.charts.all() if chart.run.shade is None}
        colour = next((colour for colour in self._colours if colour not in taken), self._colours[0])
        self._give(colour)
        return colour

    def _give(self, colour: int) -> None:
        if colour in self._colours:  # and not damaged
            self._colours.remove(colour)
            self._colours.append(colour)

    async def _choose(self, newest_of: Newest) -> list[RunRecord]:
        """The runs to show, the newest last; they are noted, and told to whoever subscribed."""
        chosen: dict[str, RunRecord] = {}
        if not self._view.chosen:
            started = [run for run in reversed(await self._store.latest_started(CANDIDATES)) if _has_started(run)]
            chosen = {run.id: run for run in await self._default(started, newest_of)}
        self.by_default = frozenset([*self._view.chosen, *chosen])
        for run_id in self._view.chosen or self._view.added:
            run = await self._store.get_run(run_id)
            if run and _has_started(run):
                chosen[run.id] = run
        runs = sorted((run for run in chosen.values() if run.id not in self._view.hidden), key=lambda run: run.number)
        before, self.shown = self.shown, [run.id for run in runs]
        if before != self.shown:
            self._subscribers.notify()
        return runs

    async def _default(self, started: list[RunRecord], newest_of: Newest) -> list[RunRecord]:
        """Those of these runs, the newest last, that belong together and are shown unless they are hidden."""
        if not started:
            return []
        newest = started[-1]
        if newest.varied:
            return [run for run in started if run.varied and run.group == newest.group]
        same = [run for run in started if not run.varied and run.data_hash == newest.data_hash]
        if newest.method == "external" and newest.data_hash is None:
            return await self._belonging(newest, same, newest_of)
        return same[-self._size :]

    async def _belonging(self, newest: RunRecord, scripts: list[RunRecord], newest_of: Newest) -> list[RunRecord]:
        """The latest of these scripts' runs that belong with the newest: those of its group, or those that have logged
        one of its metrics. All of them while it has logged none."""
        if newest.group:
            return [run for run in scripts if run.group == newest.group][-self._size :]
        wanted = _keys(newest_of(newest).last or await self._stored_names(newest))
        belonging: list[RunRecord] = []
        for run in reversed(scripts):
            if len(belonging) == self._size:
                break
            if run is newest or not wanted or wanted & _keys(newest_of(run).last or await self._stored_names(run)):
                belonging.append(run)
        return belonging[::-1]

    async def _stored_names(self, run: RunRecord) -> list[str]:
        """The metrics that a run has logged, in order; none if it is deleted, or they cannot be read."""
        with suppress(GoneError, DamagedError):
            return await self._store.metric_names(run)
        return []

    async def _choose_metrics(self, runs: list[RunRecord]) -> None:
        """Choose the metrics of these runs, the newest last, that have a window, and tell whoever subscribed."""
        new = [run for run in runs if run.id not in self._logged]
        self._logged = {run.id: self._logged.get(run.id, {}) for run in runs}
        for run in new:  # points that come meanwhile are noted
            names = await self._stored_names(run)
            self._logged[run.id] = dict.fromkeys([*names, *self._logged[run.id]])
        before, self.metrics = (
            self.metrics,
            choose([(run.method, self._logged[run.id]) for run in runs], self._view.metrics),
        )
        if before != self.metrics:
            self._subscribers.notify()

    def _kept(self, *_: object) -> frozenset[str]:
        along = {key_of(self._view.x.removeprefix(OF_METRIC))} if self._view.x.startswith(OF_METRIC) else set()
        return SHARED_METRICS | self.metrics.shown.keys() | along

    def _follow(self, event: RunEvent) -> None:
        match event:
            case RunSaved(run):
                if run.started_at and run.id not in self.charts:
                    self._outdated.set()
            case PointsAdded(run, batch):
                logged = self._logged.get(run.id)
                if logged is not None and not logged.keys() >= set(batch.names):
                    logged.update(dict.fromkeys(batch.names))
                    self._outdated.set()
            case RunDeleted():
                self._outdated.set()


def _what_is_shown(view: View) -> tuple[object, ...]:
    """The parts of a view that say of which runs, metrics and steps there are charts."""
    return view.detail, view.hidden, view.added, view.chosen, view.metrics, view.x


def _keys(names: Iterable[str]) -> frozenset[str]:
    """The windows of these metrics, by key, without those that count steps, which say nothing of a run."""
    return frozenset(map(key_of, names)) - COUNTERS


def _has_started(run: RunRecord) -> bool:
    """Whether a run has left the queue, in which it may be held, too."""
    return run.status != "queued" and (run.started_at is not None or run.status != "paused")
