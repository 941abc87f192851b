"""The chart of a run: its curves, downsampled as they grow, and what is known of its data."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from pydantic import ValidationError

from app.charts.trajectory import Trajectory
from app.errors import DamagedError
from app.schemas.view import StepRange
from app.storage.batch import Batch, Floats
from app.storage.chunks import Times
from app.storage.downsampling import Curve
from app.storage.records import RunRecord
from app.storage.store import Store
from trainers import METHODS
from trainers.method import BEFORE_UPDATE
from trainers.problem import Parabola, make_data
from trainers.theory.cost_surface import CostSurface

log = logging.getLogger("lossboard.charts")

MAX_SAMPLES = 20_000  # kept of a run's data, to be drawn one by one
MAX_TIMES = 4000


@dataclass
class RunChart:
    """A run with its downsampled curves; the cost of its data is a ``parabola`` for models with one parameter, a
    ``surface`` for those with w and b, whose path over it is the ``trajectory``."""

    run: RunRecord
    names: frozenset[str] | None = None  # metrics to keep; None for all
    parabola: Parabola | None = None
    surface: CostSurface | None = None
    data: tuple[Floats, Floats] | None = None  # x and y, the first of them, to be shown one by one
    samples: int = 0  # how many there are in all
    updates_per_epoch: int | None = None
    lr_limit: float | None = None  # the learning rate from which on it diverges, where that is known and of use
    detail: StepRange | None = None  # the only steps that are drawn; None for all
    curves: dict[str, Curve] = field(default_factory=dict)
    trajectory: Trajectory = field(default_factory=Trajectory)
    times: Times = field(default_factory=list)
    next_seq: int = 0  # the number of the first record that is not in the chart

    def append(self, batch: Batch) -> bool:
        """Draw the records of a batch that came in just now. False if some before it are missing."""
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
        """Draw what is stored and not in the chart yet, a bounded part at a time."""
        ends = (self.detail.from_step, self.detail.to_step) if self.detail else ()
        count = await store.count(self.run)
        while batches := await store.some_batches(self.run, self.next_seq, 200, *ends):
            for batch in batches:
                self._draw(batch.after(self.next_seq))
        self.next_seq = max(self.next_seq, count)  # what lies outside of the detail is not read
        self.times = await store.times(self.run)

    @property
    def is_descent(self) -> bool:
        """Whether the run is a built-in descent: its positions count updates, and position 0 is before the first."""
        method = METHODS.get(self.run.method)
        return method is not None and method.kind == "descent"

    @cached_property
    def initial(self) -> dict[str, float]:
        """A descent's parameters before its first update, by name; none of searches, of scripts, and of a run whose
        stored parameters are damaged. Those that may change while it runs have no part in them."""
        if not self.is_descent:
            return {}
        method = METHODS[self.run.method]
        try:
            params = method.params.model_validate(self.run.params)
        except ValidationError:
            return {}
        return method.initial(params)

    def positions(self, metric: str, steps: Floats) -> Floats:
        """Where the values of a metric at these steps lie along an axis, of the same shape.

        Position k of a descent is after k updates. A point of step k tells the loss and the gradient before update
        k + 1, so at position k, and all else after it, at position k + 1. Those of searches and scripts are steps.
        """
        return steps + 1 if self.is_descent and metric not in BEFORE_UPDATE else steps

    def points(self, metric: str, at_most: int) -> tuple[Floats, Floats]:
        """Positions and values of at most ``at_most`` points (2 or more) of a metric, in order; of a descent's
        parameter, what it was before the first update comes first."""
        curve = self.curves.get(metric)
        if curve is None or not curve.total:
            return np.empty(0), np.empty(0)
        begins = self.detail is None or self.detail.from_step <= 0
        if metric not in self.initial or not begins:
            steps, values = curve.points(at_most)
            return self.positions(metric, steps), values
        steps, values = curve.points(max(2, at_most - 1))
        return np.append(0.0, self.positions(metric, steps)), np.append(self.initial[metric], values)

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
        if self.surface and {"w", "b"} <= set(new.names):
            self.trajectory.append(rows[:, [0, 1 + new.names.index("w"), 1 + new.names.index("b")]])


async def draw(
    store: Store, run: RunRecord, names: frozenset[str] | None = None, detail: StepRange | None = None
) -> RunChart:
    """The chart of a stored run. GoneError if it is deleted meanwhile."""
    drawn = RunChart(run, names, detail=detail)
    await prepare(drawn, store)
    return drawn


async def prepare(drawn: RunChart, store: Store) -> None:
    """Give a new chart what belongs to its run: the data, what is known of it, and the stored points."""
    try:
        await _prepare_data(drawn, store)
    except (DamagedError, ValidationError) as error:  # its curves are drawn without
        log.info("the data and params of run %s are not shown: %s", drawn.run.id, error)
    await drawn.catch_up(store)


async def _prepare_data(drawn: RunChart, store: Store) -> None:
    run = drawn.run
    if run.data_hash and run.method in METHODS:
        method = METHODS[run.method]
        data = await store.get_data(run)
        params = method.params.model_validate(run.params)
        drawn.data, drawn.samples = (data[0][:MAX_SAMPLES].copy(), data[1][:MAX_SAMPLES].copy()), len(data[0])
        drawn.updates_per_epoch = method.updates_per_epoch(params, drawn.samples)
        if "lr" in run.varied:
            drawn.lr_limit = method.lr_limit(params, make_data(*data))
        if method.one_parameter:
            drawn.parabola = parabola_of(data)
        elif drawn.names is None:
            drawn.surface = CostSurface.of(make_data(*data))


def parabola_of(data: tuple[Floats, Floats]) -> Parabola:
    """The cost of a one-parameter model on this data, as a function of w."""
    return Parabola.of(make_data(*data))
