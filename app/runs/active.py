"""Runs that have not ended: what is asked of each, who may change it now, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from app.errors import GoneError, NotFoundError, UnavailableError
from app.events import Subscribers
from app.runs.diagnosis import why_of
from app.runs.names import with_values
from app.schemas.responses import Control, Status
from app.storage.records import RunRecord
from app.storage.store import Store

log = logging.getLogger("lossboard.runs")

EXTERNAL = "external"  # the method of runs whose points come from a script
RETRY_S = 1.0  # between two tries to store what must be stored
ANSWER_S = 1.0  # that an answer waits for what is stored soon
CLOSING_S = 3.0  # that a board which ends tries to store how its runs ended


# What of a record changes when people ask something of the run.
_ASKED = ("status", "params", "asked", "name", "default_name", "why")


def may_come_back(record: RunRecord) -> bool:
    """Whether the run is one of a script that was thought lost: it goes on with its next points."""
    return record.method == EXTERNAL and record.status == "interrupted"


def control_of(record: RunRecord) -> Control:
    """All that is asked of a run: it may be told again and again, and changes nothing the second time."""
    asked = record.asked
    return Control(
        stop=bool(asked.get("stop")),
        pause=record.status == "paused" or (may_come_back(record) and bool(asked.get("hold"))),
        hold=asked.get("hold", ""),
        steps=asked.get("steps", 0),
        params=asked.get("params", {}),
        asked=asked.get("asked", {}),
        revision=asked.get("revision", 0),
    )


def ask(record: RunRecord, **asked: Any) -> None:
    """Ask something of a run. A new dictionary each time: copies of the record have the old one."""
    record.asked = record.asked | asked | {"revision": record.asked.get("revision", 0) + 1}


@dataclass
class Active:
    """A run that has not ended. What is asked of it is in its record, and so is still asked by the next board."""

    record: RunRecord
    launched: bool = False
    lost: bool = False  # its worker is gone, or could not be started; its end is not stored yet
    heard_at: float = 0.0  # time.monotonic() of its last post
    _deleting: bool = False

    @property
    def waits(self) -> bool:
        """Whether it spends its time waiting for its next step, and so takes no slot."""
        return self.paused or self.record.params.get("steps_per_second") is not None

    @property
    def paused(self) -> bool:
        return self.record.status == "paused"

    @property
    def stop_asked(self) -> bool:
        return bool(self.record.asked.get("stop"))

    @property
    def wants_to_start(self) -> bool:
        """Whether it waits for a worker: one that was paused in the queue does not, until a step is asked of it."""
        held = self.paused and not self.record.asked.get("steps")
        return not (self.launched or self.stop_asked or self._deleting or held)

    @property
    def control(self) -> Control:
        """All that is asked of the run."""
        return control_of(self.record)

    def pause(self, steps: int = 0) -> None:
        """Hold the run after so many steps. The hold is a new one: steps allowed in an earlier one are off."""
        self.record.status = "paused"
        self._ask(hold=uuid.uuid4().hex[:12], steps=steps)

    def step(self, steps: int) -> None:
        """Allow so many steps more, then hold."""
        if self.paused:
            self._ask(steps=self.record.asked.get("steps", 0) + steps)
        else:
            self.pause(steps)

    def resume(self) -> None:
        """Let the run go on, or back into the queue if it has no worker yet."""
        self.record.status = "running" if self.launched and self.record.started_at is not None else "queued"
        self._ask(hold="", steps=0)

    def change(self, params: dict[str, Any]) -> None:
        """Ask for other parameters."""
        self.record.params = self.record.params | params
        if not self.launched and self.record.default_name is not None:
            self.record.name = self.record.default_name = with_values(self.record.default_name, params)
        if self.launched:
            times = self.record.asked.get("asked", {})
            again = {name: times.get(name, 0) + 1 for name in params}
            self._ask(params=self.record.asked.get("params", {}) | params, asked=times | again)

    def stop(self) -> None:
        """Ask the run to end: that is never taken back."""
        self._ask(stop=True)

    @contextlib.contextmanager
    def or_as_before(self) -> Iterator[None]:
        """What is asked of the run in this block is asked only if the block ends without an exception; but for a stop,
        which is asked without a lock."""
        before = dataclasses.replace(self.record)
        try:
            yield
        except Exception:
            stopped = {"stop": True} if self.stop_asked else {}
            told = self.record.asked.get("revision", 0)  # somebody may have heard what is not asked after all
            for name in _ASKED:
                setattr(self.record, name, getattr(before, name))
            self.record.asked = self.record.asked | stopped | {"revision": told + 1}
            raise

    @contextlib.contextmanager
    def being_deleted(self) -> Iterator[None]:
        """The run is not started in this block."""
        self._deleting = True
        try:
            yield
        finally:
            self._deleting = False

    def _ask(self, **asked: Any) -> None:
        ask(self.record, **asked)


class ActiveRuns:
    """The runs that have not ended, by id, and a lock for each run. ``ended`` is notified whenever one has ended."""

    def __init__(self, store: Store, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """``sleep`` waits so many seconds."""
        self.ended = Subscribers[()]()
        self._store = store
        self._sleep = sleep
        self._active: dict[str, Active] = {}
        self._locks = WeakValueDictionary[str, asyncio.Lock]()
        self._tasks: set[asyncio.Task[None]] = set()  # what is being stored, or waits to be tried again

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
        self,
        active: Active,
        status: Status,
        error: str | None = None,
        result: dict[str, Any] | None = None,
        **told: Any,
    ) -> RunRecord:
        """Give a run, whose lock is held, its terminal status: on disk first, then for all to see. ``told``: other
        fields of its record that came with its end."""
        now = time.time()
        ended: dict[str, Any] = {"status": status, "error": error, "ended_at": now, "result": result or {}} | told
        record = dataclasses.replace(active.record, **ended)
        record.started_at = record.started_at or (now if active.launched else None)
        if record.started_at is not None and record.ended_at is not None:  # by two clocks, or told of one moment
            record.ended_at = max(record.ended_at, record.started_at)
        if status == "diverged":
            record.why = await why_of(self._store, record)
        await self._store.save_run(record)
        active.record = record
        self.remove(record.id)
        self.ended.notify()
        return record

    async def give_up(self, active: Active, status: Status, error: str | None = None) -> None:
        """End a run that has not ended by itself; one that was asked to stop, and would have failed, has stopped.

        Returns when that was tried: an end that cannot be stored is tried again until it is.
        """

        async def end() -> None:
            if active in self:
                stopped = status == "failed" and active.stop_asked
                await (self.end(active, "stopped") if stopped else self.end(active, status, error))

        await self.until_stored(active.record.id, "the end", end)

    async def interrupt_all(self, error: str) -> None:
        """End what is under way, as the board ends; for at most ``CLOSING_S``. Together: that is one write, not one for
        each. What cannot be stored is left to the next board."""
        for task in self._tasks:
            task.cancel()
        ending = [asyncio.create_task(self._interrupt(active, error)) for active in self]
        if not ending:
            return
        done, late = await asyncio.wait(ending, timeout=CLOSING_S)
        for task in late:
            task.cancel()
        if lost := [*late, *(task for task in done if task.exception())]:
            log.warning("the ends of %d runs could not be stored; the next board interrupts them", len(lost))

    async def until_stored(self, run_id: str, what: str, store: Callable[[], Awaitable[object]]) -> None:
        """Store something of a run, with its lock held. Returns when that was tried: what cannot be stored, as on a
        full disk or while another program holds the database, is tried again until it is."""
        try:
            async with self.lock(run_id):
                await store()
        except UnavailableError as failure:
            why = failure.__cause__ or failure
            log.warning("%s of run %s could not be stored (%s); it is tried again until it is", what, run_id, why)
            self._run_in_background(self._try_again(run_id, store))

    async def store_soon(self, run_id: str, what: str, store: Callable[[], Awaitable[object]]) -> None:
        """As ``until_stored``, and returns after ``ANSWER_S`` at the latest."""
        await asyncio.wait({self._run_in_background(self.until_stored(run_id, what, store))}, timeout=ANSWER_S)

    async def _try_again(self, run_id: str, store: Callable[[], Awaitable[object]]) -> None:
        stored = False
        while not stored:
            await self._sleep(RETRY_S)
            with contextlib.suppress(UnavailableError):
                async with self.lock(run_id):
                    await store()
                stored = True

    async def _interrupt(self, active: Active, error: str) -> None:
        async with self.lock(active.record.id):
            if active in self:
                stopped = active.stop_asked and not active.launched
                await (self.end(active, "stopped") if stopped else self.end(active, "interrupted", error))

    def _run_in_background(self, doing: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
