"""Backpropagation: every gradient against torch's, and the graph that can be drawn."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.runs import column, predict, train
from trainers import METHODS, ParameterError
from trainers.graph import computational_graph
from trainers.network import initial_parameters, loss_and_gradient, parameter_names
from trainers.problem import TEXTBOOK, make_data

values = st.floats(-3, 3).map(lambda v: round(v, 3))


def torchs_nodes(theta, x, y):
    """Every node's values and its gradients of the sum of all losses, from torch: (hidden, n) or (n,) each."""
    hidden, n = len(theta) // 3, len(x)
    nodes = {}

    def node(name, value):
        value.retain_grad()
        nodes[name] = value
        return value

    def leaf(name, numbers):
        tensor = torch.tensor(numbers, dtype=torch.float64)
        return node(name, tensor.expand(*tensor.shape[:-1], n).clone().requires_grad_())

    columns = np.reshape(theta[:-1], (3, hidden, 1))
    w1, b1, w2 = (leaf(name, column) for name, column in zip(("w1", "b1", "w2"), columns, strict=True))
    b2, inputs, wanted = leaf("b2", theta[-1:]), leaf("x", x), leaf("y", y)
    h = node("h", node("m1", w1 * inputs) + b1)
    s = node("s", node("m2", w2 * h).sum(dim=0))
    r = node("r", node("y_hat", s + b2) - wanted)
    node("loss", r**2).sum().backward()
    return nodes


@given(
    st.integers(1, 6).flatmap(lambda hidden: st.lists(values, min_size=3 * hidden + 1, max_size=3 * hidden + 1)),
    st.lists(st.tuples(values, values), min_size=1, max_size=5),
)
@settings(max_examples=60)
def test_every_node_equals_torchs(theta, rows):
    data = make_data(*zip(*rows, strict=True))
    expected = torchs_nodes(np.array(theta), *data.arrays())
    parameters = dict(zip(parameter_names(len(theta) // 3), theta, strict=True))
    for sample in (*range(len(data)), None):
        for node in computational_graph(parameters, data, sample):
            kind, unit = re.fullmatch(r"(.+?)(?:_(\d+))?", node.name).groups()
            row = int(unit or 1) - 1
            theirs = (torch.atleast_2d(tensor)[row] for tensor in (expected[kind], expected[kind].grad))
            value, gradient = (t.mean() if sample is None else t[sample] for t in theirs)
            assert node.value == pytest.approx(value.item(), rel=1e-6, abs=1e-11)
            assert node.gradient == pytest.approx(gradient.item(), rel=1e-6, abs=1e-11)


@pytest.mark.parametrize("hidden", [1, 2, 64])
@pytest.mark.parametrize("n", [3, 1000, 40_000])
def test_the_update_uses_torchs_gradient(hidden, n):
    data = TEXTBOOK if n == 3 else make_data(np.linspace(-1, 1, n), np.linspace(-2, 3, n))
    theta = initial_parameters(hidden, seed=1)
    x, y = (torch.tensor(v, dtype=torch.float64)[:, None] for v in data.arrays())
    first, second = torch.nn.Linear(1, hidden).double(), torch.nn.Linear(hidden, 1).double()
    with torch.no_grad():
        for tensor, numbers in zip(
            (first.weight, first.bias, second.weight, second.bias),
            np.split(theta, [hidden, 2 * hidden, 3 * hidden]),
            strict=True,
        ):
            tensor.copy_(torch.tensor(numbers).reshape(tensor.shape))
    loss = torch.nn.functional.mse_loss(second(first(x)), y)
    loss.backward()
    theirs = np.concatenate([t.grad.numpy().ravel() for t in (first.weight, first.bias, second.weight, second.bias)])
    found, gradient = loss_and_gradient(theta, data)
    assert found == pytest.approx(loss.item(), rel=1e-9)
    assert gradient == pytest.approx(theirs, rel=1e-6, abs=1e-10)


def test_a_point():
    method = METHODS["backprop"]
    before = method.initial(method.params())
    for point in train("backprop", epochs=20):
        loss = sum((before["w"] * x + before["b"] - y) ** 2 for x, y in TEXTBOOK.pairs()) / 3
        assert point["loss"] == pytest.approx(loss, rel=1e-9)
        nodes = {node.name: node for node in computational_graph(before, TEXTBOOK)}
        assert point["grad"] == pytest.approx(math.hypot(*(nodes[name].gradient for name in parameter_names(2))))
        for name in parameter_names(2):
            assert point[name] == pytest.approx(before[name] - 0.01 * nodes[name].gradient, rel=1e-12)
        slope = point["w2_1"] * point["w1_1"] + point["w2_2"] * point["w1_2"]
        assert point["w"] == pytest.approx(slope, rel=1e-12)
        before = point


def test_metrics_are_named_by_layer_and_unit():
    method = METHODS["backprop"]
    assert method.metrics(method.params()) == (
        *("w", "loss", "grad", "b"),
        *("w1_1", "w1_2", "b1_1", "b1_2", "w2_1", "w2_2", "b2"),
    )
    assert len(method.metrics(method.params(hidden=64))) == 4 + 3 * 64 + 1


@pytest.mark.parametrize("hidden", [1, 2, 3, 16, 64])
def test_the_defaults_converge_from_any_seed(hidden):
    for seed in range(10):
        losses = column(train("backprop", hidden=hidden, seed=seed), "loss")
        assert losses[-1] < losses[0] / 20
        assert max(losses) == losses[0]


def test_it_learns_the_line():
    last = train("backprop", epochs=5000)[-1]
    assert last["w"] == pytest.approx(2, abs=1e-3)
    assert predict("backprop", last) == pytest.approx(8, abs=1e-3)


def test_the_graph_names_what_goes_into_each_node():
    method = METHODS["backprop"]
    nodes = computational_graph(method.initial(method.params()), TEXTBOOK, sample=2)
    by_name = {node.name: node for node in nodes}
    assert len(by_name) == len(nodes) == 6 * 2 + 7
    assert by_name["x"].value == 3.0
    assert by_name["m1_2"].inputs == ("w1_2", "x")
    assert by_name["h_2"].inputs == ("m1_2", "b1_2")
    assert by_name["s"].inputs == ("m2_1", "m2_2")
    assert by_name["r"].inputs == ("y_hat", "y")
    assert by_name["loss"].gradient == 1.0
    seen = set()
    for node in nodes:
        assert seen.issuperset(node.inputs), "inputs come first"
        seen.add(node.name)
        inputs = [by_name[name].value for name in node.inputs]
        recomputed = {
            "multiply": math.prod,
            "add": sum,
            "subtract": lambda v: v[0] - v[1],
            "square": lambda v: v[0] ** 2,
        }
        if node.operation in recomputed:
            assert node.value == pytest.approx(recomputed[node.operation](inputs))
        else:
            assert node.inputs == ()
            assert node.operation == ("input" if node.name in {"x", "y"} else "parameter")


@pytest.mark.parametrize("sample", [-1, 3])
def test_there_is_no_such_sample(sample):
    with pytest.raises(ParameterError) as refusal:
        computational_graph(METHODS["backprop"].initial(METHODS["backprop"].params()), TEXTBOOK, sample)
    assert refusal.value.field == "sample"
