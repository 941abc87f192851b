"""One run, shown by itself: its steps, its graph, its trainer's code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from playwright.sync_api import Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.laboratory import look_closer, slow_run
from tests.harness.pages import BoardPage
from trainers.numbers import short

DATA = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}


def test_a_run_is_looked_at_update_by_update_by_everyone(
    page: BoardPage, board: BoardProcess, new_page: Callable[..., Page]
) -> None:
    run = board.wait_until(board.run(lr=0.2, epochs=60)["id"])
    other = BoardPage(new_page(viewport={"width": 1400, "height": 800})).open(board.url)
    look_closer(page, run)
    expect(other.page.locator("#look-name")).to_contain_text(f"#{run['number']}")
    slider = page.page.get_by_role("slider", name="Step shown")
    expect(slider).to_have_value("60")

    slider.fill("11")
    slider.press("ArrowRight")
    points = board.get(f"/api/runs/{run['id']}/points")["metrics"]
    w, cost, gradient = points["w"][11], points["loss"][12], points["grad"][12]  # after 12 updates, before the next
    for shown in (page, other):
        expect(shown.page.locator("#look-values")).to_have_text(
            f"after 12 updates  ·  w {short(w)}  ·  cost {short(cost)}  ·  gradient {short(gradient)}"
        )
        expect(shown.page.locator("#look-step")).to_have_value("12")

        def ball(shown: BoardPage = shown) -> bool:
            """Whether the ball lies on the cost curve at that w."""
            traces = shown.plot("Cost curve")["traces"]
            return bool(traces) and (traces[-1]["x"], traces[-1]["y"]) == ([w], [cost])

        wait_for(ball, "the ball at that step")
    assert board.get("/api/board")["at"] == 11  # as stored: the step whose update was the twelfth

    slider.press("Home")
    expect(page.page.locator("#look-values")).to_contain_text("after 0 updates  ·  w 1  ·  cost 4.6667")
    wait_for(lambda: board.get("/api/board")["at"] == -1, "the position before the first update")
    page.page.get_by_role("button", name="Latest").click()
    expect(slider).to_have_value("60")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^after 60 updates, w \S+, cost \S+, gradient \S+$"))
    assert board.get("/api/board")["at"] is None
    page.page.get_by_role("button", name="All runs").click()
    for shown in (page, other):
        expect(shown.page.locator("#look")).to_be_hidden()
        wait_for(lambda shown=shown: "Loss" in shown.plots(), "the shared windows")


def test_bar_ball_tangent_graph_samples_and_marks_agree_at_every_moment(page: BoardPage, board: BoardProcess) -> None:
    for method, params in (("gd", {"lr": 0.001, "w0": -3}), ("backprop", {"lr": 0.002}), ("sgd", {"lr": 0.001})):
        run = slow_run(board, method=method, **params)
        board.client.patch("/api/board", json={"run": run["id"]})
        wait_for(lambda run=run: run["visdom"]["env"] in page.curves.url and len(page.plots()) >= 4, "its windows")
        wait_for(lambda: "after " in page.page.locator("#look-values").inner_text(), "its state")
        wait_for(lambda: page.plots() and page.selected()["marks"], "a mark")
        # 20 readings between any two tasks of the browser, of which none is tried again
        readings = []
        for _ in range(20):
            readings.append(page.selected())
            page.page.wait_for_timeout(100)
        points = board.get(f"/api/runs/{run['id']}/points")["metrics"]
        positions = [check(reading, points, method) for reading in readings]
        assert len(set(positions)) >= 3, positions  # it ran on while it was read
        assert positions == sorted(positions)
        board.client.post(f"/api/runs/{run['id']}/stop")


def check(reading: dict[str, Any], points: dict[str, list[float]], method: str) -> int:
    """That all parts of a reading are of one position, and right there. Returns it."""
    found = re.match(r"after (\d+) updates?  ·  w (\S+)", reading["bar"])
    assert found, reading["bar"]
    position, w = int(found[1]), points["w"][int(found[1]) - 1]
    assert set(reading["marks"]) == {position}, reading
    assert found[2] == short(w)
    assert f"at w = {short(w)}" in reading["samples"]
    if method == "backprop":
        assert reading["graph"].endswith(f"after {position} update{'' if position == 1 else 's'}")
        assert (reading["ball"]["x"], reading["ball"]["y"]) == ([w], [points["b"][position - 1]])
        return position
    cost = sum((w * x - y) ** 2 for x, y in zip(DATA["x"], DATA["y"], strict=True)) / 3
    gradient = sum(2 * x * (w * x - y) for x, y in zip(DATA["x"], DATA["y"], strict=True)) / 3
    assert f"cost {short(cost)}  ·  gradient {short(gradient)}" in reading["bar"]
    assert (reading["ball"]["x"], reading["ball"]["y"]) == ([w], [pytest.approx(cost)])
    (x0, x1), (y0, y1) = reading["tangent"]["x"], reading["tangent"]["y"]
    assert (y1 - y0) / (x1 - x0) == pytest.approx(gradient)
    if method == "sgd":
        assert reading["samples"].startswith(f"Samples of update {position + 1},")
    return position


def test_the_graph_is_the_first_window_and_in_sight_from_the_first_look_on(
    new_page: Callable[..., Page], board: BoardProcess
) -> None:
    lesson = next(lesson for lesson in board.get("/api/lessons") if lesson["setup"]["method"] == "backprop")
    for _ in range(3):
        page = BoardPage(new_page(viewport={"width": 1280, "height": 800})).open(board.url)
        page.page.locator("#lessons summary").click()
        page.page.get_by_role("button", name=lesson["title"]).click()
        page.page.get_by_role("region", name=lesson["title"]).get_by_role("button", name="Start").click()
        wait_for(lambda page=page: "/run-" in page.curves.url and len(page.plots()) >= 6, "its windows")
        bars = page.curves.locator(".react-grid-item .bar > div.pull-right")
        titles = [title for title in bars.all_inner_texts() if title]
        assert titles[0].startswith("Graph for sample 1 of 3")
        assert titles[1] == "Cost over w and b"
        graph = page.page.frame_locator("#frame").locator(".react-grid-item").first
        expect(graph).to_be_in_viewport(ratio=0.9)
        page.page.close()  # nobody else looks on: the next start shows its run at once
        board.client.patch("/api/board", json={"run": None})


def test_a_step_that_a_script_left_out_is_not_looked_at(page: BoardPage, board: BoardProcess) -> None:
    run = board.client.post("/api/runs", json={"method": "external", "name": "every tenth"}).json()
    points = {"seq": 0, "step": [0, 10, 20], "metrics": {"loss": [3.0, 2.0, 1.0]}}
    board.client.post(f"/api/runs/{run['id']}/points", json=points)
    board.client.post(f"/api/runs/{run['id']}/finish", json={"status": "finished"})
    board.client.patch("/api/board", json={"run": run["id"]})
    expect(page.page.locator("#look-values")).to_have_text("step 20  ·  loss 1")
    page.page.get_by_role("slider", name="Step shown").fill("4")
    expect(page.page.locator("#look-values")).to_have_text("step 10  ·  loss 2")
    wait_for(lambda: board.get("/api/board")["at"] == 10, "a step that there is")


def test_a_selected_run_too_old_to_be_listed_is_kept_up_to_date(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page.page
    body = {"method": "external", "name": "a script's run"}
    oldest, *_ = [board.client.post("/api/runs", json=body).json()["id"] for _ in range(51)]  # one too many to list
    form_page.open(board.url, curves=False)
    board.client.patch("/api/board", json={"run": oldest})
    expect(page.locator("#look-values")).to_have_text("step –")
    points = {"seq": 0, "step": [0, 1], "metrics": {"loss": [3.0, 2.0]}}
    board.client.post(f"/api/runs/{oldest}/points", json=points)
    expect(page.locator("#look-values")).to_have_text("step 1  ·  loss 2")
    expect(form_page.row(oldest)).to_have_count(0)
    expect(page.locator("#runs-count")).to_have_text("51")


def test_the_graph_shows_what_torch_calculates(page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run("backprop", lr=0.02, epochs=40)["id"])
    look_closer(page, run)
    page.page.get_by_label("Sample").select_option(index=1)
    page.page.get_by_role("slider", name="Step shown").fill("13")
    bar = page.curves.locator(".react-grid-item:has(.tracegraph) .bar")
    expect(bar).to_contain_text("Graph for sample 2 of 3, with the parameters after 13 updates")

    points = board.get(f"/api/runs/{run['id']}/points")["metrics"]
    values = {name: column[12] for name, column in points.items() if re.match(r"[wb]\d", name)}
    wanted = gradients_by_torch(values, x=2.0, y=4.0)
    graph = page.curves.locator(".react-grid-item:has(.tracegraph)")

    def shown() -> dict[str, tuple[float, float]]:
        hovers = graph.locator(".js-plotly-plot").evaluate(
            "plot => plot.data.flatMap(({ hovertext }) => hovertext ?? [])"
        )
        return dict(node_of(text) for text in hovers)

    assert set(wanted) <= set(shown())
    # the title above it may change a moment before the graph does
    wait_for(lambda: all(shown()[name] == pytest.approx(node) for name, node in wanted.items()), "the graph")
    texts = " ".join(graph.locator(".textpoint").all_text_contents())
    for name in ("y_hat", "loss"):
        assert f"{wanted[name][0]:.3g}".replace("-", "−") in texts
        assert f"∂ {wanted[name][1]:.3g}".replace("-", "−") in texts


def gradients_by_torch(values: dict[str, float], x: float, y: float) -> dict[str, tuple[float, float]]:
    """The value and the gradient of some nodes, by torch.autograd."""
    leaves = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in values.items()}
    units = sorted(name.rpartition("_")[2] for name in leaves if name.startswith("w1_"))
    nodes = dict(leaves)
    for unit in units:
        nodes[f"h_{unit}"] = leaves[f"w1_{unit}"] * x + leaves[f"b1_{unit}"]
    nodes["y_hat"] = sum(leaves[f"w2_{unit}"] * nodes[f"h_{unit}"] for unit in units) + leaves["b2"]
    nodes["loss"] = (nodes["y_hat"] - y) ** 2
    for node in nodes.values():
        node.retain_grad()
    nodes["loss"].backward()
    return {name: (node.item(), node.grad.item()) for name, node in nodes.items() if node.grad is not None}


def node_of(hover: str) -> tuple[str, tuple[float, float]]:
    """A node from "h_1 (add)<br>value 0.5<br>gradient 1.25"."""
    found = re.fullmatch(r"(\w+) \(\w+\)<br>value (\S+)<br>gradient (\S+)", hover)
    assert found, hover
    return found[1], (float(found[2]), float(found[3]))


def test_the_trainers_code_stands_beside_the_curves(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    methods = {method["name"]: method for method in board.get("/api/methods")}
    code = page.page.get_by_role("button", name="Code")
    code.click()
    panel = page.page.locator("#source")
    for name in ("gd", "torch"):
        page.page.select_option("#method", name)
        expect(panel.locator("h2")).to_have_text(methods[name]["title"])
        expect(panel.locator("math")).to_be_visible()
        assert panel.locator("li").all_text_contents() == methods[name]["source"].rstrip().split("\n")
        expect(panel.locator("mark")).to_contain_text(methods[name]["update_line"])
        expect(panel.locator("mark")).to_be_in_viewport()
        assert panel.locator("ol").evaluate("code => code.scrollWidth - code.clientWidth") == 0  # no line is cut
        assert page.page.evaluate("document.documentElement.scrollHeight - innerHeight") == 0
    frame, beside = page.page.locator("#frame").bounding_box(), panel.bounding_box()
    assert frame
    assert beside
    assert frame["x"] + frame["width"] <= beside["x"]
    run = board.wait_until(board.run("sgd")["id"])
    board.client.patch("/api/board", json={"run": run["id"]})
    expect(panel.locator("h2")).to_have_text(methods["sgd"]["title"])
    code.click()
    expect(panel).to_be_hidden()
