"""What an event stream tells while the store cannot be read, and of a run that is removed and had back at once."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from app.api import events as api
from app.errors import UnavailableError
from app.events import EventStreams
from app.storage.records import RunRecord

pytestmark = pytest.mark.anyio


class Unreadable:
    """Runs that can be read after so many tries."""

    def __init__(self, tries: int) -> None:
        self.tries = tries

    async def some(self, run_ids: set[str]) -> list[RunRecord]:
        self.tries -= 1
        if self.tries >= 0:
            raise UnavailableError("The database is locked.")
        return [RunRecord(run_id, "run", "external", {}, "running", 0.0) for run_id in sorted(run_ids)]


async def test_a_run_that_cannot_be_read_now_is_told_of_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "INTERVAL_S", 0)
    streams = EventStreams()
    services: Any = SimpleNamespace(streams=streams, runs=Unreadable(3), publisher=SimpleNamespace(state=None))
    services.visdom_state = services.shared_view = SimpleNamespace(model_dump_json=lambda: "{}")
    stream = await anext(api.open_stream(services))
    told = api.events(services, stream)
    assert [(await anext(told)).event for _ in range(4)] == ["visdom", "board", "viewers", "state"]
    streams.run_changed("1" * 32)
    event = await anext(told)
    assert (event.event, json.loads(event.raw_data)[0]["id"]) == ("runs", "1" * 32)
    assert services.runs.tries == -1
    await told.aclose()


async def test_of_a_run_that_is_restored_before_its_removal_was_told_the_removal_is_not_told() -> None:
    streams = EventStreams()
    async with streams.open() as stream:
        await stream.next()
        streams.run_removed("1" * 32)
        streams.run_changed("1" * 32)  # too late: it is told of no more
        streams.run_removed("2" * 32)
        streams.run_restored("1" * 32)
        changes = await stream.next()
        assert changes is not None
        assert (changes.runs, changes.removed) == ({"1" * 32}, {"2" * 32})


async def test_no_more_streams_are_open_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MAX_STREAMS", 2)
    services: Any = SimpleNamespace(streams=EventStreams())
    async with asynccontextmanager(api.open_stream)(services), asynccontextmanager(api.open_stream)(services):
        with pytest.raises(UnavailableError, match="2 event streams"):
            await anext(api.open_stream(services))
    assert services.streams.count == 0
    await anext(api.open_stream(services))
