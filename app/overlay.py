"""The latest runs, each with a picture of its curves: what the shared windows show."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from app.board import Detail
from app.columns import Batch, Floats
from app.errors import GoneError
from app.picture import Curve
from app.pieces import Times
from app.store import RunRecord, Store
from trainers import METHODS
from trainers.problem import Parabola, make_data

# Each at least 3 : 1 on the page's white and on its dark grey, and told apart by colour-blind eyes as well as may be.
PALETTE = (
    "#3b7dd8",
    "#e0731d",
    "#c4177f",
    "#1a9c68",
    "#8f6412",
    "#6a55ee",
    "#b07cae",
    "#0a7a57",
    "#dc3340",
    "#8d58a6",
)

FEW_SAMPLES = 10_000
SHARED_METRICS = frozenset({"loss", "w", "epoch"})
MAX_TIMES = 4000


@dataclass
class Drawn:
    """A run and the picture of its curves; ``parabola`` is the cost of its data, for models with one parameter."""

    run: RunRecord
    names: frozenset[str] | None = None  # metrics to keep; None for all
    parabola: Parabola | None = None
    data: tuple[Floats, Floats] | None = None  # x and y, where they are few enough to be shown one by one
    updates_per_epoch: int | None = None
    detail: Detail | None = None  # the only stretch that is in the picture; None for all
    curves: dict[str, Curve] = field(default_factory=dict)
    times: Times = field(default_factory=list)
    next_seq: int = 0  # the number of the first record that is not in the picture

    def append(self, batch: Batch) -> bool:
        """Take the records of a batch that came in just now into the picture; False if some before it are missing."""
        if batch.seq > self.next_seq:
            return False
        new = batch.after(self.next_seq)
        if len(new):
            self._draw(new)
            self.times.append((float(new.rows[-1, 0]), time.time()))
            if len(self.times) > MAX_TIMES:
                self.times = self.times[::2]
        return True

    async def catch_up(self, store: Store) -> None:
        """Take what the store has and the picture has not, in pieces of a bounded size."""
        ends = (self.detail.from_step, self.detail.to_step) if self.detail else ()
        count = await store.count(self.run)
        while batches := await store.some_batches(self.run, self.next_seq, 200, *ends):
            for batch in batches:
                self._draw(batch.after(self.next_seq))
        self.next_seq = max(self.next_seq, count)  # what lies outside of the detail is not read
        self.times = await store.times(self.run)

    def seconds(self, steps: Floats) -> Floats:
        """When these steps came in, in seconds since the run started; between two that are known, in proportion."""
        known = np.array(self.times or [(0.0, 0.0)])
        since = known[:, 1] - (self.run.started_at or known[0, 1])
        known_steps, since = np.maximum.accumulate(known[:, 0]), np.maximum.accumulate(since)
        begin = min(0.0, known_steps[0])
        seconds: Floats = np.interp(steps, np.append(begin, known_steps), np.append(0.0, np.maximum(since, 0.0)))
        return seconds

    def epochs(self, steps: Floats) -> Floats | None:
        """In which epoch these steps are, if that is known: from the method, or from a metric named epoch."""
        if self.updates_per_epoch:
            return steps / self.updates_per_epoch
        curve = self.curves.get("epoch")
        return np.interp(steps, *curve.points(2000)) if curve and curve.total else None

    def _draw(self, new: Batch) -> None:
        self.next_seq = new.seq + len(new)
        rows = new.rows
        if self.detail:
            rows = rows[(rows[:, 0] >= self.detail.from_step) & (rows[:, 0] <= self.detail.to_step)]
        for column, name in enumerate(new.names, 1):
            if self.names is None or name in self.names:
                self.curves.setdefault(name, Curve()).append(rows[:, 0], rows[:, column])


async def draw(
    store: Store, run: RunRecord, names: frozenset[str] | None = None, detail: Detail | None = None
) -> Drawn:
    """The picture of a stored run."""
    drawn = Drawn(run, names, detail=detail)
    if run.data_hash and run.method in METHODS:
        method = METHODS[run.method]
        data = await store.get_data(run.data_hash)
        drawn.data = data if len(data[0]) <= FEW_SAMPLES else None
        drawn.updates_per_epoch = method.updates_per_epoch(method.params.model_validate(run.params), len(data[0]))
        if method.one_parameter:
            drawn.parabola = parabola_of(data)
    await drawn.catch_up(store)
    return drawn


def parabola_of(data: tuple[Floats, Floats]) -> Parabola:
    """The cost of a one-parameter model on this data, as a function of w."""
    return Parabola.of(make_data(*data))


class Overlay:
    """The pictures of the latest ``size`` runs that have started, newest last, and the colours that keep them apart."""

    def __init__(self, store: Store, size: int, changed: Callable[[], None]) -> None:
        self._store = store
        self._size = size
        self._changed = changed
        self._detail: Detail | None = None
        self._drawn: dict[str, Drawn] = {}
        self._catching_up: dict[str, asyncio.Task[None]] = {}
        self._colours = list(range(len(PALETTE)))  # places in the palette, the one given last at the end

    @property
    def drawn(self) -> list[Drawn]:
        """The runs on show, in the order of their making."""
        return sorted(self._drawn.values(), key=lambda drawn: drawn.run.number)

    def next_colour(self, *, queue: bool) -> int:
        """The place in the palette of a new run's colour: the one given longest ago, and while no ``queue`` of other
        new runs waits to be shown, one that no run on show has."""
        taken = set() if queue else {drawn.run.colour for drawn in self.drawn}
        colour = next((colour for colour in self._colours if colour not in taken), self._colours[0])
        self._give(colour)
        return colour

    def _give(self, colour: int) -> None:
        self._colours.remove(colour)
        self._colours.append(colour)

    async def look_at(self, detail: Detail | None) -> None:
        """Show only this stretch of every run, from now on; None for all."""
        if detail != self._detail:
            self._detail = detail
            for drawn in self.drawn:
                with suppress(GoneError):  # deleted in the meantime
                    self._drawn[drawn.run.id] = await draw(self._store, drawn.run, SHARED_METRICS, detail)
            self._changed()

    async def show(self, run: RunRecord) -> None:
        """Show a run that starts, and no longer the oldest one."""
        if run.id not in self._drawn:
            self._drawn[run.id] = await draw(self._store, run, SHARED_METRICS, self._detail)
        for surplus in self.drawn[: -self._size]:
            del self._drawn[surplus.run.id]
        self._changed()

    def append(self, run: RunRecord, batch: Batch) -> None:
        """Take new points of a run into its picture, if it is on show."""
        drawn = self._drawn.get(run.id)
        if drawn is None:
            return
        if not drawn.append(batch) and run.id not in self._catching_up:
            task = asyncio.create_task(drawn.catch_up(self._store))
            self._catching_up[run.id] = task
            task.add_done_callback(lambda _: self._catching_up.pop(run.id, None))
        self._changed()

    def refresh(self, run: RunRecord) -> None:
        """A run on show has another state."""
        if drawn := self._drawn.get(run.id):
            drawn.run = run
            self._changed()

    def removed(self, run_id: str) -> None:
        """A run was deleted; ``load`` then shows an older one in its place."""
        if self._drawn.pop(run_id, None):
            self._changed()

    async def load(self, known: Mapping[str, RunRecord]) -> None:
        """Show the latest runs of the store: at start, and when one that was shown is gone.

        ``known`` holds the records of the runs that are under way, which are newer than the stored ones.
        """
        latest = await self._store.latest_started(self._size)
        for stored in reversed(latest):
            if stored.id not in self._drawn:
                self._give(stored.colour)
                run = known.get(stored.id, stored)
                self._drawn[stored.id] = await draw(self._store, run, SHARED_METRICS, self._detail)
        for gone in set(self._drawn) - {run.id for run in latest}:
            del self._drawn[gone]
        self._changed()
