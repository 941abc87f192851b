"""The parts of a board that have to do with runs, in one process: a real store, and workers that are not there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import numpy as np

from app.charts.latest import LatestRuns
from app.runs.active import ActiveRuns
from app.runs.control import RunControl
from app.runs.ingest import Ingest
from app.runs.scheduler import Limits, Scheduler
from app.runs.service import RunService
from app.runs.table import RunTable
from app.runs.validation import plan_race, plan_run
from app.schemas.requests import Ending, RaceIn, RunIn
from app.schemas.responses import Accepted, Status
from app.storage.batch import Batch
from app.storage.records import RunRecord
from app.storage.store import Store
from tests.harness.fake_executor import FakeExecutor
from tests.harness.gated_database import GatedDatabase
from tests.harness.waiting import until

URL = "http://board"


class FakeJournals:
    """What workers left behind: ``endings`` are those that they could not send, by run id; ``collected`` the runs whose
    journal was read, in order. While ``refused`` is True, the board takes nothing of them."""

    def __init__(self) -> None:
        self.endings: dict[str, Ending] = {}
        self.collected: list[str] = []
        self.refused = False
        self.ingest: Ingest

    async def collect(self, run_id: str = "*") -> bool:
        self.collected.append(run_id)
        if self.refused:
            return False
        if ending := self.endings.get(run_id):
            await self.ingest.finish(run_id, ending)
        return True


class FakeSleep:
    """Stands for asyncio.sleep: the test says when the time has come. ``asked`` are the seconds of those who wait."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        over = self._over
        try:
            await over.wait()
        except asyncio.CancelledError:
            if not over.is_set():
                self.asked.remove(seconds)
            raise

    def over(self) -> None:
        """All who sleep wake up."""
        self.asked.clear()
        self._over.set()
        self._over = asyncio.Event()


class Runs:
    """Everything that app.runs consists of, as app.services puts it together."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.database = GatedDatabase(folder / "db")
        self.store = Store(self.database)
        self.executor = FakeExecutor()
        self.journals: Any = FakeJournals()
        self.sleep = FakeSleep()
        self.active = ActiveRuns(self.store, self.sleep)
        self.latest = LatestRuns(self.store, 8, self.active.newest)
        self.scheduler = Scheduler(
            self.active, self.executor, self.journals, limits, url=URL, data_dir=folder, sleep=self.sleep
        )
        self.now = 1e9  # seconds since 1970, as the service's clock tells
        self.service = RunService(
            self.store, self.active, self.scheduler, self.latest, sleep=self.sleep, clock=lambda: self.now
        )
        self.table = RunTable(self.store, self.active, self.sleep)
        self.control = RunControl(self.store, self.active, self.scheduler)
        self.ingest = self.journals.ingest = Ingest(self.store, self.active)

    async def queue(self, method: str = "gd", **params: Any) -> str:
        """Make a run, which gets a worker if there is room for one; its id."""
        return (await self.service.create(plan_run(RunIn(method=method, params=params)))).id

    async def queue_on(self, x: list[float], y: list[float]) -> str:
        """As ``queue``, on this data."""
        return (
            await self.service.create(plan_run(RunIn.model_validate({"method": "gd", "data": {"x": x, "y": y}})))
        ).id

    async def start(self, method: str = "gd", **params: Any) -> str:
        """Make a run that has a worker and its first point; its id."""
        run_id = await self.queue(method, **params)
        assert run_id in self.executor.at_work
        await self.post(run_id, 0, 5.0)
        return run_id

    async def race(self, **body: Any) -> tuple[str, list[RunRecord]]:
        """Make a race; the name of its group, and its runs."""
        return await self.service.create_race(plan_race(RaceIn(**body)))

    async def script(self, **params: Any) -> str:
        """Make a run whose points come from a script; its id."""
        record, _ = await self.service.create_external("", "script", params, None)
        return record.id

    async def post(self, run_id: str, seq: int, *losses: float) -> Accepted:
        """Send a batch: these losses, at the steps from ``seq`` on."""
        return await self.ingest.add_points(run_id, losses_from(seq, *losses))

    async def finish(self, run_id: str, status: str = "finished", **ending: Any) -> RunRecord:
        """Say how a run ended."""
        return await self.ingest.finish(run_id, Ending(status=status, **ending))

    async def status(self, run_id: str) -> Status:
        """The status that a run shows."""
        return (await self.service.get(run_id)).status

    async def stored(self, run_id: str) -> RunRecord:
        """A run as it is on disk."""
        record = await self.store.get_run(run_id)
        assert record is not None
        return record

    async def losses(self, run_id: str) -> list[float]:
        """All losses of a run that are on disk."""
        batches = await self.store.some_batches(await self.stored(run_id), 0, 1000)
        return [float(loss) for batch in batches for loss in batch.rows[:, 1]]

    async def meet[T](self, run_id: str, doing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start what needs the lock of a run that somebody holds; return once it waits for it."""
        task = asyncio.create_task(doing)
        await until(lambda: task.done() or "waiters" in repr(self.active.lock(run_id)))
        return task

    async def settled(self) -> None:
        """Return once all that is done in the background is done, or sleeps."""
        await until(lambda: len(self.scheduler._tasks) + len(self.active._tasks) == len(self.sleep.asked))

    async def later(self) -> None:
        """Let those who sleep wake up, and return once that is done, or they sleep again."""
        await self.settled()
        self.sleep.over()
        await self.settled()

    async def close(self) -> None:
        """Let everything end that is under way, then let go of the file."""
        await self.later()
        for task in self.active._tasks | self.scheduler._tasks:
            task.cancel()
        self.store.close()


def losses_from(seq: int, *losses: float) -> Batch:
    """A batch of these losses, at the steps from ``seq`` on."""
    steps = np.arange(seq, seq + len(losses), dtype=float)
    return Batch(seq, ("loss",), np.column_stack([steps, np.array(losses, dtype=float)]))
