"""What is asked of a run, told to whoever waits for it as soon as it changes."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import suppress

from app.errors import ConflictError, UnavailableError
from app.runs.active import ActiveRuns, control_of, may_come_back
from app.schemas.responses import Control, ControlVersion
from app.storage.records import RunDeleted, RunEvent, RunRecord, RunSaved
from app.storage.store import Store


class ControlWatch:
    """Those who wait for what is asked of runs. A response to points tells the same, later."""

    def __init__(self, store: Store, active: ActiveRuns) -> None:
        self._active = active
        self._waiting: dict[str, set[asyncio.Event]] = {}  # by run id
        self._closed = False
        store.subscribe(self._follow)

    async def wait(self, run_id: str, known: str, wait_s: float) -> ControlVersion:
        """What is asked of a run: at once, if that is another version than the ``known`` one, else as soon as it
        changes, or after ``wait_s`` seconds as it is. NotFoundError, GoneError; ConflictError if the run has ended;
        UnavailableError if the board does."""
        changed = asyncio.Event()
        self._waiting.setdefault(run_id, set()).add(changed)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    while (await self._asked(run_id)).version == known:
                        await changed.wait()
                        changed.clear()
            return await self._asked(run_id)
        finally:
            self._waiting[run_id].discard(changed)
            if not self._waiting[run_id]:
                del self._waiting[run_id]

    def close(self) -> None:
        """Let go of all who wait: they would hold up the exit."""
        self._closed = True
        for run_id in list(self._waiting):
            self._tell(run_id)

    async def _asked(self, run_id: str) -> ControlVersion:
        if self._closed:
            raise UnavailableError("The board is ending; ask the next one.")
        active = self._active.get(run_id)
        control = active.control if active else _of_one_away(await self._active.find(run_id))
        return ControlVersion(version=f"{zlib.crc32(control.model_dump_json().encode()):08x}", control=control)

    def _follow(self, event: RunEvent) -> None:
        match event:
            case RunSaved(run) | RunDeleted(run):
                self._tell(run.id)

    def _tell(self, run_id: str) -> None:
        for changed in self._waiting.get(run_id, ()):
            changed.set()


def _of_one_away(record: RunRecord) -> Control:
    """What is asked of a script that was thought lost."""
    if not may_come_back(record):
        raise ConflictError(f"This run has ended ({record.status}); nothing is asked of it any more.")
    return control_of(record)
