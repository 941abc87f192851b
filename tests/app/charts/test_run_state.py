"""The state of a run at a position: its numbers belong together, calculated again with numpy."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from app.charts.run_chart import RunChart
from app.charts.run_state import newest_state, state_at
from app.schemas.view import StepRange
from app.storage.batch import Batch, Floats, Point
from app.storage.records import RunRecord
from tests.harness.charts import DATA, after, trained
from trainers import METHODS
from trainers.network import loss_and_gradient, parameter_names
from trainers.problem import make_data

X, Y = DATA
CASES: list[tuple[str, dict[str, Any]]] = [
    ("gd", {"lr": 0.02, "w0": -3.0}),
    ("sgd", {"lr": 0.01}),
    ("sgd", {"lr": 0.01, "order": "sequential"}),
    ("minibatch", {"lr": 0.01}),
    ("minibatch", {"lr": 0.01, "batch_size": 3}),
    ("autograd", {"lr": 0.01}),
    ("torch", {"lr": 0.01}),
    ("torch", {"lr": 0.03, "reduction": "mean"}),
    ("torch", {"lr": 0.03, "optimizer": "adam"}),
    ("backprop", {"lr": 0.02}),
]
DESCENTS = pytest.mark.parametrize(("name", "params"), CASES, ids=[f"{name}-{params}" for name, params in CASES])


def cost(w: float, b: float) -> float:
    return float(np.mean((w * X + b - Y) ** 2))


def gradient(w: float, b: float) -> tuple[float, float]:
    return float(np.mean(2 * X * (w * X + b - Y))), float(np.mean(2 * (w * X + b - Y)))


@DESCENTS
def test_parameters_cost_and_gradient_of_a_position_belong_together(name: str, params: dict[str, Any]) -> None:
    chart, points = trained(name, epochs=10, **params)
    rounding = 1e-4 if METHODS[name].needs_torch else 1e-9  # torch calculates in float32
    for updates in (0, 1, len(points) // 2, len(points)):
        state = after(chart, points, updates)
        assert (state.position, state.step, state.first, state.updates) == (updates, updates - 1, 0, len(points))
        known = points[updates - 1].values if updates else chart.initial
        assert state.values == {key: known[key] for key in chart.initial}
        w, b = state.values["w"], state.values.get("b", 0.0)
        assert state.cost == pytest.approx(cost(w, b), rel=rounding)
        by_w, by_b = gradient(w, b)
        if name == "backprop":
            theta = np.array([state.values[key] for key in parameter_names(2)])
            expected = {"grad": float(np.linalg.norm(loss_and_gradient(theta, make_data(X, Y))[1]))}
        else:
            expected = {"grad": by_w, "grad_b": by_b} if name == "torch" else {"grad": by_w}
        assert state.gradient == pytest.approx(expected, rel=rounding, abs=1e-5)
        following = points[updates].values if updates < len(points) else None
        assert state.next_values == (following and {key: following[key] for key in chart.initial})
        assert state.is_last == (following is None)


@DESCENTS
def test_the_samples_and_the_loss_are_those_of_the_next_update(name: str, params: dict[str, Any]) -> None:
    chart, points = trained(name, epochs=10, **params)
    kinds = {"sgd": "sample", "autograd": "sample", "minibatch": "batch", "torch": "sum"}
    kind = kinds.get(name) if params.get("reduction") != "mean" else None
    for updates in (0, 1, len(points) // 2, len(points)):
        state = after(chart, points, updates)
        assert state.samples is not None
        w, b = state.values["w"], state.values.get("b", 0.0)
        if kind in ("sample", "batch") and state.is_last:
            assert (list(state.samples), state.loss, state.loss_of) == ([0, 1, 2], None, None)
            continue
        used = np.asarray(state.samples)
        losses = (w * X[used] + b - Y[used]) ** 2
        if kind is None:
            assert (state.loss, state.loss_of) == (None, None)
            assert state.cost == pytest.approx(losses.mean(), rel=1e-4)
        elif kind == "batch" and len(used) == 1:  # the last one of an epoch is short
            assert (state.loss, state.loss_of) == (pytest.approx(losses[0]), "sample")
        else:
            assert state.loss_of == kind
            assert state.loss == pytest.approx(losses.sum() if kind == "sum" else losses.mean(), rel=1e-4)


@DESCENTS
def test_curves_of_all_samples_end_at_the_last_position_and_those_of_some_one_earlier(
    name: str, params: dict[str, Any]
) -> None:
    chart, points = trained(name, epochs=10, **params)
    state = newest_state(chart)
    positions, losses = chart.points("loss", 1000)
    assert positions.tolist()[:2] == [0, 1]
    is_of_all = name in ("gd", "torch", "backprop")
    assert positions[-1] == len(points) - (0 if is_of_all else 1)
    assert chart.points("w", 1000)[0][-1] == len(points)
    if is_of_all:
        scale = 3 if state.loss_of == "sum" else 1
        assert state.cost is not None
        assert losses[-1] == pytest.approx(scale * state.cost, rel=1e-4)
        assert losses[-1] == pytest.approx(scale * cost(state.values["w"], state.values.get("b", 0.0)), rel=1e-9)
        grads = chart.points("grad", 1000)
        assert state.gradient is not None
        assert (grads[0][-1], grads[1][-1]) == (len(points), pytest.approx(scale * state.gradient["grad"], rel=1e-4))
    positions, losses = chart.points("loss", 6)
    assert len(positions) <= 6
    assert positions[-1] == len(points) - (0 if is_of_all else 1)


def test_the_cost_is_what_the_curve_shows_to_the_last_digit() -> None:
    chart, points = trained("gd", (X, 2 * X), lr=0.1, epochs=300)
    for updates in range(60, 100):  # so near the minimum that every way to calculate it rounds in its own way
        state = after(chart, points, updates)
        assert state.cost == points[updates].values["loss"]
        assert state.gradient == {"grad": points[updates].values["grad"]}


def test_while_it_runs_the_next_samples_are_known_before_they_are_used() -> None:
    chart, points = trained("sgd", epochs=10)
    chart.run.status, chart.run.total_steps = "running", 60
    state = newest_state(chart)
    assert (state.is_last, state.next_values, state.loss) == (False, None, None)
    method = METHODS["sgd"]
    assert method.samples_used is not None
    expected = method.samples_used(method.params.model_validate({}), 3, len(points))
    assert np.asarray(state.samples).tolist() == np.asarray(expected).tolist()
    chart.run.total_steps = 30
    assert newest_state(chart).is_last  # though its end is not stored yet


def test_before_the_first_point_a_descent_has_its_beginning() -> None:
    one, _ = trained("gd", w0=-3.0)
    empty = RunChart(replace(one.run, step=None, last={}, status="queued"), None, one.parabola, None, DATA)
    state = newest_state(empty)
    assert (state.position, state.step, state.updates, state.values) == (0, -1, 0, {"w": -3.0})
    assert state.cost == pytest.approx(cost(-3.0, 0.0))
    assert empty.points("loss", 10)[0].tolist() == []


def test_of_searches_and_scripts_a_position_is_the_step_and_the_numbers_are_as_logged() -> None:
    sweep, points = trained("sweep")
    state = state_at(sweep, points[5])
    assert (state.position, state.step, state.updates) == (5, 5, 40)
    assert (state.loss, state.loss_of) == (points[5].values["loss"], "point")
    run = RunRecord("2" * 32, "script", "external", {}, "running", 0.0, step=20, last={"loss": 1.0, "acc": 0.5})
    chart = RunChart(run)
    assert (newest_state(chart).values, newest_state(chart).cost) == ({"loss": 1.0, "acc": 0.5}, None)
    chart.append(Batch(0, ("loss",), np.array([[-4.0, 3.0], [20.0, 1.0]])))
    state = state_at(chart, Point(-4.0, {"loss": 3.0}))
    assert (state.position, state.first, state.updates, state.next_values) == (-4, -4, 20, None)


def test_a_run_that_left_the_range_of_numbers_has_a_state() -> None:
    chart, points = trained("gd", lr=1.0, epochs=1000)
    state = newest_state(chart)
    assert abs(state.values["w"]) > 1e75
    assert len(points) < 1000
    positions, losses = chart.points("loss", 5000)
    assert np.isfinite(losses).all()
    assert positions[-1] == (len(points) if math.isfinite(state.cost or 0) else len(points) - 1)


@pytest.mark.parametrize(("begin", "end"), [(0, 3), (2, 5), (7, 10), (8, 99)])
def test_a_range_is_of_positions_for_every_curve(begin: int, end: int) -> None:
    whole, _ = trained("gd", epochs=10)
    part = RunChart(whole.run, None, whole.parabola, None, DATA, detail=StepRange(from_step=begin, to_step=end))
    method = METHODS["gd"]
    rows = [[step, *point] for step, point in enumerate(method.train(make_data(X, Y), method.params(epochs=10)))]
    part.append(Batch(0, method.metrics(method.params()), np.array(rows, dtype=float)))

    def within(points: tuple[Floats, Floats]) -> list[tuple[float, float]]:
        return [(at, value) for at, value in zip(*points, strict=True) if begin <= at <= end]

    for metric in ("w", "loss", "grad"):
        shown = list(zip(*part.points(metric, 100), strict=True))
        assert shown == within(whole.points(metric, 100))
        assert [at for at, _ in shown] == list(range(begin, min(end, 10) + 1))
