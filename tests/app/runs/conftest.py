"""What the tests of runs share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.runs.scheduler import Limits
from tests.harness.runs import Runs


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[Runs]:
    """A new board's runs; two workers may run at full speed, and two wait most of the time."""
    runs = Runs(tmp_path, Limits(running=2, waiting=2))
    await runs.service.recover()
    yield runs
    await runs.close()
