"""What may be run, raced and changed; every refusal names the value that is wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from app.errors import InvalidError
from app.runs.validation import check_change, plan_race, plan_run
from app.schemas.requests import RaceIn, RunIn
from app.storage.records import RunRecord

FIVE = {"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [0.0] * 5}


def record(method: str, **params: Any) -> RunRecord:
    """A run that can be changed."""
    defaults = {} if method == "external" else plan_run(RunIn(method=method)).params.model_dump()
    return RunRecord("1" * 32, "run", method, defaults | params, "running", 0.0)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_parameters_that_are_left_out_have_their_defaults() -> None:
    plan = plan_run(RunIn(method="gd", params={"lr": 0.2}))
    assert (plan.params.lr, plan.params.epochs, plan.total_steps) == (0.2, 100, 100)


def test_a_run_of_samples_takes_as_many_steps_as_there_are() -> None:
    assert plan_run(RunIn(method="sgd", params={"epochs": 10}, data=FIVE)).total_steps == 50


def test_a_run_has_the_name_that_it_is_given() -> None:
    assert plan_run(RunIn(method="gd", name="mine")).name == "mine"


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"method": "magic"}, ("method",), "send one of sweep, gd"),
        ({"method": "gd", "id": "0" * 32}, ("id",), "leave id out"),
        ({"method": "gd", "params": {"lr": 0}}, ("params", "lr"), "greater than 0"),
        ({"method": "gd", "params": {"learning_rate": 1}}, ("params", "learning_rate"), "lr, epochs"),
        ({"method": "minibatch", "params": {"batch_size": 6}, "data": FIVE}, ("params", "batch_size"), "5"),
        ({"method": "sweep", "params": {"w_stop": -1}}, ("params", "w_stop"), "w_start"),
    ],
)
def test_a_run_that_cannot_be(body: dict[str, Any], field: tuple[str, ...], words: str) -> None:
    with pytest.raises(InvalidError) as refused:
        plan_run(RunIn(**body))
    assert refused.value.place == ("body", *field)
    assert words in refused.value.message


# --- races ------------------------------------------------------------------------------------------------------------


def test_each_run_of_a_race_has_one_of_the_values() -> None:
    plans = plan_race(RaceIn(method="gd", params={"lr": 1, "epochs": 7}, vary={"lr": [0.1, 0.25]}))
    assert [(plan.params.lr, plan.params.epochs) for plan in plans] == [(0.1, 7), (0.25, 7)]
    assert [(plan.default_name, plan.varied) for plan in plans] == [("lr 0.1", {"lr": 0.1}), ("lr 0.25", {"lr": 0.25})]


def test_each_run_of_a_race_of_methods_has_one_of_them() -> None:
    plans = plan_race(RaceIn(vary={"method": ["gd", "sgd"]}, name="two"))
    assert [plan.method.name for plan in plans] == ["gd", "sgd"]
    assert [plan.default_name for plan in plans] == ["two, Gradient descent", "two, Stochastic gradient descent"]


def test_choices_are_raced_too() -> None:
    plans = plan_race(RaceIn(method="sgd", vary={"order": ["random", "sequential"]}))
    assert [plan.default_name for plan in plans] == ["order random", "order sequential"]


def test_each_method_of_a_race_has_those_of_the_parameters_that_it_knows() -> None:
    params = {"lr": 0.1, "epochs": 60, "w0": -3, "w_step": 0.5, "order": "sequential"}
    gd, sweep, sgd = plan_race(RaceIn(params=params, vary={"method": ["gd", "sweep", "sgd"]}))
    assert (gd.params.lr, gd.params.epochs, gd.params.w0) == (0.1, 60, -3)
    assert (sweep.params.w_step, sweep.total_steps) == (0.5, 9)
    assert (sgd.params.lr, sgd.params.w0, sgd.params.order) == (0.1, -3, "sequential")


def test_what_no_method_of_a_race_has_is_refused() -> None:
    with pytest.raises(InvalidError, match="None of these methods has such a parameter; they have ") as refused:
        plan_race(RaceIn(params={"lr": 0.1, "hidden": 3}, vary={"method": ["gd", "sgd"]}))
    assert refused.value.place == ("body", "params", "hidden")


def test_a_descent_is_planned_with_the_cost_that_it_is_measured_by() -> None:
    gd, sgd = (plan_run(RunIn(method=method, params={"w0": -1})) for method in ("gd", "sgd"))
    assert (gd.cost_scale, gd.first_loss) == (pytest.approx(42), None)
    assert (sgd.cost_scale, sgd.first_loss) == (pytest.approx(42), pytest.approx(42))
    sweep = plan_run(RunIn(method="sweep"))
    assert (sweep.cost_scale, sweep.first_loss) == (None, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"method": "gd", "vary": {"lr": [0.1, -1]}}, ("vary", "lr", 1)),
        ({"method": "minibatch", "vary": {"batch_size": [1, 4]}}, ("vary", "batch_size", 1)),
        ({"method": "gd", "vary": {"order": ["random", "sequential"]}}, ("vary", "order")),
        ({"method": "gd", "params": {"epochs": 0}, "vary": {"lr": [0.1, 0.2]}}, ("params", "epochs")),
        ({"vary": {"method": ["sgd", "gd"]}, "params": {"lr": 0}}, ("params", "lr")),
        ({"vary": {"method": ["sgd", "gd"]}, "params": {"hidden": 2}}, ("params", "hidden")),
        ({"vary": {"method": ["gd", "external"]}}, ("vary", "method", 1)),
        ({"method": "gd", "vary": {"method": ["gd", "sgd"]}}, ("method",)),
        ({"vary": {"lr": [0.1, 0.2]}}, ("method",)),
    ],
)
def test_a_race_that_cannot_be(body: dict[str, Any], field: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidError) as refused:
        plan_race(RaceIn(**body))
    assert refused.value.place == ("body", *field)


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_holds_as_the_method_reads_it() -> None:
    assert check_change(record("gd"), {"lr": 1, "steps_per_second": None}) == {"lr": 1.0, "steps_per_second": None}


def test_a_script_may_be_changed_in_its_numbers() -> None:
    assert check_change(record("external", lr=0.1, layers=3), {"lr": 1, "layers": 4}) == {"lr": 1, "layers": 4}


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"lr": 0}, "lr", "greater than 0"),
        ({"lr": 2000}, "lr", "1000"),
        ({"lr": "0.1"}, "lr", "number"),
        ({"lr": "NaN"}, "lr", "finite"),
        ({"lr": None}, "lr", "number"),
        ({"steps_per_second": 0}, "steps_per_second", "greater than 0"),
        ({"epochs": 5}, "epochs", "lr, steps_per_second can"),
        ({"lr": 0.1, "speed": 5}, "speed", "lr, steps_per_second can"),
    ],
)
def test_a_change_that_a_method_refuses(params: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_change(record("gd"), params)
    assert refused.value.place == ("body", "params", field)
    assert words in refused.value.message


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ({"name": 1}, "name", "lr can"),
        ({"on": 1}, "on", "lr can"),
        ({"lr": "fast"}, "lr", "Send a finite number"),
        ({"lr": True}, "lr", "Send a finite number"),
        ({"lr": float("nan")}, "lr", "Send a finite number"),
        ({"lr": 2**53 + 2}, "lr", "Send a finite number"),
    ],
)
def test_a_change_that_is_refused_to_a_script(params: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_change(record("external", lr=0.1, name="x", on=True), params)
    assert refused.value.place == ("body", "params", field)
    assert words in refused.value.message


def test_a_script_may_be_changed_in_what_it_declares_and_in_nothing_else() -> None:
    script = dataclasses.replace(record("external", lr=0.1, seed=3), live={"lr": (1e-5, 1), "scale": (None, None)})
    assert check_change(script, {"lr": 1, "scale": -5}) == {"lr": 1, "scale": -5}
    for params, words in [({"seed": 4}, "lr, scale can"), ({"lr": 2}, "at most 1"), ({"lr": 0}, "at least 1e-5")]:
        with pytest.raises(InvalidError, match=words):
            check_change(script, params)
    with pytest.raises(InvalidError, match="it has no such number"):
        check_change(dataclasses.replace(script, live={}), {"lr": 1})


def test_a_script_without_numbers_cannot_be_changed() -> None:
    with pytest.raises(InvalidError, match="it has no such number"):
        check_change(record("external", name="x"), {"lr": 1})
