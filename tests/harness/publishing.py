"""A publisher with all that it works on, and a Visdom that remembers what it was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from app.charts.latest import LatestRuns
from app.charts.view_state import ViewState
from app.storage.batch import Batch
from app.storage.records import RunRecord
from app.storage.store import Store
from app.visdom.publisher import Publisher
from tests.harness.fake_visdom import FakeVisdom
from tests.harness.gated_database import GatedDatabase


class Stage:
    """A publisher with the latest runs, a view, a real store, and a Visdom that is a fake."""

    def __init__(self, folder: Path) -> None:
        self.database = GatedDatabase(folder / "db")
        self.store = Store(self.database)
        self.visdom = FakeVisdom()
        self.is_up = True
        self.view_state = ViewState(self.store)
        self.latest = LatestRuns(self.store, 8)
        self.listeners: list[Callable[[], None]] = []  # called whenever a state is told
        self.publisher = Publisher(
            self.store,
            self.visdom,  # type: ignore[arg-type]
            self.latest,
            self.view_state,
            lambda: self.is_up,
            state_changed=self.tell,
        )

    def tell(self) -> None:
        for listener in self.listeners:
            listener()

    async def add(self, number: int = 1, points: int = 3, **record: Any) -> RunRecord:
        method = "gd" if record else "external"
        run = RunRecord(f"{number:032x}", f"run {number}", method, {}, "running", 0.0, started_at=1.0, **record)
        await self.store.add_run(run)
        await self.latest.load()
        await self.feed(run, 0, points)
        return run

    async def feed(self, run: RunRecord, seq: int, points: int) -> None:
        steps = np.arange(seq, seq + points, dtype=float)
        batch = Batch(seq, ("loss",), np.column_stack([steps, steps]))
        await self.store.append(run, batch)

    async def change_nothing(self) -> None:
        """Let the publisher look whether a shared window is to be sent."""
        await self.view_state.change(self.view_state.get())

    def shown(self, win: str = "loss", env: str = "lossboard") -> list[float]:
        window = self.visdom.windows.get((env, win))
        return window["data"][0]["x"] if window else []

    def shared(self) -> set[str]:
        """The shared windows that a browser would show."""
        return {win for env, win in self.visdom.windows if env == "lossboard"}


@asynccontextmanager
async def publishing(folder: Path) -> AsyncIterator[Stage]:
    stage = Stage(folder)
    tasks = [
        asyncio.create_task(stage.publisher.publish_shared()),
        asyncio.create_task(stage.publisher.publish_selected_run()),
        asyncio.create_task(stage.publisher.publish_single_runs()),
        asyncio.create_task(stage.publisher.replace_lost()),
    ]
    try:
        yield stage
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        stage.store.close()
