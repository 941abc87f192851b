"""A real database that a test can fill up or stop, and in which it can hold one task at a time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from app.errors import UnavailableError
from app.storage.database import Database, Work
from tests.harness.waiting import until

type Access = Literal["read", "write"]


class GatedDatabase(Database):
    """A database whose disk is full while ``full`` is True; ``waiting`` counts what is to be written and is not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.full = False
        self.waiting = 0
        self._gates: dict[tuple[asyncio.Task[Any] | None, Access], _Gate] = {}

    @asynccontextmanager
    async def held(self, doing: Coroutine[Any, Any, Any], at: Access = "write") -> AsyncIterator[None]:
        """While the block runs, ``doing`` waits: its first write is on disk, or its first read is made, and it has not
        heard of it. After the block it is done."""
        task = asyncio.create_task(doing)
        gate = self._gates[task, at] = _Gate()
        await until(lambda: gate.reached or task.done())
        assert gate.reached, f"it has come to its end without a {at}"
        try:
            yield
        finally:
            gate.open.set()
            await task

    @asynccontextmanager
    async def stuck(self) -> AsyncIterator[None]:
        """While the block runs, what is to be written waits."""
        reached, done = threading.Event(), threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            reached.set()
            done.wait()

        waiting = asyncio.create_task(super().write(wait))
        await until(reached.is_set)
        try:
            yield
        finally:
            done.set()
            await waiting

    async def write[T](self, work: Work[T]) -> T:
        if self.full:
            raise UnavailableError("The disk is full.")
        self.waiting += 1
        value = await super().write(work)
        self.waiting -= 1
        await self._pass("write")
        return value

    async def read[T](self, work: Work[T]) -> T:
        value = await super().read(work)
        await self._pass("read")
        return value

    async def _pass(self, access: Access) -> None:
        gate = self._gates.pop((asyncio.current_task(), access), None)
        if gate is not None:
            gate.reached = True
            await gate.open.wait()


class _Gate:
    def __init__(self) -> None:
        self.reached = False
        self.open = asyncio.Event()
