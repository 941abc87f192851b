"""A scale only grows while runs go on: neither an explosion nor its end makes it jump there and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lossboard
from app.charts.run_chart import RunChart, parabola_of
from app.schemas.view import Axes, View
from app.storage.batch import Batch, Floats
from app.storage.records import RunRecord
from app.visdom.windows.layout import Window
from app.visdom.windows.shared import shared_windows
from app.visdom.windows.single_run import windows_at
from trainers import METHODS
from trainers.method import has_diverged
from trainers.problem import make_data
from trainers.theory.cost_surface import CostSurface

DATA = (np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
LOG = Axes(loss="log", w="log", cost="log", step="log")

type Range = tuple[float, float]


class Growing:
    """A run that is drawn point by point; `changes` are the learning rates that it is given, by step."""

    def __init__(self, number: int, method: str, changes: dict[int, float] | None = None, **params: Any) -> None:
        self.rows: list[list[float]] = []
        trainer = METHODS[method]
        live = trainer.params.model_validate(params)
        self.names = trainer.metrics(live)
        run = RunRecord(f"{number:032x}", f"run {number}", method, live.model_dump(), "running", 0.0, number)
        for step, point in enumerate(trainer.train(make_data(*DATA), live)):
            self.rows.append([step, *(lossboard.MISSING if value is None else value for value in point)])
            if has_diverged(point[0] or 0.0, point[1] or 0.0):
                break
            if changes and step in changes:
                live.lr = changes[step]  # type: ignore[attr-defined]
        parabola = parabola_of(DATA) if trainer.one_parameter else None
        self.chart = RunChart(run, None, parabola, None if parabola else CostSurface.of(make_data(*DATA)), DATA)

    def grow(self) -> None:
        """Draw the next point, if there is one."""
        at = self.chart.next_seq
        if at < len(self.rows):
            batch = Batch(at, self.names, np.array(self.rows[at : at + 1]))
            self.chart.append(batch)
            self.chart.run.step, self.chart.run.last = at, batch.point(0).values


def ranges(window: Window) -> dict[str, Range]:
    """What plotly shows of each axis of a window: the data, as far as the layout lets it; of a log scale the powers."""
    found = {}
    for letter in "xy":
        key = next(name for name in window.layout if name.startswith(f"{letter}axis"))
        options, log = window.layout[key].get("autorangeoptions", {}), window.layout[key].get("type") == "log"
        values = [value for trace in window.data for value in trace.get(letter) or [] if value is not None]
        values = [value for value in [*values, *np.ravel(options.get("include", []))] if value > 0 or not log]
        if not values:
            continue
        low, high = min(values), max(values)
        if window.data[0]["type"] == "scatter":  # and no contours, whose grid fills the axes
            low, high = max(low, options.get("clipmin", low)), min(high, options.get("clipmax", high))
        name = f"{window.win} {letter}"
        found[f"{name} (log)" if log else name] = (math.log10(low), math.log10(high)) if log else (low, high)
    return found


def check_growth(pictures: Iterator[list[Window]]) -> dict[str, Range]:
    """Every range of each picture holds that of the one before; the last ranges."""
    before: dict[str, Range] = {}
    for at, picture in enumerate(pictures):
        now = {name: found for window in picture if window.layout for name, found in ranges(window).items()}
        for name in before.keys() & now.keys():
            # less than a pixel; of a loss that is nothing but rounding some more
            slack = (1e-2 if "(log)" in name else 1e-4) * (before[name][1] - before[name][0])
            assert now[name][0] <= before[name][0] + slack, (at, name, before[name], now[name])
            assert now[name][1] >= before[name][1] - slack, (at, name, before[name], now[name])
        before |= now
    return before


def alone(one: Growing, axes: Axes) -> Iterator[list[Window]]:
    for _ in one.rows:
        one.grow()
        yield [
            window
            for window in windows_at(one.chart, None, 0, View(axes=axes))
            if window.win not in ("samples", "graph")
        ]


def together(runs: list[Growing], axes: Axes) -> Iterator[list[Window]]:
    charts = [one.chart for one in runs]
    for one in runs:
        one.grow()
    for _ in range(max(len(one.rows) for one in runs)):
        for one in runs:
            one.grow()
            yield shared_windows(charts, View(axes=axes))


@pytest.mark.parametrize("axes", [Axes(), LOG], ids=["linear", "log"])
@pytest.mark.parametrize("lr", [0.1, 0.22, 0.3, 1.0, 30.0])
def test_the_scales_of_a_run_alone_only_grow(lr: float, axes: Axes) -> None:
    check_growth(alone(Growing(1, "gd", lr=lr, epochs=100), axes))


@pytest.mark.parametrize("axes", [Axes(), LOG], ids=["linear", "log"])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("sgd", {"lr": 0.3, "epochs": 30}),
        ("sgd", {"lr": 0.1, "epochs": 30}),
        ("minibatch", {"lr": 0.3, "epochs": 30, "batch_size": 2}),
        ("backprop", {"lr": 0.05, "epochs": 60}),
        ("backprop", {"lr": 0.3, "epochs": 30}),
        ("torch", {"lr": 0.07, "epochs": 60}),
        ("torch", {"lr": 100, "epochs": 60, "optimizer": "adam"}),
    ],
)
def test_the_scales_of_every_method_only_grow(method: str, params: dict[str, Any], axes: Axes) -> None:
    check_growth(alone(Growing(1, method, **params), axes))


@pytest.mark.parametrize("axes", [Axes(), LOG], ids=["linear", "log"])
@pytest.mark.parametrize(
    "rates", [[0.01, 0.1, 0.2, 0.3, 1.0], [0.22, 0.3], [1.0, 0.22, 0.3], [0.1, 0.22], [1000.0, 0.1], [0.3]]
)
def test_the_scales_of_a_race_only_grow(rates: list[float], axes: Axes) -> None:
    check_growth(together([Growing(at, "gd", lr=lr, epochs=60) for at, lr in enumerate(rates, 1)], axes))


@pytest.mark.parametrize("axes", [Axes(), LOG], ids=["linear", "log"])
@pytest.mark.parametrize("until", [25, 40])
def test_a_run_that_comes_back_is_shown_whole(until: int, axes: Axes) -> None:
    one = Growing(1, "gd", {10: 0.3, until: 0.1}, lr=0.001, epochs=120)
    check_growth(alone(one, axes))
    losses = [row[1 + one.names.index("loss")] for row in one.rows]
    assert max(losses) > 1000 * losses[0]
    reach = one.chart.reach("loss")
    assert reach
    assert (reach.departed, reach.extent[1]) == (False, max(losses))
    calm = Growing(2, "gd", lr=0.01, epochs=120)
    check_growth(together([calm, Growing(1, "gd", {10: 0.3, until: 0.1}, lr=0.001, epochs=120)], axes))


def test_a_diverging_run_alone_is_shown_with_its_first_bounces() -> None:
    final = check_growth(alone(Growing(1, "gd", lr=0.3, epochs=60), Axes()))
    loss, w = final["metric-loss y"], final["metric-w y"]
    first = 14 / 3
    assert loss[1] == pytest.approx(first * 1.8**16, rel=0.1)  # eight updates, each 1.8 times as far from the minimum
    assert max(abs(end - 2) for end in w) == pytest.approx(1.8**8, rel=0.2)
    assert max(abs(end - 2) for end in final["cost x"]) == pytest.approx(1.8**8, rel=0.2)
    assert final["metric-loss x"][1] < 12


@pytest.mark.parametrize("lr", [0.3, 1.0])
def test_the_first_bounces_leave_no_scale(lr: float) -> None:
    one = Growing(1, "gd", lr=lr, epochs=60)
    for windows in list(alone(one, Axes()))[:8]:
        assert not [label for window in windows for label in window.layout.get("annotations", [])]


def test_a_run_that_diverges_slowly_is_shown_to_ten_times_its_start() -> None:
    final = check_growth(alone(Growing(1, "gd", lr=0.22, epochs=400), Axes()))
    assert final["metric-loss y"][1] == pytest.approx(10 * 14 / 3, rel=0.1)
    for name in ("metric-w y", "cost x"):
        assert max(abs(end - 2) for end in final[name]) == pytest.approx(10, rel=0.25)  # with the padding of the edges


def test_beside_others_a_diverging_run_has_no_more_than_ten_times_its_start() -> None:
    runs = [Growing(at, "gd", lr=lr, epochs=60) for at, lr in enumerate([0.01, 0.1, 0.2, 0.3, 1.0, 1000.0], 1)]
    final = check_growth(together(runs, Axes()))
    assert 14 / 3 <= final["loss y"][1] <= 10 * 14 / 3
    assert max(abs(end - 2) for end in final["w y"]) < 10
    assert max(abs(end - 2) for end in final["cost x"]) < 10
    assert final["loss x"][1] == final["w x"][1] == 60  # all updates of those that converge


def test_a_spike_of_a_script_is_no_explosion() -> None:
    losses = [1.0] * 60
    losses[30:33] = 5e7, 1e9, 4e6
    chart = RunChart(RunRecord("5" * 32, "script", "external", {}, "running", 0.0, 5), None)

    def pictures() -> Iterator[list[Window]]:
        for step, loss in enumerate(losses):
            chart.append(Batch(step, ("loss",), np.array([[step, loss]])))
            yield [*shared_windows([chart], View())[:1], *windows_at(chart)]

    final = check_growth(pictures())
    assert final["loss y"] == final["metric-loss y"] == (1, 1e9)


def test_a_script_that_grows_for_good_is_no_explosion_either() -> None:
    rewards: Floats = np.linspace(0, 5000, 500)
    chart = RunChart(RunRecord("5" * 32, "script", "external", {}, "running", 0.0, 5), None)
    chart.append(Batch(0, ("w", "loss"), np.column_stack([np.arange(500), rewards, rewards])))
    for window in shared_windows([chart], View())[:2]:
        assert ranges(window)[f"{window.win} y"][1] == 5000


def test_a_script_that_explodes_leaves_where_it_is_labelled() -> None:
    losses = 3.0 ** np.arange(100)
    chart = RunChart(RunRecord("5" * 32, "script", "external", {}, "running", 0.0, 5), None)
    chart.append(Batch(0, ("loss",), np.column_stack([np.arange(100), losses])))
    window = shared_windows([chart], View())[0]
    assert ranges(window)["loss y"][1] < 1e7
    assert window.layout["annotations"][0]["text"] == "script #5 leaves here: step 13"
