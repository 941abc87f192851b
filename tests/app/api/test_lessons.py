"""Lessons can be started as they are, and what they say is so."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.lessons import LESSONS
from app.runs.validation import Plan, plan_run
from app.schemas.requests import RunIn
from app.schemas.responses import Lesson
from trainers.problem import Data


def plans(lesson: Lesson) -> list[Plan]:
    """What a lesson starts: one run, or one for each value that varies."""
    setup = lesson.setup.model_dump()
    vary: dict[str, list[Any]] = setup.pop("vary") or {"method": [setup["method"]]}
    ((name, values),) = vary.items()
    if setup["data"] is None:
        del setup["data"]
    bodies = [
        {**setup, "method": value} if name == "method" else {**setup, "params": {**setup["params"], name: value}}
        for value in values
    ]
    return [plan_run(RunIn.model_validate(body)) for body in bodies]


def losses(plan: Plan) -> list[float]:
    names = plan.method.metrics(plan.params)
    return [point[names.index("loss")] or 0.0 for point in plan.method.train(Data.of(*plan.data), plan.params)]


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_it_can_be_started_and_watched(lesson: Lesson) -> None:
    for plan in plans(lesson):
        assert plan.params.steps_per_second
        assert plan.total_steps / plan.params.steps_per_second <= 60
    assert lesson.question.rstrip(".").find("?") > 0
    assert lesson.text.count(". ") + lesson.text.count(": ") >= 1


def by_name(name: str) -> list[Plan]:
    return plans(next(lesson for lesson in LESSONS if lesson.name == name))


def test_three_rates_creep_arrive_and_zigzag() -> None:
    slow, good, zigzag = by_name("three-rates")
    assert losses(slow)[20] > 0.05
    assert losses(good)[5] < 1e-4
    assert "overshoots the minimum, but" in (zigzag.why or "")


def test_the_limit_is_the_limit() -> None:
    below, on, above = (losses(plan) for plan in by_name("limit"))
    assert below[-1] < below[0] / 10
    assert on[-1] == pytest.approx(on[0], rel=1e-6)
    assert above[-1] > 10 * above[0]


def test_single_samples_never_rest() -> None:
    gd, minibatch, sgd = by_name("noise")
    ends = []
    for plan in (gd, minibatch, sgd):
        names = plan.method.metrics(plan.params)
        ws = [point[names.index("w")] for point in plan.method.train(Data.of(*plan.data), plan.params)][-40:]
        ends.append(max(ws) - min(ws))  # type: ignore[type-var, operator]
    assert ends[0] < 1e-3 < ends[1] < ends[2]
