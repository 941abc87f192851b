"""The window of a group of scripts' runs: a parameter against a result."""

from __future__ import annotations

from typing import Any

from app.charts.run_chart import RunChart
from app.storage.records import RunRecord
from app.visdom.windows.group_results import group_window
from app.visdom.windows.layout import Window
from app.visdom.windows.race import race_windows


def run(number: int, params: dict[str, Any], group: str | None = "sweep", **best: list[float]) -> RunRecord:
    """A script's run."""
    return RunRecord(
        f"{number:032}", f"run {number}", "external", params, "finished", 0.0, number=number, group=group, best=best
    )


def points(window: Window | None) -> list[tuple[float, float]]:
    """What a window shows."""
    assert window is not None
    (trace,) = window.data
    return list(zip(trace["x"], trace["y"], strict=True))


def test_the_smallest_loss_is_drawn_over_the_parameter_that_differs() -> None:
    runs = [
        run(1, {"lr": 0.01, "optimizer": "sgd", "layers": 2}, loss=[0.5, 9.0], val_loss=[0.75, 8.0]),
        run(2, {"lr": 0.1, "optimizer": "adam", "layers": 2}, loss=[0.2, 9.0], val_loss=[0.25, 8.0]),
        run(3, {"lr": 0.3, "optimizer": "adam", "layers": 2}, loss=[0.1, 9.0]),
        run(4, {"lr": 0.3, "optimizer": "adam", "layers": 2}),  # which has logged nothing yet
    ]
    window = group_window("race", runs)
    assert points(window) == [(0.01, 0.5), (0.1, 0.2), (0.3, 0.1)]  # the metric that most of them have
    assert window is not None
    assert window.title == "loss against lr, sweep"
    assert window.data[0]["text"][0] == "run 1<br>lr 0.01<br>smallest loss 0.5"
    assert {window.layout[axis]["type"] for axis in ("xaxis2",)} == {"log"}
    assert points(group_window("race", runs[:2])) == [(0.01, 0.75), (0.1, 0.25)]  # a loss of validation


def test_of_an_accuracy_the_largest_value_is_drawn_and_a_seed_only_where_nothing_else_differs() -> None:
    runs = [run(seed, {"seed": seed, "depth": seed % 2}, acc=[0.0, seed / 10]) for seed in range(1, 4)]
    assert points(group_window("race", runs)) == [(1, 0.1), (0, 0.2), (1, 0.3)]
    for one in runs:
        del one.params["depth"]
    assert points(group_window("race", runs)) == [(1, 0.1), (2, 0.2), (3, 0.3)]


def test_runs_that_differ_in_no_number_or_have_no_metric_have_no_window() -> None:
    assert group_window("race", [run(1, {"lr": 1}, loss=[0, 1]), run(2, {"lr": 1}, loss=[0, 1])]) is None
    assert group_window("race", [run(1, {"lr": 1}, loss=[0, 1]), run(2, {"lr": "2"}, loss=[0, 1])]) is None
    assert group_window("race", [run(1, {"lr": 1}), run(2, {"lr": 2}, loss=[0, 1])]) is None
    assert group_window("race", [run(1, {"lr": 1}, loss=[0, 1]), run(2, {}, loss=[0, 1])]) is None


def test_the_group_is_that_of_the_newest_run() -> None:
    others = [run(1, {"lr": 1}, "before", loss=[9, 9])]
    runs = [run(number, {"lr": number}, loss=[number, 9]) for number in (2, 3)]
    (window,) = race_windows([RunChart(one) for one in [*others, *runs]])
    assert points(window) == [(2, 2), (3, 3)]
    assert race_windows([RunChart(run(4, {"lr": 1}, None, loss=[0, 1])), RunChart(run(5, {"lr": 2}, None))]) == []
