"""What the tests of the client share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lossboard
from tests.harness.fake_board import FakeBoard


@pytest.fixture
def let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[lossboard.Run]]:
    """A list for runs whose journals are in tmp_path: at the end of the test they are given up, not waited for."""
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    runs: list[lossboard.Run] = []
    yield runs
    for run in runs:
        run.sender.done.set()
        run.sender.join()
        run.silence("the test is over")


@pytest.fixture
def fake() -> Iterator[FakeBoard]:
    """A board that answers as the test says."""
    with FakeBoard() as board:
        yield board
