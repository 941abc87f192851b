"""A run's own windows, at any of its steps: what they show, calculated again by other means."""

from __future__ import annotations

import json
import math
import re
import time
from typing import Any

import numpy as np
import pytest
import torch

from app.charts.run_chart import RunChart
from app.charts.run_state import newest_state, state_at
from app.schemas.view import Axes, View
from app.storage.batch import Point
from app.visdom.windows.graph import MAX_UNITS
from app.visdom.windows.layout import Trace, Window
from app.visdom.windows.single_run import MAX_CURVES, windows_at
from tests.harness.charts import DATA, after, trained
from trainers import METHODS
from trainers.linear import linear_model
from trainers.method import has_diverged
from trainers.numbers import short
from trainers.problem import make_data
from trainers.theory.cost_surface import CostSurface


def window(windows: list[Window], win: str) -> Window:
    found = next(window for window in windows if window.win == win)
    json.dumps([found.data, found.layout], allow_nan=False)
    return found


def trace(of: Window, name: str) -> Trace:
    return next(trace for trace in of.data if trace["name"].startswith(name))


# --- the cost curve ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("updates", [0, 1, 4, 18])
def test_the_ball_lies_on_the_curve_and_the_tangent_has_the_gradient(updates: int) -> None:
    one, points = trained("gd", lr=0.02)
    cost = window(windows_at(one, after(one, points, updates)), "cost")
    ws = [1.0, *(point.values["w"] for point in points)]
    ball, tangent, path, arrow = (trace(cost, name) for name in ("w ", "tangent", "path", "next"))
    assert ball["x"] == [ws[updates]]
    assert ball["y"] == [points[updates].values["loss"]]  # a loss is that before its update
    slope = (tangent["y"][1] - tangent["y"][0]) / (tangent["x"][1] - tangent["x"][0])
    assert slope == pytest.approx(points[updates].values["grad"])
    assert tangent["y"][0] + slope * (ws[updates] - tangent["x"][0]) == pytest.approx(ball["y"][0])
    assert path["x"] == pytest.approx(ws[: updates + 1])
    assert arrow["x"] == ws[updates : updates + 2]
    assert arrow["y"] == pytest.approx([point.values["loss"] for point in points[updates : updates + 2]])


def test_at_the_end_the_ball_has_its_height_and_no_arrow() -> None:
    one, points = trained("gd", lr=0.02, epochs=5)
    windows = windows_at(one)
    ball = trace(window(windows, "cost"), "w ")
    w = points[-1].values["w"]
    assert ball["x"] == [w]
    assert ball["y"] == pytest.approx([np.mean((w * DATA[0] - DATA[1]) ** 2)])
    assert not [trace for trace in window(windows, "cost").data if trace["name"].startswith("next")]
    loss = trace(window(windows, "metric-loss"), "loss")
    assert (loss["x"][-1], loss["y"][-1]) == (5, ball["y"][0])


