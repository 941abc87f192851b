"""What tests of lossboard_extras share."""

from __future__ import annotations

from typing import Any

import pytest

import lossboard
from tests.extras.fake_run import FakeRun


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs that were begun."""
    runs: list[FakeRun] = []

    def begin(**about: Any) -> FakeRun:
        runs.append(FakeRun(**about))
        return runs[-1]

    monkeypatch.setattr(lossboard, "run", begin)
    return runs
