"""Charts that are kept up to date with what is stored, for as long as some window shows them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from app.charts.run_chart import RunChart, draw, prepare
from app.errors import DamagedError, GoneError, UnavailableError
from app.events import Subscribers
from app.schemas.view import StepRange
from app.storage.batch import Batch
from app.storage.records import PointsAdded, RunDeleted, RunEvent, RunRecord, RunSaved
from app.storage.store import Store

log = logging.getLogger("lossboard.charts")

RETRY_S = 1.0  # after the store could not be read

type Kept = Callable[[RunRecord, Iterable[str]], frozenset[str] | None]
"""Of which metrics of a run, that has logged these, the curves are kept: as keys (see metric_names); None for all."""


def everything(*_: object) -> None:
    """Of every run the curves of all metrics are kept."""


class ChartCache:
    """The charts of some runs, by run id. It follows the store: new points are appended, a chart that missed some
    catches up, and that of a deleted run is dropped. Whoever draws them subscribes, and is called with the id of each
    run whose chart has changed or is gone."""

    def __init__(
        self,
        store: Store,
        kept: Kept = everything,
        most: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``kept`` is asked again when a run has logged another metric, and by ``keep``. ``most``: charts kept; the one
        opened longest ago goes. ``sleep`` waits so many seconds."""
        self.step_range: StepRange | None = None
        self._store = store
        self._kept = kept
        self._most = most
        self._sleep = sleep
        self._charts: dict[str, RunChart] = {}  # in the order in which they were opened last
        self._opening = asyncio.Lock()
        self._stale: set[str] = set()  # runs whose chart missed points
        self._filled: set[str] = set()  # those whose chart has later points already
        self._catching_up: dict[str, asyncio.Task[None]] = {}
        self._subscribers = Subscribers[str]()
        self.subscribe = self._subscribers.subscribe
        store.subscribe(self._follow)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._charts

    def get(self, run_id: str) -> RunChart | None:
        """The chart of this run, if it is kept."""
        return self._charts.get(run_id)

    def all(self) -> list[RunChart]:
        """Every chart, in the order in which their runs were made."""
        return sorted(self._charts.values(), key=lambda chart: chart.run.number)

    async def open(self, run: RunRecord) -> RunChart:
        """The chart of this run, made from the store unless it is there. GoneError if the run is deleted meanwhile."""
        async with self._opening:
            chart = self._charts.pop(run.id, None)
            if chart is not None:
                self._charts[run.id] = chart
                return chart
            # already now: it is told how the run goes on while it is prepared
            self._charts[run.id] = RunChart(run, detail=self.step_range)
            try:
                names = await self._store.metric_names(run)
                chart = self._charts[run.id] = self._begun(run, names)
                await prepare(chart, self._store)
                self._must_be_kept(run)
            except BaseException:
                self.drop(run.id)
                raise
            for oldest in list(self._charts)[: -self._most] if self._most else ():
                self.drop(oldest)
            self._subscribers.notify(run.id)
            return chart

    def _begun(self, run: RunRecord, names: Iterable[str]) -> RunChart:
        """A new chart of a run that has logged these metrics. GoneError if it was deleted meanwhile."""
        self._must_be_kept(run)
        now = self._charts[run.id].run
        chart = RunChart(now, self._kept(now, names), detail=self.step_range)
        chart.logged.update(dict.fromkeys(names))
        return chart

    def _must_be_kept(self, run: RunRecord) -> None:
        if run.id not in self._charts:
            raise GoneError(f"The run {run.id} was deleted.")

    def drop(self, run_id: str) -> None:
        """Keep this chart no longer; it is no error if there is none."""
        self._stale.discard(run_id)
        if self._charts.pop(run_id, None):
            self._subscribers.notify(run_id)

    async def show_range(self, step_range: StepRange | None) -> None:
        """Draw every chart anew, from these steps only; None for all."""
        async with self._opening:
            self.step_range = step_range
            for old in self.all():
                await self._redraw(old)

    async def keep(self) -> None:
        """Keep those curves that are wanted now: others go, and what lacks is read from the store."""
        async with self._opening:
            for chart in self.all():
                wanted = self._kept(chart.run, chart.logged)
                if chart.lacks(wanted):
                    await self._redraw(chart)
                elif chart.kept != wanted:
                    chart.keep_only(wanted)
                    self._subscribers.notify(chart.run.id)

    def _follow(self, event: RunEvent) -> None:
        match event:
            case RunSaved(run):
                if chart := self._charts.get(run.id):
                    chart.run = run
                    self._subscribers.notify(run.id)
            case PointsAdded(run, batch, fills_gap):
                if chart := self._charts.get(run.id):
                    chart.run = run
                    if not self._makes_room(chart, batch) or fills_gap:
                        self._filled.add(run.id)
                        self._catch_up_soon(run.id)
                    elif not chart.append(batch):
                        self._catch_up_soon(run.id)
                    self._subscribers.notify(run.id)
            case RunDeleted(run):
                self.drop(run.id)

    def _makes_room(self, chart: RunChart, batch: Batch) -> bool:
        """Before a batch with other metrics is drawn: let the chart keep those that are wanted. False where the earlier
        points of one are to be read first."""
        names = {**chart.logged, **dict.fromkeys(batch.names)}
        if len(names) == len(chart.logged):
            return True
        wanted = self._kept(chart.run, names)
        has_all = not chart.lacks(wanted)
        if has_all:
            chart.keep_only(wanted)
        chart.logged = names
        return has_all

    async def _redraw(self, old: RunChart) -> None:
        """With ``_opening`` held: draw the chart of a run anew, from what is stored."""
        run_id = old.run.id
        try:
            new = await self._drawn_anew(old)
            while run_id in self._charts and new.lacks(self._kept(old.run, new.logged)):  # other metrics came meanwhile
                new = await self._drawn_anew(old)
        except (GoneError, DamagedError):  # deleted in the meantime, or no longer readable
            self.drop(run_id)
            return
        new.run = old.run
        if run_id in self._charts:
            self._charts[run_id] = new
            self._subscribers.notify(run_id)

    async def _drawn_anew(self, old: RunChart) -> RunChart:
        new = await draw(self._store, old.run, self._kept(old.run, old.logged), self.step_range)
        before = -1
        while before < new.next_seq < old.next_seq:  # points came in the meantime; of a deleted run none can be read
            before = new.next_seq
            await new.catch_up(self._store)
        new.logged = {**old.logged, **new.logged}
        return new

    async def _bring_up_to_date(self, chart: RunChart) -> None:
        if chart.run.id not in self._filled:
            await chart.catch_up(self._store)
            return
        self._filled.discard(chart.run.id)
        try:
            async with self._opening:
                await self._redraw(chart)
        except UnavailableError:
            self._filled.add(chart.run.id)
            raise

    def _catch_up_soon(self, run_id: str) -> None:
        self._stale.add(run_id)
        if run_id not in self._catching_up:
            self._catching_up[run_id] = asyncio.create_task(self._catch_up(run_id))

    async def _catch_up(self, run_id: str) -> None:
        try:
            while run_id in self._stale:  # again, if more is missed while it catches up
                self._stale.discard(run_id)
                try:
                    if chart := self._charts.get(run_id):
                        await self._bring_up_to_date(chart)
                        self._subscribers.notify(run_id)
                except DamagedError as error:
                    log.info("the chart of run %s stays as it is: %s", run_id, error)
                except UnavailableError as error:
                    log.info("the chart of run %s waits: %s", run_id, error)
                    self._stale.add(run_id)
                    await self._sleep(RETRY_S)
        finally:
            del self._catching_up[run_id]
