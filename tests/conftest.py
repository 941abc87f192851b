"""What every test may ask for: a board of its own, or one that many tests share."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from app.storage.database import Database
from app.storage.store import Store
from tests.harness.boards import BoardProcess

# Whoever else logs in to the machine that runs the tests: a board asks for a token where a test has it do so.
os.environ["LOSSBOARD_TOKEN"] = "off"

# How long an example takes, and to draw it, depends on what else the machine does.
settings.register_profile("untimed", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def processes_that_heed_sigint() -> Iterator[None]:
    """Let the processes that tests start take SIGINT as a user's do, whoever starts the suite.

    The background job of a shell script ignores SIGINT, and a signal that is ignored stays so in every child process.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def shared_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    """The board of ``board``."""
    with BoardProcess(tmp_path_factory.mktemp("board")) as running:
        yield running


@pytest.fixture
def board(shared_board: BoardProcess) -> Iterator[BoardProcess]:
    """A board that many tests use, one after the other; each finds it without runs, and as it is when it is new."""
    yield shared_board
    shared_board.clear()


@pytest.fixture
def new_board(tmp_path: Path) -> Iterator[Callable[..., BoardProcess]]:
    """Make boards of a test's own; each is started by the test and ended after it."""
    made: list[BoardProcess] = []

    def make(folder: Path | None = None, **environment: str) -> BoardProcess:
        made.append(BoardProcess(folder or tmp_path / "data", **environment))
        return made[-1]

    yield make
    for one in made:
        if hasattr(one, "process"):
            one.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store, on disk."""
    store = Store(Database(tmp_path / "db"))
    yield store
    store.close()
