"""The slider's theory, the lessons, and how all of it looks."""

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
    expect(page.page.locator("#look-values")).to_contain_text("after 6 updates")
    for tab, shown in (("Set up", ".legend"), ("Runs", "#ranking")):
        page.show(tab)
        expect(page.page.locator(shown)).to_be_visible()
        assert sideways(page.page) == 0
        found = Axe().run(page.page, options={"iframes": False})
        severe = [one for one in found.response["violations"] if one["impact"] in {"serious", "critical"}]
        assert not severe, [(one["id"], [node["html"] for node in one["nodes"]]) for one in severe]
    for one in group:
        board.client.post(f"/api/runs/{one['id']}/stop")
