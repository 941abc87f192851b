"""The laboratory: runs are controlled while they train, raced, looked at step by step, and explained."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage, sideways

DATA = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}


def slow_run(board: BoardProcess, **params: Any) -> dict[str, Any]:
    """A run that takes longer than its test."""
    run = board.run(**{"lr": 0.01, "epochs": 5000, "steps_per_second": 5, **params})
    return board.wait_until(run["id"], "running")


def look_closer(page: BoardPage, run: dict[str, Any]) -> None:
    """Choose a run, and wait until its own windows can be seen."""
    row = page.row(run["id"])
    row.locator(".toggle").click()
    row.get_by_role("button", name="Look closer").click()
    expect(page.page.locator("#look-name")).to_have_text(f"{run['name']} #{run['number']}")
    wait_for(lambda: run["visdom"]["env"] in page.curves.url and page.plots(), "its own windows")


# --- the slider -------------------------------------------------------------------------------------------------------


def test_the_slider_is_coloured_by_theory_and_says_the_numbers(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    slider, theory = page.page.get_by_role("slider", name="Learning rate"), page.page.locator(".theory")
    expect(theory).to_have_text("Converges below 2/λ = 0.214, fastest at 0.107.")
    expect(page.page.locator(".legend .zone:visible")).to_have_text(["slow", "good", "oscillating", "diverging"])
    for rate, zone in ((0.0005, "slow"), (0.05, "good"), (0.15, "oscillating"), (0.3, "diverging")):
        page.fill(lr=rate)
        expect(page.page.locator(".zone.here")).to_have_text(zone)
        expect(slider).to_have_attribute("aria-valuetext", f"{rate}, {zone}")
    assert "field-lr-theory" in str(slider.get_attribute("aria-describedby"))
    background = slider.evaluate("slider => slider.style.getPropertyValue('--zones')")
    limits = [zone["from"] for zone in stability(board, "gd")["zones"]]
    drawn = [float(part) for part in re.findall(r"\* ([\d.]+)\)", background)]
    places = [place for place in map(place_of, limits) for _ in ("its end", "and the next one's start") if place > 0]
    assert drawn == pytest.approx(places, abs=1e-3)

    page.fill(x="2, 4, 6")  # a curvature four times as large
    expect(theory).to_contain_text("2/λ = 0.0536")
    page.page.select_option("#method", "torch")
    expect(theory).to_contain_text(f"2/λ = {stability(board, 'torch', x=[2.0, 4.0, 6.0])['lr_limit']:.3g}")
    expect(theory).to_contain_text("overshoots from")
    page.page.select_option("#method", "sgd")
    expect(theory).to_contain_text("no limit")
    expect(page.page.locator(".legend")).to_be_hidden()
    page.field("order").select_option("sequential")
    expect(page.page.locator(".legend")).to_be_visible()


def stability(board: BoardProcess, method: str, x: list[float] | None = None) -> dict[str, Any]:
    """What the API says of a method's learning rate."""
    answer = board.client.post(f"/api/methods/{method}/stability", json={"data": {**DATA, "x": x or DATA["x"]}})
    found: dict[str, Any] = answer.json()
    return found


def place_of(rate: float) -> float:
    """Where a rate is on the slider, from 0 to 1."""
    return (float(torch.log10(torch.tensor(rate, dtype=torch.float64))) + 4) / 5 if rate else 0.0


# --- control ----------------------------------------------------------------------------------------------------------


