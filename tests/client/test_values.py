"""What log() takes for a number, what it says of the rest, and in which steps. No board is needed."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossboard
from app.runs.journal_reader import read_journal

AWAY = "http://127.0.0.1:9"

type Points = list[dict[str, float]]


@pytest.fixture
def logged(tmp_path: Path, let_go: list[lossboard.Run]) -> Callable[[lossboard.Run], Points]:
    """A function that reads what a run has logged: each point's step and metrics, in order."""

    def read(run: lossboard.Run) -> Points:
        let_go.append(run)
        found = []
        for part in read_journal(tmp_path / "journals" / run.id).parts(0):
            for block in part.blocks:
                for step, number, *values in block.rows.tolist():
                    found.append((number, {"step": step, **dict(zip(block.names, values, strict=True))}))
        return [point for _, point in sorted(found, key=lambda one: one[0])]

    return read


@pytest.mark.parametrize(
    "value",
    [0.5, np.array([0.5]), np.array([[0.5]]), np.array(0.5), np.float32(0.5), Decimal("0.5"), "0.5"],
    ids=lambda value: f"{type(value).__name__} {np.shape(value)}",
)
def test_one_number_is_logged_whatever_holds_it(logged: Callable[..., Points], value: Any) -> None:
    run = lossboard.run("values", url=AWAY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy's of arrays of one element
        run.log(loss=1.0)
        run.log(loss=value)
    assert logged(run) == [{"step": 0, "loss": 1}, {"step": 1, "loss": 0.5}]


def test_each_metric_that_cannot_be_logged_is_named_once_for_each_cause(logged: Callable[..., Points]) -> None:
    run = lossboard.run("complaints", url=AWAY)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run.log(loss=1.0, acc=None)
        for _ in range(3):
            run.log(loss="n/a", acc=0.5)
        run.log(loss=[1, 2], acc=np.ones(2))
    causes = [str(one.message).partition("value of ")[2].split(" was")[0] for one in told]
    assert causes == ["'acc'", "'loss'", "'loss'", "'acc'"]
    assert [point.get("acc") for point in logged(run)] == [None, 0.5, 0.5, 0.5]


def test_a_warning_names_the_line_of_the_script(logged: Callable[..., Points]) -> None:
    run = lossboard.run("complaints", url=AWAY)
    with pytest.warns(UserWarning, match="a value of 'loss'") as told:
        run.log(loss=None)
    assert [Path(one.filename).name for one in told] == ["test_values.py"]
    logged(run)


def test_the_first_thousand_metrics_are_logged_and_the_rest_is_named(logged: Callable[..., Points]) -> None:
    run = lossboard.run("norms", url=AWAY)
    norms = {f"layer{number}": 0.1 for number in range(1200)}
    with pytest.warns(UserWarning, match="'layer999' and other new metrics are not logged: a run has at most 1000"):
        run.log(loss=0, **norms)
    run.log(loss=1, **norms)  # a second warning would be an error here
    run.log(loss=2, **norms)
    points = logged(run)
    assert [point["loss"] for point in points] == [0, 1, 2]
    assert {len(point) for point in points} == {1 + 1000}


def test_dictionaries_are_taken_and_nested_ones_are_paths(logged: Callable[..., Points]) -> None:
    run = lossboard.run("nested", url=AWAY)
    run.log({"train": {"loss": 1.0, "acc": {"top1": 0.5}}, "lr": 0.1})
    run.log({"loss": 2.0}, step=7)
    run.log(9, loss=3.0)
    run.log({"loss": 4.0}, acc=0.5)
    assert logged(run) == [
        {"step": 0, "train/loss": 1, "train/acc/top1": 0.5, "lr": 0.1},
        {"step": 7, "loss": 2},
        {"step": 9, "loss": 3},
        {"step": 10, "loss": 4, "acc": 0.5},
    ]


def test_a_dictionary_that_holds_itself_is_one_warning(logged: Callable[..., Points]) -> None:
    run = lossboard.run("loop", url=AWAY)
    loop: dict[str, Any] = {"loss": 1.0}
    loop["self"] = loop
    with pytest.warns(UserWarning, match="was not logged"):
        run.log(loop)
    assert logged(run)[0]["loss"] == 1


def test_threads_that_log_have_a_step_for_each_point(logged: Callable[..., Points]) -> None:
    run = lossboard.run("threads", url=AWAY)
    threads = [threading.Thread(target=lambda t=t: [run.log({f"m{t % 2}": n}) for n in range(500)]) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(point["step"] for point in logged(run)) == list(range(2000))


def test_metrics_that_come_apart_have_a_place_of_their_own(logged: Callable[..., Points], tmp_path: Path) -> None:
    """A point takes 16 bytes and 8 for each metric that it has, however many others the run has."""
    run = lossboard.run("tags", url=AWAY)
    for step in range(200):
        for tag in range(20):
            run.log({f"tag{tag}": step + tag}, step=step)
    points = logged(run)
    assert [(point.pop("step"), point) for point in points] == [
        (step, {f"tag{tag}": step + tag}) for step in range(200) for tag in range(20)
    ]
    _, records = run.journal.unsent(1 << 30)
    assert sum(map(len, records)) == 24 * len(points)


def test_sets_of_metrics_without_end_take_bounded_room(
    logged: Callable[..., Points], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lossboard, "_MAX_LAYOUTS", 4)
    run = lossboard.run("subsets", url=AWAY)
    sets = [{f"m{bit}": float(bit) for bit in range(4) if number >> bit & 1} for number in range(1, 16)]
    for metrics in sets:
        run.log(metrics)
    assert len(run.journal.blocks) <= 4 + 4  # those of all metrics there were by then
    kept = [{name: value for name, value in point.items() if not math.isnan(value)} for point in logged(run)]
    assert [{name: value for name, value in point.items() if name != "step"} for point in kept] == sets
