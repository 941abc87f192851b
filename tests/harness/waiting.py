"""Waiting for what must come, in async tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.harness.boards import PATIENCE


async def until(question: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once the answer is true. TimeoutError if it never is."""
    async with asyncio.timeout(seconds):
        while not question():  # noqa: ASYNC110  (what is waited for says nothing by itself)
            await asyncio.sleep(0.01)