def test_the_learning_rate_changes_while_a_run_goes_on(page: BoardPage, board: BoardProcess) -> None:
    run = slow_run(board, steps_per_second=20)
    row = page.row(run["id"])
    rate = row.get_by_role("spinbutton", name="Learning rate")
    expect(rate).to_have_value("0.01")
    rate.fill("0.05")
    rate.press("Enter")
    changes = wait_for(lambda: board.get(f"/api/runs/{run['id']}")["changes"], "a recorded change")
    assert changes[0]["params"] == {"lr": 0.05}
    assert changes[0]["step"] > 0
    expect(page.curves.locator(".annotation", has_text="lr 0.05").first).to_be_attached()  # on the curve
    rate.press("ArrowUp")
    expect(rate).to_have_value("0.06")
    wait_for(lambda: len(board.get(f"/api/runs/{run['id']}")["changes"]) == 2, "a second change")

    rate.fill("-1")
    rate.press("Enter")
    expect(row.locator(".steer .error")).to_contain_text("lr: This should be greater than 0")
    pace = row.get_by_role("spinbutton", name="Steps per second")
    pace.fill("0")
    pace.press("Enter")
    expect(row.locator(".steer .error")).to_contain_text("steps/s: This should be greater than 0")
    rate.fill("0.02")
    rate.press("Enter")
    expect(row.locator(".steer .error")).to_have_text(re.compile("^steps/s: "))
    pace.fill("20")
    pace.press("Enter")
    expect(row.locator(".steer .error")).to_be_hidden()
    row.get_by_role("button", name="Stop").click()
    expect(row.locator(".steer")).to_be_hidden()


def test_of_two_parameters_changed_at_once_the_last_value_of_each_is_sent(
    form_page: BoardPage, board: BoardProcess
) -> None:
    run = slow_run(board)
    row = form_page.row(run["id"])
    expect(row.get_by_role("spinbutton")).to_have_count(2)
    row.evaluate("""row => [["lr", 0.01], ["lr", 0.02], ["steps_per_second", 7]].forEach(([name, value]) => {
      const input = row.querySelector(`.steer [name=${name}]`);
      input.value = value;
      input.dispatchEvent(new Event("change"));
    })""")

    def changed() -> dict[str, float]:
        return {
            name: value
            for change in board.get(f"/api/runs/{run['id']}")["changes"]
            for name, value in change["params"].items()
        }

    wait_for(lambda: changed() == {"lr": 0.02, "steps_per_second": 7}, "both changes")
    row.get_by_role("button", name="Stop").click()


def test_a_run_is_held_stepped_and_resumed(form_page: BoardPage, board: BoardProcess) -> None:
    run = slow_run(board)

    def step() -> int | None:
        answer: int | None = board.get(f"/api/runs/{run['id']}")["step"]
        return answer

    wait_for(lambda: step() is not None, "a first step")
    row = form_page.row(run["id"])
    row.get_by_role("button", name="Pause").click()
    expect(row.locator(".status")).to_contain_text("Paused")
    held = where_it_stands(board, run["id"])
    wait_for(lambda: step() == held, "every point of it")
    assert wait_until_still(form_page.page, step) == held
    for more in (1, 2):
        row.get_by_role("button", name="Step").click()
        wait_for(lambda more=more: step() == held + more, "one more step")
    assert wait_until_still(form_page.page, step) == held + 2
    row.get_by_role("button", name="Resume").click()
    expect(row.locator(".status")).to_contain_text("Running")
    wait_for(lambda: (step() or 0) > held + 4, "steps of its own")
    row.get_by_role("button", name="Stop").click()
    expect(row.locator(".status")).to_have_text("Stopped")


def where_it_stands(board: BoardProcess, run_id: str) -> int:
    """The last step of a run that is held, as told by its worker, which may hear of the hold a little later.

    With the first change it has heard of the hold as well, but perhaps as it took a step; with the second it stands.
    """
    for count, lr in enumerate((0.02, 0.03), 1):
        assert board.client.patch(f"/api/runs/{run_id}", json={"params": {"lr": lr}}).status_code == 200
        wait_for(lambda count=count: len(board.get(f"/api/runs/{run_id}")["changes"]) == count, "a recorded change")
    step: int = board.get(f"/api/runs/{run_id}")["changes"][-1]["step"]
    return step - 1  # the change holds from the next one on


def wait_until_still(page: Page, question: Callable[[], int | None]) -> int | None:
    """The answer, once it stays the same for as long as a few steps of a run would take."""
    seen: int | None = -1
    while seen != (seen := question()):
        page.wait_for_timeout(700)
    return seen


