"""Learning rates and methods race, started from the page."""

from __future__ import annotations

import re

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
