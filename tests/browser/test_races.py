"""Learning rates and methods race, started from the page."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage

DATA = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}


def test_five_learning_rates_race(page: BoardPage, board: BoardProcess) -> None:
    page.fill(epochs=1000)  # at full speed, then
    page.page.get_by_role("button", name="Race", exact=True).click()
    rates = page.page.get_by_label("Rates to compare")
    rates.fill("0.01, fast")
    page.page.get_by_role("button", name="Start race").click()
    expect(page.page.locator("#race-rates-error")).to_contain_text("“fast” is not a number")
    rates.fill("0.01, -1")
    rates.press("Enter")
    expect(page.page.locator("#race-rates-error")).to_have_text(
        "-1 is no learning rate: write numbers above 0, up to 1,000."
    )
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
    expect(page.row(next(run["id"] for run in runs if run["params"]["lr"] == 0.3))).to_contain_text("Diverged")
    wait_for(lambda: len(page.plot("Loss")["traces"]) == 5, "five curves")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("0,1", "“0,1” would be two rates, 0 and 1: write a decimal point, as in 0.1, and commas between the rates."),
        ("0,01, 0,05", "“0,01” would be two rates, 0 and 01: write a decimal point"),
        ("3 from fast to 0.3", "“fast” is not a number"),
        ("−1; 0,1", "-1 is no learning rate: write numbers above 0, up to 1,000."),
        ("3 from 0 to 0.3", "0 is no learning rate: write numbers above 0, up to 1,000."),
        ("1 from 0.1 to 0.3", "“1” is no number of rates: write 2 to 50, such as 5 from 0.01 to 0.3."),
        ("0.1, 2000", "2,000 is no learning rate"),
        ("0.1", "A race needs two learning rates or more"),
    ],
)
def test_a_rate_that_cannot_be_is_named(form_page: BoardPage, typed: str, said: str) -> None:
    form_page.page.get_by_role("button", name="Race", exact=True).click()
    rates = form_page.page.get_by_label("Rates to compare")
    rates.fill(typed)
    rates.press("Enter")
    error = form_page.page.locator("#race-rates-error")
    expect(error).to_contain_text(said)
    rates.fill("0.1, 0.2")
    expect(error).to_be_hidden()


def test_methods_race_with_what_the_form_says(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    page.page.select_option("#method", "minibatch")
    page.fill(batch_size=3)
    page.page.select_option("#method", "gd")
    page.fill(lr=0.1, epochs=60, w0=-3)
    page.full_speed()
    page.page.get_by_role("button", name="Race", exact=True).click()
    page.page.get_by_label("Compare", exact=True).select_option("methods")
    page.page.get_by_role("checkbox", name="Gradient descent", exact=True).check()
    page.page.get_by_role("button", name="Start race").click()
    expect(page.page.locator("#race-methods-error")).to_contain_text("two methods")
    page.page.get_by_role("checkbox", name="Exhaustive search").check()
    page.page.get_by_role("checkbox", name="Mini-batch").check()
    plan = page.page.locator("#race-plan li")
    expect(plan).to_have_text(
        [
            "Exhaustive search: first w 0, last w 4, step 0.1",
            "Gradient descent: learning rate 0.1, epochs 60, initial weight -3",
            "Mini-batch gradient descent: learning rate 0.1, epochs 60, initial weight -3, batch size 3, order random,"
            " seed 0",
        ]
    )
    page.fill(lr=0.05)
    expect(plan.nth(1)).to_contain_text("learning rate 0.05")
    page.page.get_by_role("button", name="Start race").click()
    expect(page.page.locator("#race")).to_be_hidden()

    runs = board.get("/api/runs")["items"][:3]
    params = {run["method"]: run["params"] for run in runs}
    assert {name: params[name].get("lr") for name in params} == {"gd": 0.05, "minibatch": 0.05, "sweep": None}
    assert {params[name]["w0"] for name in ("gd", "minibatch")} == {-3}
    assert (params["gd"]["epochs"], params["minibatch"]["batch_size"]) == (60, 3)
    for run in runs:
        board.wait_until(run["id"])
    assert len({run["colour"] for run in runs}) == 3
    heads = page.page.locator("#ranking thead th")
    expect(heads).to_have_text(["Method", "Gradients to 1 %", "Steps to 1 %", "Error now"])


def test_methods_are_drawn_by_what_they_have_cost(page: BoardPage, board: BoardProcess) -> None:
    methods = {"params": {"lr": 0.02}, "vary": {"method": ["gd", "sgd", "sweep"]}, "group": "by work"}
    assert board.client.post("/api/races", json=methods).status_code == 201

    def ends() -> set[float]:
        traces = page.plot("Mean squared error against work, by work")["traces"]
        return {trace["x"][-1] for trace in traces} if len(traces) == 3 else set()

    wait_for(lambda: ends() == {300, 123}, "100 epochs and 41 candidates of three samples each")