def test_a_script_is_offered_what_it_can_do(form_page: BoardPage, board: BoardProcess) -> None:
    body = {"method": "external", "name": "mine", "params": {"lr": 0.1, "layers": "two"}}
    run = board.client.post("/api/runs", json=body).json()
    row = form_page.row(run["id"])
    expect(row.get_by_role("spinbutton")).to_have_count(1)
    expect(row.get_by_role("spinbutton")).to_have_value("0.1")


def test_why_a_run_diverges_is_said(form_page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(lr=0.25, epochs=2000)["id"])
    why = form_page.row(run["id"]).locator(".why")
    expect(why).to_have_text(run["why"])
    expect(why).to_contain_text("lr 0.25 is above 2/λ = 0.214")


# --- races ------------------------------------------------------------------------------------------------------------


def test_five_learning_rates_race(page: BoardPage, board: BoardProcess) -> None:
    page.fill(epochs=1000)  # at full speed, then
    page.page.get_by_role("button", name="Race", exact=True).click()
    rates = page.page.get_by_label("Rates to compare")
    rates.fill("0.01, fast")
    page.page.get_by_role("button", name="Start race").click()
    expect(page.page.locator("#race-rates-error")).to_contain_text("“fast” is not a number")
    rates.fill("0.01, -1")
    rates.press("Enter")
    expect(page.page.locator("#race-rates-error")).to_contain_text("greater than 0")
    before = board.get("/api/runs")["total"]
    rates.fill("5 from 0.01 to 0.3")
    rates.press("Enter")
    expect(page.page.locator("#race")).to_be_hidden()
    assert board.get("/api/runs")["total"] == before + 5

    runs = board.get("/api/runs")["items"][:5]
    assert sorted(run["params"]["lr"] for run in runs) == [0.01, 0.0234, 0.0548, 0.128, 0.3]
    for run in runs:
        board.wait_until(run["id"])
        expect(page.row(run["id"])).to_have_class(re.compile("together"))
    expect(page.row(runs[0]["id"]).locator(".group")).to_have_text(runs[0]["group"])
    expect(page.row(runs[1]["id"]).locator(".group")).to_be_hidden()

    table = page.page.locator("#ranking tbody tr")
    places = board.get(f"/api/races/{runs[0]['group']}")
    expect(table.locator("th")).to_have_text([f"{place['value']:g}" for place in places])
    expect(table.first.locator("td").first).to_have_text(str(places[0]["steps_to_1_percent"]))
    expect(table.last).to_contain_text("diverged")
    wait_for(lambda: len(page.plot("Loss")["traces"]) == 5, "five curves")


