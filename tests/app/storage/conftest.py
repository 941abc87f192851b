"""A database that tests damage, copy and put back."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.harness.stored import fill


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without damage, which nobody has open; tests leave it as it is."""
    path = tmp_path_factory.mktemp("sound") / "db"
    asyncio.run(fill(path))
    return path


@pytest.fixture
def copied(tmp_path: Path, sound: Path) -> Path:
    """A copy of it."""
    shutil.copy(sound, tmp_path / "db")
    return tmp_path / "db"
