"""The latest runs, each with a picture of its curves: what the shared windows show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from app.charts.colours import PALETTE
from app.charts.run_chart import Drawn, draw, prepare
from app.errors import GoneError
from app.schemas.view import Detail
from app.storage.batch import Batch
from app.storage.store import RunRecord, Store

MAX_RACE = 50  # runs
LOOKED_AT = 10 * MAX_RACE  # latest runs, among which those to show are looked for
SHARED_METRICS = frozenset({"loss", "w", "epoch"})

type Newest = Callable[[RunRecord], RunRecord]


def as_stored(stored: RunRecord) -> RunRecord:
    """A run of which nothing newer is known than what is stored."""
    return stored


class Overlay:
    """The pictures of the latest ``size`` runs that have started, newest last, and the colours that keep them apart.

    If the newest belongs to a race, all of that race is shown and nothing else: other races have the same colours. If
    not, no run of a race is: a few left of one have nearly the same colour, and tell nothing.
    """

    def __init__(self, store: Store, size: int, changed: Callable[[], None]) -> None:
        self._store = store
        self._size = size
        self._changed = changed
        self._choosing = asyncio.Lock()  # one at a time chooses what is on show: each has to read the store for it
        self._detail: Detail | None = None
        self._drawn: dict[str, Drawn] = {}
        self._stale: set[str] = set()  # runs of which points were missed
        self._catching_up: dict[str, asyncio.Task[None]] = {}
        self._colours = list(range(len(PALETTE)))  # places in the palette, the one given last at the end

    @property
    def drawn(self) -> list[Drawn]:
        """The runs on show, in the order of their making."""
        return sorted(self._drawn.values(), key=lambda drawn: drawn.run.number)

    def next_colour(self, *, queue: bool) -> int:
        """The place in the palette of a new run's colour: the one given longest ago, and while no ``queue`` of other
        new runs waits to be shown, one that no run on show has."""
        taken = set() if queue else {drawn.run.colour for drawn in self.drawn if drawn.run.shade is None}
        colour = next((colour for colour in self._colours if colour not in taken), self._colours[0])
        self._give(colour)
        return colour

    def _give(self, colour: int) -> None:
        self._colours.remove(colour)
        self._colours.append(colour)

    async def look_at(self, detail: Detail | None) -> None:
        """Show only this stretch of every run, from now on; None for all."""
        async with self._choosing:
            if detail != self._detail:
                self._detail = detail
                for old in self.drawn:
                    with suppress(GoneError):  # deleted in the meantime
                        new = await draw(self._store, old.run, SHARED_METRICS, detail)
                        if new.next_seq < old.next_seq:  # points came in the meantime
                            await new.catch_up(self._store)
                        new.run = old.run
                        self._drawn[old.run.id] = new
                self._changed()

    async def show(self, run: RunRecord, newest: Newest = as_stored) -> None:
        """Show a run that starts, and no longer the oldest one; of ``newest``, see ``load``."""
        async with self._choosing:
            await self._add(run)
            if not run.varied and any(drawn.run.varied for drawn in self.drawn):
                await self._load(newest)  # for a race, the single runs before it had gone
            else:
                self._keep([drawn.run for drawn in self.drawn])

    def append(self, run: RunRecord, batch: Batch) -> None:
        """Take new points of a run into its picture, if it is on show."""
        drawn = self._drawn.get(run.id)
        if drawn is None:
            return
        if not drawn.append(batch):
            self._stale.add(run.id)
            if run.id not in self._catching_up:
                self._catching_up[run.id] = asyncio.create_task(self._catch_up(run.id))
        self._changed()

    async def _catch_up(self, run_id: str) -> None:
        try:
            while run_id in self._stale:  # again, if more is missed while it catches up
                self._stale.discard(run_id)
                if (drawn := self._drawn.get(run_id)) is None:
                    return
                await drawn.catch_up(self._store)
                self._changed()
        finally:
            del self._catching_up[run_id]

    def refresh(self, run: RunRecord) -> None:
        """A run on show has another state."""
        if drawn := self._drawn.get(run.id):
            drawn.run = run
            self._changed()

    def removed(self, run_id: str) -> None:
        """A run was deleted; ``load`` then shows an older one in its place."""
        if self._drawn.pop(run_id, None):
            self._changed()

    async def load(self, newest: Newest = as_stored) -> None:
        """Show the latest runs of the store: at start, and when one that was shown is gone.

        ``newest`` gives the record of a run as it is now, given the stored one.
        """
        async with self._choosing:
            await self._load(newest)

    async def _load(self, newest: Newest) -> None:
        latest = await self._store.latest_started(LOOKED_AT)
        started = [run for run in reversed(latest) if run.started_at or run.status != "paused"]  # not in the queue
        for stored in self._on_show(started):
            if stored.id not in self._drawn and stored.shade is None:
                self._give(stored.colour)
            with suppress(GoneError):  # deleted in the meantime
                await self._add(newest(stored))
        self._keep(started)

    async def _add(self, run: RunRecord) -> None:
        if run.id in self._drawn:
            return
        drawn = self._drawn[run.id] = Drawn(run, SHARED_METRICS, detail=self._detail)
        try:
            await prepare(drawn, self._store)  # meanwhile it is told how the run goes on
        except BaseException:
            self._drawn.pop(run.id, None)
            raise

    def _keep(self, started: list[RunRecord]) -> None:
        for gone in set(self._drawn) - {run.id for run in self._on_show(started)}:
            del self._drawn[gone]
        self._changed()

    def _on_show(self, started: list[RunRecord]) -> list[RunRecord]:
        """Those of these runs, the newest last, that are shown."""
        if started and started[-1].varied:
            return [run for run in started if run.varied and run.group == started[-1].group]
        return [run for run in started if not run.varied][-self._size :]
