"""Whatever is started or looked at can be seen: on all windows, and where a person looks."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage

BUTTONS = {"run": "Start", "race": "Start race"}


def open_lesson(page: Page, name: str) -> None:
    """Choose a lesson in the menu."""
    page.locator("#lessons summary").click()
    page.get_by_role("button", name=name).click()


@pytest.mark.parametrize("what", ["run", "race", "lesson"])
def test_what_is_started_is_shown_among_all_runs(page: BoardPage, board: BoardProcess, what: str) -> None:
    run = board.wait_until(board.run()["id"])
    board.client.patch("/api/board", json={"run": run["id"], "at": 3})
    bar = page.page.get_by_role("group", name="The run that is looked at")
    expect(bar).to_be_visible()
    page.full_speed()
    if what == "race":
        page.page.get_by_role("button", name="Race", exact=True).click()
    if what == "lesson":
        open_lesson(page.page, "Three learning rates")
        page.page.locator("#lesson-start").click()
    else:
        page.page.get_by_role("button", name=BUTTONS[what], exact=True).click()
    expect(bar).to_be_hidden()
    assert board.get("/api/board")["run"] is None
    newest = board.get("/api/runs", limit=1)["items"][0]
    assert newest["id"] != run["id"]
    wait_for(lambda: page.trace("Loss", newest["number"]), "its curve")


def test_the_lesson_of_the_graph_shows_its_run_by_itself(page: BoardPage, board: BoardProcess) -> None:
    open_lesson(page.page, "The graph of backpropagation")
    page.page.locator("#lesson-start").click()
    wait_for(lambda: board.get("/api/board")["run"], "a look")
    (run,) = board.get("/api/runs")["items"]
    assert board.get("/api/board")["run"] == run["id"]
    expect(page.page.locator("#look-name")).to_contain_text(f"#{run['number']}")
    expect(page.curves.locator(".react-grid-item:has(.tracegraph) .textpoint").first).to_be_visible()
    board.client.post(f"/api/runs/{run['id']}/stop")


# --- where it is on the page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [800, 390])
def test_on_a_narrow_page_a_closer_look_is_brought_into_sight(
    board: BoardProcess, new_page: Callable[..., Page], width: int
) -> None:
    run = board.wait_until(board.run()["id"])
    page = BoardPage(new_page(viewport={"width": width, "height": 720})).open(board.url, curves=False)
    row = page.row(run["id"])
    row.locator(".toggle").click()
    row.get_by_role("button", name="Look closer").click()
    expect(page.page.locator("#look-name")).to_be_in_viewport()
    expect(page.page.locator("#frame")).to_be_in_viewport(ratio=0.2)


def test_a_row_that_is_opened_shows_its_name_why_and_buttons(form_page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(lr=0.3, epochs=2000)["id"])
    row = form_page.row(run["id"])
    expect(row.locator(".why")).to_have_text(run["why"])
    row.locator(".toggle").click()
    for part in (".name", ".status", ".why", ".look", ".delete"):
        expect(row.locator(part)).to_be_in_viewport(ratio=1)


def test_a_race_of_many_leaves_the_runs_in_sight(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    page.show("Runs")
    ranking = page.page.locator("#ranking")
    vary = {"lr": [0.01 + number / 1000 for number in range(30)]}
    race = board.client.post("/api/races", json={"method": "gd", "params": {"epochs": 20}, "vary": vary}).json()
    expect(ranking.locator("tbody tr")).to_have_count(30)
    expect(ranking.locator("table")).to_be_in_viewport()
    expect(page.row(race["runs"][-1]["id"]).locator(".name")).to_be_in_viewport(ratio=1)
    expect(ranking.get_by_text("Steps to 1 %")).to_have_attribute("title", re.compile("1 % of the run's first"))

    for run in (board.run(), board.run()):
        expect(page.row(run["id"])).to_be_visible()
        expect(ranking.locator("table")).to_be_hidden()  # it is not the newest any more
        expect(page.row(run["id"]).locator(".name")).to_be_in_viewport(ratio=1)
        ranking.locator("summary").click()  # and a person opens it
        expect(ranking.locator("table")).to_be_visible()
        ranking.locator("summary").click()


def test_a_whole_race_is_held_resumed_and_stopped(form_page: BoardPage, board: BoardProcess) -> None:
    form_page.show("Runs")
    page = form_page.page
    body = {"method": "gd", "params": {"epochs": 5000, "steps_per_second": 5}, "vary": {"lr": [0.01, 0.02, 0.03]}}
    runs = board.client.post("/api/races", json=body).json()["runs"]
    for run in runs:
        board.wait_until(run["id"], "running")
    board.client.post(f"/api/runs/{runs[0]['id']}/pause")  # one of them before
    board.wait_until(runs[0]["id"], "paused")
    for button, status in (("Pause all", "paused"), ("Resume all", "running"), ("Stop all", "stopped")):
        page.get_by_role("button", name=button).click()
        for run in runs:
            board.wait_until(run["id"], status)
            expect(form_page.row(run["id"]).locator(".status")).to_contain_text(status.capitalize())
    expect(page.get_by_role("group", name="All runs of the race")).to_be_hidden()


def test_the_keyboard_can_skip_to_the_windows(form_page: BoardPage) -> None:
    page = form_page.page
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the windows")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("checkbox", name="step")).to_be_focused()