@pytest.mark.parametrize(("lr", "epochs"), [(0.02, 100), (0.2, 60), (0.3, 1000), (0.11, 500)])
def test_the_view_holds_both_sides_of_the_valley_and_the_ball(lr: float, epochs: int) -> None:
    one, points = trained("gd", lr=lr, epochs=epochs)
    for updates in (0, 1, len(points) // 2, len(points)):
        cost = window(windows_at(one, after(one, points, updates), chosen=True), "cost")
        xs = trace(cost, "cost")["x"]
        star = one.parabola.w_star if one.parabola else math.nan
        assert xs[0] < min(star, *trace(cost, "path")["x"]) <= max(star, *trace(cost, "path")["x"]) < xs[-1]
        heights = [height for one in cost.data if one["name"] != "cost(w)" for height in one["y"]]
        assert max(heights) > 0.5 * max(trace(cost, "cost")["y"])  # and no more than they need


def test_a_sweep_marks_the_candidate_and_the_best_so_far() -> None:
    one, points = trained("sweep", (DATA[0], 2 * DATA[0]))
    one.run.result = {"best_w": 2.0, "best_loss": 0.0}
    at_five = windows_at(one, state_at(one, points[5]))
    cost = window(at_five, "cost")
    assert trace(cost, "w 0.5")["x"] == [0.5]
    assert trace(cost, "best")["x"] == [0.5]
    assert trace(cost, "candidates")["x"] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert window(at_five, "samples").title == "All samples, at w = 0.5"
    assert "<td>2</td><td>2</td><td>4</td><td>1</td><td>9</td>" in window(at_five, "samples").data[0]["content"]
    last = windows_at(one)
    assert trace(window(last, "cost"), "best")["x"] == [2.0]
    assert window(last, "samples").title == "All samples, at the best w = 2"


# --- the contours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "params"), [("torch", {}), ("torch", {"reduction": "mean"}), ("backprop", {})])
def test_the_path_on_the_contours(name: str, params: dict[str, Any]) -> None:
    one, points = trained(name, **params)
    cost = window(windows_at(one, after(one, points, 10)), "cost")
    path = trace(cost, "path")
    start = METHODS[name].initial(METHODS[name].params.model_validate(one.run.params))
    expected = [start, *(point.values for point in points[:10])]
    for axis, letter in (("x", "w"), ("y", "b")):
        assert path[axis][:11] == pytest.approx([values[letter] for values in expected], rel=1e-5, abs=1e-6)
        assert trace(cost, "next")[axis] == [points[9].values[letter], points[10].values[letter]]
    w, b = np.polyfit(*DATA, 1)
    assert (trace(cost, "minimum")["x"], trace(cost, "minimum")["y"]) == (pytest.approx([w]), pytest.approx([b]))


def test_a_minimum_beyond_all_floats_is_said() -> None:
    x, y = np.array([0.0, 5e-324]), np.array([0.0, 1.0])
    with np.errstate(all="ignore"):
        surface = CostSurface.of(make_data(x, y))
    one, _ = trained("torch")
    one.surface = surface
    layout = window(windows_at(one), "cost").layout
    assert "too far away" in layout["annotations"][0]["text"]


def test_the_contours_are_the_cost_above_its_minimum() -> None:
    one, _ = trained("backprop")
    valley = window(windows_at(one), "cost").data[0]
    least = np.mean((np.polyval(np.polyfit(*DATA, 1), DATA[0]) - DATA[1]) ** 2)
    for row, b in enumerate(valley["y"]):
        for column, w in enumerate(valley["x"]):
            above = float(np.mean((w * DATA[0] + b - DATA[1]) ** 2) - least)
            expected = max(math.log10(above), valley["zmin"])
            assert valley["z"][row][column] == pytest.approx(expected, abs=2e-3)


def test_w_begins_at_w0_and_lies_where_its_update_has_led() -> None:
    one, points = trained("gd", epochs=4)
    positions, ws = one.points("w", 100)
    assert positions.tolist() == [0, 1, 2, 3, 4]
    assert ws.tolist() == [1.0, *(point.values["w"] for point in points)]
    positions, losses = one.points("loss", 100)
    assert positions.tolist() == [0, 1, 2, 3, 4]  # each is the cost of the w at the same position
    assert [one.parabola.cost(w) for w in ws.tolist()] == pytest.approx(losses.tolist())


def test_the_path_begins_at_torchs_own_beginning_with_any_optimizer() -> None:
    one, _ = trained("torch", optimizer="adam", lr=0.1)
    path = trace(window(windows_at(one), "cost"), "path")
    assert path["x"][0] == linear_model(seed=0).weight.item()


@pytest.mark.parametrize(("name", "lr"), [("torch", 0.07), ("backprop", 0.3), ("backprop", 100.0)])
def test_a_diverged_path_stays_readable(name: str, lr: float) -> None:
    one, points = trained(name, lr=lr, epochs=400)
    assert has_diverged(points[-1].values["w"], points[-1].values["loss"])
    one.run.status = "diverged"
    for updates in (0, 1, len(points)):
        for shown in windows_at(one, after(one, points, updates)):
            json.dumps([shown.data, shown.layout], allow_nan=False)


# --- the graph --------------------------------------------------------------------------------------------------------


def numbers_of(of: Window) -> dict[str, tuple[float, float]]:
    """The value and the gradient that the graph tells of each node."""
    texts = [text for one in of.data if "hovertext" in one for text in one["hovertext"]]
    found = (re.fullmatch(r"(\w+) \(\w+\)<br>value (\S+)<br>gradient (\S+)", text) for text in texts)
    return {match[1]: (float(match[2]), float(match[3])) for match in found if match}


@pytest.mark.parametrize("hidden", [1, 2, 3])
@pytest.mark.parametrize("step", [0, 50])
@pytest.mark.parametrize("sample", [0, 2])
def test_every_node_shows_torchs_value_and_gradient(hidden: int, step: int, sample: int) -> None:
    one, points = trained("backprop", hidden=hidden)
    shown = numbers_of(window(windows_at(one, after(one, points, step + 1), sample), "graph"))
    leaves = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        for name, value in points[step].values.items()
        if name[:3] in {"w1_", "b1_", "w2_"} or name == "b2"
    }
    x, y = (torch.tensor(column[sample], requires_grad=True) for column in DATA)
    h = [leaves[f"w1_{unit}"] * x + leaves[f"b1_{unit}"] for unit in range(1, hidden + 1)]
    y_hat = sum((leaves[f"w2_{unit}"] * h[unit - 1] for unit in range(1, hidden + 1)), leaves["b2"])
    loss = (y_hat - y) ** 2
    loss.backward()
    assert len(shown) == 6 * hidden + 7
    for name, leaf in {**leaves, "x": x, "y": y}.items():
        assert leaf.grad is not None
        assert shown[name] == (pytest.approx(leaf.item()), pytest.approx(leaf.grad.item(), rel=1e-6, abs=1e-12))
    assert shown["loss"] == (pytest.approx(loss.item()), 1.0)
    assert shown["y_hat"][0] == pytest.approx(y_hat.item())


