"""How many steps a slowed run takes, by a clock that the test sets."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from app.workers.worker import Training
from trainers import METHODS
from trainers.problem import make_data


class FakeRun:
    """A run that notes when its points were logged. Its clock moves only while it waits: each wait takes ``late``
    seconds more than it should, and all that is in ``sleeps`` besides: {the number of the step before: seconds}."""

    def __init__(self, steps: int, late: float = 0.0, sleeps: dict[int, float] | None = None) -> None:
        self.now = 1000.0
        self.logged_at: list[float] = []
        self.control: dict[str, Any] = {}
        self._steps = steps
        self._late = late
        self._sleeps = sleeps or {}

    @property
    def should_stop(self) -> bool:
        return len(self.logged_at) >= self._steps

    def steps_left(self, _taken: int) -> float:
        return math.inf

    def wait(self, seconds: float) -> None:
        self.now += seconds + self._late + self._sleeps.pop(len(self.logged_at), 0.0)

    def log_table(self, _names: tuple[str, ...], table: Any) -> None:
        self.logged_at += [self.now] * len(table)


def run_at(pace: float, run: FakeRun) -> list[float]:
    """When the steps of a run were taken, in seconds after the first."""
    method = METHODS["gd"]
    params = method.params.model_validate({"epochs": 100_000, "steps_per_second": pace})
    data = make_data([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    fake: Any = run
    Training(fake, method, params, data, {}, clock=lambda: run.now).go()
    return [at - run.logged_at[0] for at in run.logged_at]


@pytest.mark.parametrize("pace", [0.5, 5.0, 200.0])
def test_after_the_machines_sleep_a_run_keeps_its_pace(pace: float) -> None:
    steps = run_at(pace, FakeRun(21, sleeps={10: 60.0}))
    expected = [step / pace + (60.0 if step >= 10 else 0.0) for step in range(21)]
    assert steps == pytest.approx(expected)


def test_what_a_late_wait_costs_is_caught_up() -> None:
    steps = run_at(200.0, FakeRun(2001, late=0.003, sleeps={500: 0.2, 1000: 0.1}))
    assert steps[-1] == pytest.approx(2000 / 200.0, abs=0.01)
    assert max(after - before for before, after in itertools.pairwise(steps)) < 0.21