def test_methods_race_with_the_parameters_they_share(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    page.page.select_option("#method", "sgd")
    page.fill(lr=0.02)
    page.full_speed()
    page.page.get_by_role("button", name="Race", exact=True).click()
    page.page.get_by_label("Compare", exact=True).select_option("methods")
    page.page.get_by_label("Gradient descent", exact=True).check()
    page.page.get_by_role("button", name="Start race").click()
    expect(page.page.locator("#race-methods-error")).to_contain_text("two methods")
    page.page.get_by_label("Autograd").check()
    page.page.get_by_role("button", name="Start race").click()
    expect(page.page.locator("#race")).to_be_hidden()
    runs = board.get("/api/runs")["items"][:2]
    assert {(run["method"], run["params"]["lr"]) for run in runs} == {("gd", 0.02), ("autograd", 0.02)}
    for run in runs:
        board.wait_until(run["id"])


# --- one run ----------------------------------------------------------------------------------------------------------


def test_a_run_is_looked_at_step_by_step_by_everyone(
    page: BoardPage, board: BoardProcess, new_page: Callable[..., Page]
) -> None:
    run = board.wait_until(board.run(lr=0.2, epochs=60)["id"])
    other = BoardPage(new_page(viewport={"width": 1400, "height": 800})).open(board.url)
    look_closer(page, run)
    expect(other.page.locator("#look-name")).to_contain_text(f"#{run['number']}")
    slider = page.page.get_by_role("slider", name="Step shown")
    expect(slider).to_have_value("59")

    slider.fill("10")
    slider.press("ArrowRight")
    points = board.get(f"/api/runs/{run['id']}/points")
    w, loss = points["metrics"]["w"][11], points["metrics"]["loss"][11]
    for shown in (page, other):
        expect(shown.page.locator("#look-values")).to_have_text(f"step 11  ·  loss {loss:.5g} → w {w:.5g}")
        expect(shown.page.locator("#look-step")).to_have_value("11")

        def ball(shown: BoardPage = shown) -> bool:
            """Whether the ball lies on the cost curve at that w."""
            return any(trace["x"] == [pytest.approx(w)] for trace in shown.plot("Cost curve")["traces"])

        wait_for(ball, "the ball at that step")

    page.page.get_by_role("button", name="Latest").click()
    expect(slider).to_have_value("59")
    assert board.get("/api/board")["at"] is None
    page.page.get_by_role("button", name="All runs").click()
    for shown in (page, other):
        expect(shown.page.locator("#look")).to_be_hidden()
        wait_for(lambda shown=shown: "Loss" in shown.plots(), "the shared windows")


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
    page.page.get_by_role("slider", name="Step shown").fill("12")
    bar = page.curves.locator(".react-grid-item:has(.tracegraph) .bar")
    expect(bar).to_contain_text("Graph for sample 2 of 3, with the parameters after step 12")

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


# --- lessons ----------------------------------------------------------------------------------------------------------


def open_lesson(page: BoardPage, name: str) -> Locator:
    """Choose a lesson in the menu."""
    page.page.locator("#lessons summary").click()
    page.page.get_by_role("button", name=name).click()
    lesson = page.page.get_by_role("region", name=name)
    expect(lesson).to_be_visible()
    return lesson


def test_every_lesson_fills_the_form_and_starts(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    lessons = board.get("/api/lessons")
    for lesson in lessons:
        card = open_lesson(page, lesson["title"])
        for part in ("title", "text", "question"):
            expect(card).to_contain_text(lesson[part])
        setup, vary = lesson["setup"], lesson["setup"]["vary"]
        assert page.page.locator("#method").input_value() == setup["method"]
        page.full_speed()
        before = board.get("/api/runs")["total"]
        card.get_by_role("button", name="Start").click()
        count = len(next(iter(vary.values()))) if vary else 1
        wait_for(lambda wanted=before + count: board.get("/api/runs")["total"] == wanted, "its runs")
        for run in board.get("/api/runs", limit=count)["items"]:
            if vary and "method" not in vary:
                assert run["params"]["lr"] in vary["lr"]
            board.wait_until(run["id"])
        expect(card).to_contain_text(lesson["question"])
    card.get_by_role("button", name="Close").click()
    expect(card).to_be_hidden()


# --- looks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_all_of_it_is_accessible_and_not_cut_off(
    board: BoardProcess, new_page: Callable[..., Page], colours: str, width: int
) -> None:
    body = {"method": "gd", "params": {"epochs": 3000, "steps_per_second": 20}, "vary": {"lr": [0.01, 0.3]}}
    group = board.client.post("/api/races", json=body).json()["runs"]
    run = board.wait_until(board.run("backprop")["id"])
    board.client.patch("/api/board", json={"run": run["id"], "at": 5})
    page = BoardPage(new_page(color_scheme=colours, viewport={"width": width, "height": 844}))
    page.open(board.url, curves=False)
    page.page.get_by_role("button", name="Race", exact=True).click()
    open_lesson(page, "Three learning rates")
    page.page.get_by_role("button", name="Code").click()
    expect(page.page.locator("#look-values")).to_contain_text("step 5")
    expect(page.page.locator(".legend")).to_be_visible()
    expect(page.page.locator("#ranking")).to_be_visible()
    assert sideways(page.page) == 0
    found = Axe().run(page.page, options={"iframes": False})
    severe = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
    assert not severe, [(one["id"], [node["html"] for node in one["nodes"]]) for one in severe]
    for one in group:
        board.client.post(f"/api/runs/{one['id']}/stop")