def test_the_graph_of_many_units_is_bounded_and_says_so() -> None:
    one, points = trained("backprop", hidden=64, epochs=3)
    windows = windows_at(one)
    graph = window(windows, "graph")
    shown = numbers_of(graph)
    assert len(shown) == 6 * MAX_UNITS + 7
    told = next(note["text"] for note in graph.layout["annotations"] if "more hidden" in note["text"])
    rest = points[-1].values
    expected = sum(rest[f"w2_{i}"] * (rest[f"w1_{i}"] * DATA[0][0] + rest[f"b1_{i}"]) for i in range(MAX_UNITS + 1, 65))
    assert f"{64 - MAX_UNITS} more hidden units" in told
    assert float(told.split("add ")[1].split(" ")[0]) == pytest.approx(expected, rel=0.01)
    assert len(window(windows, "metric-layers").data) <= MAX_CURVES


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-1.2345, "-1.23"),
        (123456.0, "123456"),
        (-3.7412e143, "-3.7e143"),
        (1.234e-7, "1.2e-7"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "NaN"),
    ],
)
def test_numbers_in_the_graph_are_short(value: float, shown: str) -> None:
    one, _ = trained("backprop", hidden=1)
    at = Point(0.0, dict.fromkeys(("w1_1", "b1_1", "w2_1"), 0.0) | {"b2": value})
    labels = trace(window(windows_at(one, state_at(one, at)), "graph"), "labels")["text"]
    assert any(label.startswith(f"{shown}<br>") for label in labels), labels


def test_no_two_nodes_of_a_graph_lie_on_each_other() -> None:
    for hidden in (1, 2, 3, 64):
        one, _ = trained("backprop", hidden=hidden, epochs=1)
        graph = window(windows_at(one), "graph")
        circles = [place for t in graph.data if "hovertext" in t for place in zip(t["x"], t["y"], strict=True)]
        for at, (x, y) in enumerate(circles):
            assert all(math.hypot(x - a, y - b) > 0.4 for a, b in circles[:at])


def test_a_sample_that_is_not_there_is_the_last_one() -> None:
    one, _ = trained("backprop")
    assert "sample 3 of 3" in window(windows_at(one, None, 99), "graph").title


# --- the metrics ------------------------------------------------------------------------------------------------------


def test_an_explosion_is_shown_as_far_as_the_chosen_step_and_labelled_where_it_leaves() -> None:
    one, points = trained("gd", lr=0.3, epochs=60)
    for chosen, seen in ((None, "loss"), (2, "loss"), (30, "loss"), (30, "w"), (59, "gradient")):
        state = newest_state(one) if chosen is None else after(one, points, chosen + 1)
        windows = windows_at(one, state, chosen=chosen is not None)
        layout = window(windows, f"metric-{seen}").layout
        (label,) = layout["annotations"]
        update = int(re.fullmatch(r"lr 0.3 leaves here: update (\d+)", label["text"])[1])  # type: ignore[index]
        low, high = (layout["yaxis"]["autorangeoptions"].get(end, -math.inf) for end in ("clipmin", "clipmax"))
        name, first = {"gradient": ("grad", update), "loss": ("loss", update), "w": ("w", update - 1)}[seen]
        values = [points[at].values[name] for at in (first - 1, first)]
        assert [low <= value <= high for value in values] == [True, False]
        assert label["y"] == (1 if values[1] > high else 0)
        assert update - 1 < label["x"] < update
        end = layout["xaxis"]["autorangeoptions"]["clipmax"]
        assert max(update, chosen or 0) - 1 < end < 1.3 * max(update, chosen or 0)


def test_they_have_the_boards_scales() -> None:
    one, points = trained("gd", lr=0.3, epochs=60)
    state = after(one, points, 31)
    windows = windows_at(one, state, view=View(axes=Axes(step="log", loss="log", cost="log")), chosen=True)
    loss, w, grad = (window(windows, f"metric-{name}").layout for name in ("loss", "w", "gradient"))
    assert (loss["xaxis2"]["type"], loss["yaxis2"]["type"], loss["annotations"]) == ("log", "log", [])
    assert "autorangeoptions" not in loss["xaxis2"]  # all of the straight line
    assert "type" not in w["yaxis"] | grad["yaxis"]
    for layout in (loss, w, grad):
        assert (layout["shapes"][0]["x0"], layout["shapes"][0]["xref"]) == (32, "x2")  # 31 updates, and 1 on a log axis


