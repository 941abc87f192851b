"""What the tests of the client share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.fake_board import FakeBoard


@pytest.fixture
def fake() -> Iterator[FakeBoard]:
    """A board that answers as the test says."""
    with FakeBoard() as board:
        yield board
