"""The latest runs, each with a picture of its curves: what the shared windows show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.columns import Batch, Floats
from app.picture import Curve
from app.store import RunRecord, Store
from app.trail import Trail
from trainers import METHODS
from trainers.problem import Parabola, make_data
from trainers.surface import Surface

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

SAMPLES = 20_000  # kept of a run's data for its pictures
SHARED_METRICS = frozenset({"loss", "w"})


@dataclass
class Drawn:
    """A run and the picture of its curves; the cost of its data is a ``parabola`` for models with one parameter, a
    ``surface`` for those with w and b, whose way over it is the ``trail``."""

    run: RunRecord
    names: frozenset[str] | None = None  # metrics to keep; None for all
    parabola: Parabola | None = None
    surface: Surface | None = None
    data: tuple[Floats, Floats] | None = None  # x and y, the first of them, to be shown one by one
    samples: int = 0  # how many there are in all
    curves: dict[str, Curve] = field(default_factory=dict)
    trail: Trail = field(default_factory=Trail)
    next_seq: int = 0  # the number of the first record that is not in the picture

    def append(self, batch: Batch) -> bool:
        """Take the records of a batch that are new into the picture; False if some before it are missing."""
        if batch.seq > self.next_seq:
            return False
        new = batch.after(self.next_seq)
        self.next_seq += len(new)
        for column, name in enumerate(new.names, 1):
            if self.names is None or name in self.names:
                self.curves.setdefault(name, Curve()).append(new.rows[:, 0], new.rows[:, column])
        if self.surface and {"w", "b"} <= set(new.names):
            self.trail.append(new.rows[:, [0, 1 + new.names.index("w"), 1 + new.names.index("b")]])
        return True

    async def catch_up(self, store: Store) -> None:
        """Take what the store has and the picture has not, in pieces of a bounded size."""
        while batches := await store.some_batches(self.run, self.next_seq, 200):
            for batch in batches:
                self.append(batch)


async def draw(store: Store, run: RunRecord, names: frozenset[str] | None = None) -> Drawn:
    """The picture of a stored run."""
    drawn = Drawn(run, names)
    if run.data_hash and run.method in METHODS:
        data = await store.get_data(run.data_hash)
        drawn.data, drawn.samples = (data[0][:SAMPLES].copy(), data[1][:SAMPLES].copy()), len(data[0])
        if METHODS[run.method].one_parameter:
            drawn.parabola = parabola_of(data)
        elif names is None:
            drawn.surface = Surface.of(make_data(*data))
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

    async def show(self, run: RunRecord) -> None:
        """Show a run that starts, and no longer the oldest one."""
        if run.id not in self._drawn:
            self._drawn[run.id] = await draw(self._store, run, SHARED_METRICS)
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
                self._drawn[stored.id] = await draw(self._store, known.get(stored.id, stored), SHARED_METRICS)
        for gone in set(self._drawn) - {run.id for run in latest}:
            del self._drawn[gone]
        self._changed()
