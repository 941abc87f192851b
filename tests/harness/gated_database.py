"""A real database that a test can fill up or stop, and in which it can hold one task at a time."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import Any, Literal

from app.errors import UnavailableError
from app.storage.database import Database, Work
from tests.harness.waiting import until

type Access = Literal["read", "write"]


class GatedDatabase(Database):
    """A database whose disk is full while ``full`` is True, and that another program holds while ``locked`` is (then it
    cannot be read either while ``unreadable`` is); ``waiting`` counts what is to be written and is not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.full = False
        self.locked = False
        self.unreadable = False
        self.waiting = 0

    @asynccontextmanager
    async def held(self, doing: Coroutine[Any, Any, Any], at: Access = "write") -> AsyncIterator[None]:
        """While the block runs, ``doing`` waits: its first write is on disk, or its first read is made, and it has not
        heard of it. After the block it is done."""
        gate = _Gate(at)
        context = copy_context()
        context.run(_gate.set, gate)
        task = asyncio.create_task(doing, context=context)
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
        if self.locked:
            raise UnavailableError("The database is locked.")
        self.waiting += 1
        value = await super().write(work)
        self.waiting -= 1
        await _pass("write")
        return value

    async def read[T](self, work: Work[T]) -> T:
        if self.unreadable:
            raise UnavailableError("The database is locked.")
        value = await super().read(work)
        await _pass("read")
        return value


class _Gate:
    def __init__(self, at: Access) -> None:
        self.at = at
        self.reached = False
        self.open = asyncio.Event()


_gate = ContextVar[_Gate | None]("gate", default=None)  # of a task, and of those that it starts


async def _pass(access: Access) -> None:
    gate = _gate.get()
    if gate is not None and gate.at == access and not gate.reached:
        gate.reached = True
        await gate.open.wait()
