"""Whatever is started can be seen: no page stays with the one run that it looked at."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.boards import BoardProcess, wait_for
from tests.browser.pages import BoardPage

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
