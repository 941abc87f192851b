"""The table of runs: all records in memory, so that ten thousand are searched and sorted within a page's time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from app.errors import UnavailableError
from app.runs.active import ActiveRuns
from app.runs.search import parse_search, parse_sort, sort_runs
from app.storage.records import PointsAdded, RunDeleted, RunEvent, RunRecord, RunSaved
from app.storage.store import Store

log = logging.getLogger("lossboard.runs")

AT_ONCE = 500  # records read from the store in one go
RETRY_S = 1.0
MAX_NAMES = 2000  # of one kind of column
MAX_CHOICES = 1000  # groups, and tags


@dataclass(frozen=True)
class Columns:
    """What runs have, each list with what most of them have first: names of parameters, of metrics, of entries of a
    summary and of a result; groups and tags."""

    params: list[str]
    metrics: list[str]
    summary: list[str]
    result: list[str]
    groups: list[str]
    tags: list[str]


class RunTable:
    """Every run's record, kept as the store tells of changes."""

    def __init__(
        self, store: Store, active: ActiveRuns, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        """``sleep`` waits so many seconds."""
        self._store = store
        self._active = active
        self._sleep = sleep
        self._records: dict[str, RunRecord] = {}
        self._deleted: set[str] = set()  # while records are read, which may have been stored before
        self._loaded = asyncio.Event()
        store.subscribe(self._follow)

    async def load(self) -> None:
        """Read all records, once; until then ``page`` and ``columns`` wait."""
        read = 0
        while stored := await self._read_after(read):
            for record in stored:
                if record.id not in self._deleted:
                    self._records.setdefault(record.id, record)
            read = stored[-1].number
        self._deleted.clear()
        self._loaded.set()

    async def page(
        self, *, search: str, sort: str, status: str | None, group: str | None, limit: int, offset: int
    ) -> tuple[list[RunRecord], int]:
        """Runs that are searched for, in an order, and how many there are in all. InvalidError names what of ``search``
        or ``sort`` cannot be understood."""
        is_wanted, keys = parse_search(search), parse_sort(sort)

        def find(records: list[RunRecord]) -> list[RunRecord]:
            if status is not None:
                records = [run for run in records if run.status == status]
            if group is not None:
                records = [run for run in records if run.group == group]
            return sort_runs([run for run in records if is_wanted(run)] if search else records, keys)

        found = await asyncio.to_thread(find, await self._all())
        return found[offset : offset + limit], len(found)

    async def columns(self) -> Columns:
        """What runs have that may be a column of a table, or be searched for."""
        records = await self._all()

        return await asyncio.to_thread(_columns_of, records)

    async def _read_after(self, number: int) -> list[RunRecord]:
        while True:
            try:
                return await self._store.runs_after(number, AT_ONCE)
            except UnavailableError as error:
                log.info("the runs cannot be read: %s", error)
            await self._sleep(RETRY_S)

    async def _all(self) -> list[RunRecord]:
        """The records as they are now."""
        await self._loaded.wait()
        now = {active.record.id: active.record for active in self._active}  # of the others the store has told all
        return [*(self._records | now).values()]

    def _follow(self, event: RunEvent) -> None:
        match event:
            case RunSaved(run) | PointsAdded(run):
                if run.deleted_at is None:
                    self._records[run.id] = run
                    self._deleted.discard(run.id)
            case RunDeleted(run):
                self._records.pop(run.id, None)
                if not self._loaded.is_set():
                    self._deleted.add(run.id)


def _columns_of(records: Sequence[RunRecord]) -> Columns:
    return Columns(
        params=_most_first(tuple(run.params) for run in records),
        metrics=_most_first(tuple(run.last) for run in records),
        summary=_most_first(tuple(run.summary) for run in records),
        result=_most_first(tuple(run.result) for run in records),
        groups=_most_first(((run.group,) for run in records if run.group), MAX_CHOICES),
        tags=_most_first((tuple(run.tags) for run in records), MAX_CHOICES),
    )


def _most_first(names: Iterable[tuple[str, ...]], most: int = MAX_NAMES) -> list[str]:
    """Each name once, those that occur most often first. Runs of one script have the same, which count at once."""
    counted = Counter[str]()
    for some, times in Counter(names).items():
        for name in some:
            counted[name] += times
    return [name for name, _ in counted.most_common(most)]
