"""Runs that have not ended: what is asked of each, who may change it now, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

from app.errors import GoneError, NotFoundError, UnavailableError
from app.events import Subscribers
from app.runs.diagnosis import why_of
from app.schemas.responses import Control, Status
from app.storage.records import RunRecord
from app.storage.store import Store

log = logging.getLogger("lossboard.runs")

EXTERNAL = "external"  # the method of runs whose points come from a script


@dataclass
class Active:
    """A run that has not ended."""

    record: RunRecord
    launched: bool = False
    stop_asked: bool = False
    heard_at: float = 0.0  # time.monotonic() of its last post
    changed: dict[str, Any] = field(default_factory=dict)  # parameters changed since it was launched, as they are now
    _hold: str = ""
    _steps: int = 0

    @property
    def waits(self) -> bool:
        """Whether it spends its time waiting for its next step, and so takes no slot."""
        return self.paused or self.record.params.get("steps_per_second") is not None

    @property
    def paused(self) -> bool:
        return self.record.status == "paused"

    @property
    def wants_to_start(self) -> bool:
        """Whether it waits for a worker: one that was paused in the queue does not, until a step is asked of it."""
        return not self.launched and not self.stop_asked and (not self.paused or self._steps > 0)

    @property
    def control(self) -> Control:
        """All that is asked of the run: it may be told again and again, and changes nothing the second time."""
        return Control(stop=self.stop_asked, pause=self.paused, hold=self._hold, steps=self._steps, params=self.changed)

    def pause(self, steps: int = 0) -> None:
        """Hold the run after so many steps. The hold is a new one: steps allowed in an earlier one are off."""
        self.record.status = "paused"
        self._hold, self._steps = uuid.uuid4().hex[:12], steps

    def step(self, steps: int) -> None:
        """Allow so many steps more, then hold."""
        if self.paused:
            self._steps += steps
        else:
            self.pause(steps)

    def resume(self) -> None:
        """Let the run go on, or back into the queue if it has no worker yet."""
        self.record.status = "running" if self.launched and self.record.started_at is not None else "queued"
        self._hold, self._steps = "", 0

    def change(self, params: dict[str, Any]) -> None:
        """Ask for other parameters."""
        self.record.params = self.record.params | params
        if self.launched:
            self.changed = self.changed | params

    @contextlib.contextmanager
    def or_as_before(self) -> Iterator[None]:
        """What is asked of the run in this block is asked only if the block ends without an exception."""
        status, params, stop_asked = self.record.status, self.record.params, self.stop_asked
        changed, hold, steps = self.changed, self._hold, self._steps
        try:
            yield
        except Exception:
            self.record.status, self.record.params, self.stop_asked = status, params, stop_asked
            self.changed, self._hold, self._steps = changed, hold, steps
            raise


class ActiveRuns:
    """The runs that have not ended, by id, and a lock for each run. ``ended`` is notified whenever one has ended."""

    def __init__(self, store: Store) -> None:
        self.ended = Subscribers[()]()
        self._store = store
        self._active: dict[str, Active] = {}
        self._locks = WeakValueDictionary[str, asyncio.Lock]()

    def __iter__(self) -> Iterator[Active]:
        """Those there are now: a loop over them may wait, and others may come and go meanwhile."""
        return iter(list(self._active.values()))

    def __contains__(self, active: Active) -> bool:
        return self._active.get(active.record.id) is active

    def get(self, run_id: str) -> Active | None:
        """The run, if it has not ended."""
        return self._active.get(run_id)

    def add(self, active: Active) -> None:
        """A run is new, or goes on again."""
        self._active[active.record.id] = active

    def remove(self, run_id: str) -> None:
        """A run has ended, or is deleted."""
        self._active.pop(run_id, None)

    def lock(self, run_id: str) -> asyncio.Lock:
        """Held by whoever changes a run: what one call stores, no other undoes. No holder waits for another run's."""
        return self._locks.setdefault(run_id, asyncio.Lock())

    async def find(self, run_id: str) -> RunRecord:
        """The run, whether it has ended or not. NotFoundError, or GoneError if it was deleted."""
        if active := self._active.get(run_id):
            return active.record
        record = await self._store.get_run(run_id)
        if record is None:
            if await self._store.was_deleted(run_id):
                raise GoneError(f"The run {run_id} was deleted.")
            raise NotFoundError(f"There is no run {run_id!r}; GET /api/runs lists those there are.")
        return record

    def newest(self) -> Callable[[RunRecord], RunRecord]:
        """Called before runs are read from the store: what then gives the record of each as it is now, also if it
        starts or ends meanwhile."""
        before = self._active.copy()

        def newest_of(stored: RunRecord) -> RunRecord:
            active = self._active.get(stored.id) or before.get(stored.id)
            return active.record if active else stored

        return newest_of

    async def end(
        self, active: Active, status: Status, error: str | None = None, result: dict[str, Any] | None = None
    ) -> RunRecord:
        """Give a run, whose lock is held, its terminal status: on disk first, then for all to see."""
        now = time.time()
        record = dataclasses.replace(active.record, status=status, error=error, ended_at=now, result=result or {})
        record.started_at = record.started_at or (now if active.launched else None)
        if status == "diverged":
            record.why = await why_of(self._store, record)
        await self._store.save_run(record)
        active.record = record
        self.remove(record.id)
        self.ended.notify()
        return record

    async def give_up(self, active: Active, status: Status, error: str | None = None) -> None:
        """End a run that has not ended by itself."""
        async with self.lock(active.record.id):
            if active in self:
                try:
                    await self.end(active, status, error)
                except UnavailableError as failure:  # on a full disk it stays as it is; the next board interrupts it
                    log.warning("the end of run %s could not be stored: %s", active.record.id, failure)
