"""What holds for every method of the registry, and what each demands of its parameters together."""

import inspect
import math
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.trainers.runs import column, train
from trainers import METHODS, ParameterError
from trainers.method import has_diverged
from trainers.problem import TEXTBOOK, make_data

DESCENTS = [name for name, method in METHODS.items() if method.kind == "descent"]
SEEDED = ["sgd", "minibatch", "torch", "backprop"]
MATHML_CORE = {"math", "mi", "mn", "mo", "mrow", "mfrac", "msub", "msup", "munder", "munderover", "mover", "mspace"}


def test_the_registry():
    assert list(METHODS) == ["sweep", "gd", "sgd", "minibatch", "autograd", "torch", "backprop"]
    assert all(name == method.name for name, method in METHODS.items())
    assert [name for name, method in METHODS.items() if method.needs_torch] == ["autograd", "torch"]
    assert [n for n, m in METHODS.items() if m.one_parameter] == ["sweep", "gd", "sgd", "minibatch", "autograd"]
    assert [name for name, method in METHODS.items() if method.kind == "search"] == ["sweep"]
    assert [name for name, method in METHODS.items() if method.graph] == ["backprop"]
    for method in METHODS.values():
        assert method.live == (("steps_per_second",) if method.kind == "search" else ("lr", "steps_per_second"))
        assert set(method.live) <= set(method.params.model_fields)


@pytest.mark.parametrize("name", METHODS)
def test_texts_for_a_learner(name):
    method = METHODS[name]
    assert method.title
    assert method.description.endswith(".")
    assert 60 < len(method.description) < 250
    assert method.description.isascii()  # it is printed in terminals, too


@pytest.mark.parametrize("name", METHODS)
def test_the_formula_is_mathml_core(name):
    formula = METHODS[name].formula
    assert formula.startswith('<math display="block">')
    root = ET.fromstring(formula)  # noqa: S314 - our own
    assert {element.tag for element in root.iter()} <= MATHML_CORE
    assert all(set(element.attrib) <= {"display", "accent", "width", "stretchy"} for element in root.iter())


@pytest.mark.parametrize("name", METHODS)
def test_the_source_is_the_code_that_runs(name):
    method = METHODS[name]
    assert method.source.startswith(f"def {method.train.__name__}(")
    lines = [line.split("  #")[0].strip() for line in method.source.splitlines()]
    assert lines.count(method.update_line) == 1, "one line only is to be marked"
    assert lines.index(method.update_line) < len(inspect.getsource(method.train).splitlines())
    listing = method.source.split("\n\n\n")[0]
    assert len(listing.splitlines()) <= 25, "a trainer should fit a screen"
    assert "yield" in listing
    compile(method.source, name, "exec")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n", [1, 3, 100, 1001])
def test_points_are_as_announced(name, n):
    method = METHODS[name]
    data = TEXTBOOK if n == 3 else make_data(np.linspace(-1, 1, n), np.linspace(-2, 2, n))
    params = method.params()
    if method.kind == "descent":
        params.epochs = 2
    if name == "minibatch":
        params.batch_size = min(n, 2)
    method.check(params, n)
    points = list(method.train(data, params))
    assert len(points) == method.total_steps(params, n)
    names = method.metrics(params)
    assert names[:2] == ("w", "loss")
    assert names[2:3] == (() if method.kind == "search" else ("grad",))
    assert len(set(names)) == len(names)
    for point in points:
        assert len(point) == len(names)
        for metric, value in zip(names, point, strict=True):
            assert type(value) is float or (value is None and metric == "mse" and n > 1000)


@pytest.mark.parametrize("name", METHODS)
def test_initial_is_the_model_before_the_first_step(name):
    method = METHODS[name]
    params = method.params()
    initial = method.initial(params)
    assert "w" in initial
    assert set(initial) <= set(method.metrics(params))
    first = train(name)[0]
    if method.kind == "search":
        assert initial["w"] == first["w"]
        return
    b = initial.get("b", 0.0)
    residuals = [initial["w"] * x + b - y for x, y in TEXTBOOK.pairs()]
    losses = [r * r for r in residuals]
    mean = sum(losses) / 3
    allowed = {"torch": [3 * mean], "sgd": losses, "autograd": losses[:1], "gd": [mean], "backprop": [mean]}
    expected = allowed.get(name, [(losses[i] + losses[j]) / 2 for i in range(3) for j in range(3)])
    assert any(first["loss"] == pytest.approx(value, rel=1e-6) for value in expected)


@pytest.mark.parametrize("name", METHODS)
def test_the_same_parameters_make_the_same_curve(name):
    assert train(name) == train(name)


@pytest.mark.parametrize("name", SEEDED)
def test_another_seed_makes_another_curve(name):
    assert train(name, seed=1) == train(name, seed=1)
    assert train(name, seed=1) != train(name)
    assert train(name, seed=2**32 - 1)