# --- all of them ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_the_windows_of_every_method_at_every_kind_of_step(name: str) -> None:
    one, points = trained(name)
    is_search = METHODS[name].kind == "search"
    for updates in (1, len(points) // 2, len(points)) if is_search else (0, 1, len(points) // 2, len(points)):
        windows = windows_at(one, after(one, points, updates))
        assert len({shown.win for shown in windows}) == len(windows)
        assert windows[-1].win == "about"
        for shown in windows:
            json.dumps([shown.data, shown.layout], allow_nan=False)
    marks = [w.layout["shapes"][0]["x0"] for w in windows_at(one, after(one, points, 2)) if "shapes" in w.layout]
    assert set(marks) == (set() if is_search else {2.0})


@pytest.mark.parametrize("name", ["sgd", "minibatch", "autograd"])
def test_the_samples_are_those_of_the_next_update(name: str) -> None:
    one, points = trained(name)
    method = METHODS[name]
    for updates in (0, 4, len(points) - 1):
        state = after(one, points, updates)
        shown = window(windows_at(one, state), "samples")
        assert shown.title == f"Samples of update {updates + 1}, at w = {short(state.values['w'])}"
        assert method.samples_used is not None
        used = method.samples_used(method.params.model_validate(one.run.params), 3, updates)
        numbers = re.findall(r"<tr><td>(\d+)</td>", shown.data[0]["content"])
        assert numbers == [str(number + 1) for number in used]
    assert window(windows_at(one), "samples").title.startswith("All samples, at w = ")


def test_huge_and_tiny_values_leave_room_for_their_exponents() -> None:
    one, _ = trained("gd", epochs=1)
    one.data = (np.array([1e6, 3e-7, 2.0]), np.array([2.0, 1 / 3, 0.0]))
    at = Point(0.0, {"w": 1.23456789e85, "loss": 0.0})
    content = window(windows_at(one, state_at(one, at)), "samples").data[0]["content"]
    assert max(map(len, re.findall("<td>(.*?)</td>", content))) <= len("-1.5242e182")
    assert "<td>1e6</td><td>2</td><td>1.2346e91</td><td>1.5242e182</td>" in content
    assert "<td>3e-7</td><td>0.33333</td>" in content


def test_which_samples_a_very_late_step_drew_is_not_worked_out() -> None:
    one, points = trained("minibatch", epochs=1)
    one.run.status = "running"
    late = state_at(one, Point(9e6, points[-1].values))
    began = time.process_time()
    assert "would take long" in window(windows_at(one, late), "samples").data[0]["content"]
    assert time.process_time() - began < 0.5


def test_of_very_many_samples_the_first_are_shown() -> None:
    one, points = trained("gd", epochs=2)
    one.samples = 1_000_000
    assert "and 999,997 more" in window(windows_at(one), "samples").data[0]["content"]
    one, points = trained("sgd", epochs=2)
    one.samples = 1_000_000
    content = window(windows_at(one, after(one, points, 0)), "samples").data[0]["content"]
    assert re.fullmatch(r"<p>Sample [\d,]+, which is not among the first 3\.</p>", content)
    one, _ = trained("backprop", epochs=2)
    one.samples = 1_000_000
    assert "sample 1 of 1,000,000" in window(windows_at(one), "graph").title


def test_before_the_first_step() -> None:
    for name in METHODS:
        one, _ = trained(name, **({"epochs": 1} if METHODS[name].kind == "descent" else {}))
        empty = RunChart(one.run, None, one.parabola, one.surface, one.data)
        empty.run.step, empty.run.last, empty.run.status = None, {}, "queued"
        windows = windows_at(empty)
        for shown in windows:
            json.dumps([shown.data, shown.layout], allow_nan=False)
        later = [shown.win for shown in windows_at(one)]
        is_search = METHODS[name].kind == "search"  # which has no candidate yet, and so no prediction of a sample
        assert [shown.win for shown in windows] == [win for win in later if not (is_search and win == "samples")]
        assert windows[0].win == ("graph" if METHODS[name].graph else "cost")


def test_the_reason_is_told_as_text() -> None:
    one, _ = trained("gd")
    one.run.why = "lr <b>0.3</b> is above"
    assert "<p>lr &lt;b&gt;0.3&lt;/b&gt; is above</p>" in window(windows_at(one), "about").data[0]["content"]


def test_they_cost_the_same_at_any_length() -> None:
    one, _ = trained("backprop", epochs=30_000, hidden=2)
    began = time.process_time()
    windows = windows_at(one)
    assert time.process_time() - began < 0.5
    assert sum(len(json.dumps([shown.data, shown.layout])) for shown in windows) < 500_000
