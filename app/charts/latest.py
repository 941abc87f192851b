"""The latest runs: which of them the shared windows show, and in which colours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from app.charts.cache import RETRY_S, ChartCache
from app.charts.colours import PALETTE
from app.errors import DamagedError, GoneError, UnavailableError
from app.schemas.limits import MAX_RACE
from app.schemas.view import StepRange
from app.storage.records import RunDeleted, RunEvent, RunRecord, RunSaved
from app.storage.store import Store

log = logging.getLogger("lossboard.charts")

CANDIDATES = 10 * MAX_RACE  # latest runs among which those to show are chosen
SHARED_METRICS = frozenset({"loss", "w", "mse", "epoch"})

type Newest = Callable[[RunRecord], RunRecord]


def as_stored() -> Newest:
    """Of no run is anything newer known than what is stored."""
    return lambda stored: stored


class LatestRuns:
    """The charts of the latest ``size`` runs that have started, and the colours that keep them apart.

    If the newest belongs to a race, all of that race is shown and nothing else: other races have the same colours. If
    not, no run of a race is: a few left of one have nearly the same colour, and say nothing.
    """

    def __init__(self, store: Store, size: int, newest: Callable[[], Newest] = as_stored) -> None:
        """``newest`` is called before runs are read from the store; what it returns gives, for each stored record, the
        record as it is now."""
        self.charts = ChartCache(store, SHARED_METRICS)
        self._store = store
        self._size = size
        self._newest = newest
        self._step_range: StepRange | None = None
        self._choosing = asyncio.Lock()
        self._outdated = asyncio.Event()  # other runs are to be shown, or another range of them
        self._colours = list(range(len(PALETTE)))  # places in the palette, the one given last at the end
        store.subscribe(self._follow)

    def show_range(self, step_range: StepRange | None) -> None:
        """Show only these steps of every run, soon; None for all."""
        self._step_range = step_range
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
                self._outdated.set()

    async def load(self) -> None:
        """Open the charts of the latest runs, as they are stored now, and drop all others."""
        async with self._choosing:
            self._outdated.clear()
            if self._step_range != self.charts.step_range:
                await self.charts.show_range(self._step_range)
            newest_of = self._newest()
            latest = await self._store.latest_started(CANDIDATES)
            started = [run for run in reversed(latest) if run.started_at or run.status != "paused"]  # not in the queue
            chosen = self._choose(started)
            for stored in chosen:
                if stored.id in self.charts:
                    continue
                if stored.shade is None:
                    self._give(stored.colour)
                with suppress(GoneError, DamagedError):  # deleted in the meantime, or cannot be read, as its row says
                    await self.charts.open(newest_of(stored))
            for chart in self.charts.all():
                if chart.run.id not in {run.id for run in chosen}:
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

    def _choose(self, started: list[RunRecord]) -> list[RunRecord]:
        """Those of these runs, the newest last, that are to be shown."""
        if started and started[-1].varied:
            return [run for run in started if run.varied and run.group == started[-1].group]
        return [run for run in started if not run.varied][-self._size :]

    def _follow(self, event: RunEvent) -> None:
        match event:
            case RunSaved(run):
                if run.started_at and run.id not in self.charts:
                    self._outdated.set()
            case RunDeleted():
                self._outdated.set()