@pytest.mark.parametrize("name", DESCENTS)
def test_every_method_learns(name):
    points = train(name)
    assert points[-1]["loss"] < points[0]["loss"] / 10
    assert points[-1]["w"] == pytest.approx(2, abs=0.3)


@pytest.mark.parametrize("name", DESCENTS)
def test_a_changed_learning_rate_holds_from_the_next_step_on(name):
    method = METHODS[name]
    params = method.params(epochs=5)
    names = method.metrics(params)
    moving = [i for i, metric in enumerate(names) if metric == "b2" or metric[:3] in {"w1_", "b1_", "w2_"}]
    moving = moving or [i for i, metric in enumerate(names) if metric in {"w", "b"}]
    steps = method.train(TEXTBOOK, params)
    next(steps)
    before = next(steps)
    for lr in (0.02, 0.001):
        params.lr = lr
        after = next(steps)
        moved = math.hypot(*(after[i] - before[i] for i in moving))
        slope = math.hypot(*(after[names.index(metric)] for metric in ("grad", "grad_b") if metric in names))
        assert moved == pytest.approx(lr * slope, rel=1e-4)
        before = after


@pytest.mark.parametrize("name", DESCENTS)
def test_a_learning_rate_far_too_large_diverges(name):
    for data in (TEXTBOOK, make_data([1.0, 2.0] * 50, [2.0, 4.0] * 50)):
        for point in train(name, data, lr=1000.0, epochs=300):
            if has_diverged(point["w"], point["loss"]):
                break
        else:
            pytest.fail("it did not diverge")


@pytest.mark.parametrize("name", ["gd", "sgd", "minibatch", "autograd"])
def test_the_largest_numbers_diverge_and_do_not_fail(name):
    data = make_data([1e100] * 100, [-1e100] * 100)
    first = train(name, data, w0=1e100, epochs=1)[0]
    assert has_diverged(first["w"], first["loss"])


def test_predict():
    predict = METHODS["torch"].predict
    assert predict({"w": 2.0, "b": 1.0, "loss": 5.0}, 4.0) == 9.0
    assert predict({"w": 2.0}, 4.0) == 8.0


def test_has_diverged():
    for fine in (0.0, -1e150, 1e150):
        assert not has_diverged(fine, 1.0)
        assert not has_diverged(1.0, fine)
    for bad in (math.nan, math.inf, -math.inf, 1.1e150, -1.1e150):
        assert has_diverged(bad, 1.0)
        assert has_diverged(1.0, bad)


def refusal(name, n=3, **params):
    method = METHODS[name]
    with pytest.raises(ParameterError) as error:
        method.check(method.params(**params), n)
    assert "send" in error.value.message
    return error.value


def test_a_batch_is_at_most_the_data():
    METHODS["minibatch"].check(METHODS["minibatch"].params(batch_size=3), 3)
    assert refusal("minibatch", batch_size=4).field == "batch_size"
    assert "1 to 3" in refusal("minibatch", batch_size=4).message


@pytest.mark.parametrize(
    ("name", "n", "largest"),
    [
        ("gd", 10**6, 10**7),
        ("torch", 10**6, 10**7),
        ("backprop", 3, 10**7),
        ("sgd", 3, 3_333_333),
        ("autograd", 7, 1_428_571),
        ("minibatch", 3, 5_000_000),
        ("sgd", 10**7, 1),
    ],
)
def test_a_run_has_at_most_ten_million_steps(name, n, largest):
    method = METHODS[name]
    method.check(method.params(epochs=largest), n)
    assert method.total_steps(method.params(epochs=largest), n) <= 10**7
    if largest < 10**7:
        error = refusal(name, n, epochs=largest + 1)
        assert error.field == "epochs"
        assert f"at most {largest:,}" in error.message


def test_data_of_more_than_ten_million_updates():
    error = refusal("sgd", 10**7 + 1, epochs=1)
    assert error.field == "epochs"
    assert "fewer samples" in error.message


def test_importing_the_trainers_imports_no_torch():
    code = "import sys, trainers, trainers.graph, trainers.__main__; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_app_can_read_all_of_the_registry_without_torch():
    code = """
import sys
from trainers import METHODS
for method in METHODS.values():
    params = method.params()
    method.check(params, 3), method.source, method.formula, method.metrics(params), params.model_json_schema()
    if method.one_parameter:
        method.initial(params)
sys.exit('torch' in sys.modules)
"""
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_mse_is_there_after_every_update_or_at_every_epochs_end():
    few, many = (make_data(np.linspace(0, 1, n), np.linspace(0, 2, n)) for n in (1000, 1001))
    for name, per_epoch in (("sgd", 1001), ("minibatch", 501), ("autograd", 1001)):
        assert None not in column(train(name, few, epochs=1), "mse")
        found = column(train(name, many, epochs=2), "mse")
        assert [i for i, value in enumerate(found) if value is not None] == [per_epoch - 1, 2 * per_epoch - 1]
