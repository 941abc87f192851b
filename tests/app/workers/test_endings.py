"""In which status a run ends."""

from __future__ import annotations

import math
from typing import Any

import pytest

from app.workers.worker import Training
from trainers import METHODS
from trainers.problem import TEXTBOOK


class FakeRun:
    """A run that is asked to stop after so many steps, and whose parameters are changed after others."""

    def __init__(self, stop_after: float = math.inf, changes: dict[int, dict[str, Any]] | None = None) -> None:
        self.control: dict[str, Any] = {}
        self.logged = 0
        self._stop_after = stop_after
        self._changes = changes or {}

    @property
    def should_stop(self) -> bool:
        return self.logged >= self._stop_after

    def steps_left(self, done: int) -> float:
        self.control = {"params": self._changes.get(done, self.control.get("params"))}
        return 1.0

    def log_table(self, _names: tuple[str, ...], table: Any) -> None:
        self.logged += len(table)

    def report_change(self, _step: int, _params: dict[str, Any]) -> None:
        """Nothing."""


def ended(method: str, run: FakeRun | None = None, **params: Any) -> tuple[str, dict[str, float]]:
    """The status and the result of a run on the textbook's data."""
    fake: Any = run or FakeRun()
    training = Training(fake, METHODS[method], METHODS[method].params(**params), TEXTBOOK, {})
    return training.go(), training.result


@pytest.mark.parametrize("method", ["gd", "sgd", "minibatch", "backprop"])
def test_a_descent_that_ends_far_above_where_it_began_has_diverged(method: str) -> None:
    status, result = ended(method, lr=0.3, epochs=60)
    assert status == "diverged"
    assert result.get("final_mse", math.inf) > 1e6


def test_the_cost_at_the_end_is_that_of_the_last_parameters() -> None:
    status, result = ended("gd", lr=0.1, epochs=2)
    w = 2 - (1 - 28 / 30) ** 2
    assert status == "finished"
    assert result["final_mse"] == pytest.approx(14 / 3 * (w - 2) ** 2)


def test_a_descent_that_is_stopped_in_its_explosion_has_diverged() -> None:
    assert ended("gd", FakeRun(stop_after=30), lr=0.3)[0] == "diverged"
    assert ended("gd", FakeRun(stop_after=2), lr=0.3)[0] == "stopped"


def test_what_comes_back_from_an_explosion_has_not_diverged() -> None:
    healing = FakeRun(changes={30: {"lr": 0.1}})
    assert ended("gd", healing, lr=0.3, epochs=60)[0] == "finished"


def test_a_run_that_begins_at_the_minimum_does_not_diverge() -> None:
    assert ended("gd", w0=2.0, lr=0.3)[0] == "finished"
    assert ended("sgd", w0=2.0, lr=0.3)[0] == "finished"


def test_a_search_ends_at_a_cost_of_any_size() -> None:
    status, result = ended("sweep", w_start=2.0, w_stop=1e6, w_step=1e5)
    assert (status, "final_mse" in result) == ("finished", False)


def test_the_range_of_numbers_ends_a_run_before_its_last_step() -> None:
    status, result = ended("gd", lr=1000, epochs=1000)
    assert (status, "final_mse" in result) == ("diverged", False)
