"""What tests of lossboard_extras share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lossboard
from tests.extras.fake_run import FakeRun
from tests.extras.script_run import ScriptRun


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs that were begun."""
    runs: list[FakeRun] = []

    def begin(**about: Any) -> FakeRun:
        runs.append(FakeRun(**about))
        return runs[-1]

    monkeypatch.setattr(lossboard, "run", begin)
    return runs


@pytest.fixture
def new_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., ScriptRun]]:
    """Begin runs of which no board hears."""
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    begun: list[ScriptRun] = []

    def begin(**about: Any) -> ScriptRun:
        begun.append(ScriptRun(**about))
        return begun[-1]

    yield begin
    for run in begun:
        run.silence("the test is over")


@pytest.fixture
def run(new_run: Callable[..., ScriptRun]) -> ScriptRun:
    return new_run()
