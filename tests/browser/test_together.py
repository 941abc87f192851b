"""What one person starts is told of, and throws nobody else out of what they look at."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_start import BUTTONS, open_lesson
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.laboratory import slow_run
from tests.harness.pages import BoardPage

# Who looks is told by an event; the page has nothing on it that says so.
VIEWERS = "import('/state.js').then(({ state }) => state.viewers)"


@pytest.fixture
def two(board: BoardProcess, new_page: Callable[..., Page]) -> tuple[BoardPage, BoardPage]:
    """The pages of two people on the board, each of which knows of the other."""
    pages = [new_page(), new_page(locale="en")]  # in two browser profiles: the tabs of one are one viewer
    first, second = [BoardPage(page).open(board.url, curves=False) for page in pages]
    for opened in (first, second):
        wait_for(lambda page=opened.page: page.evaluate(VIEWERS) == 2, "word of the other")
    return first, second


def start(page: BoardPage, what: str) -> None:
    """Start a run, a race or a lesson from the page."""
    if what in BUTTONS:
        page.full_speed()
    if what == "race":
        page.page.get_by_role("button", name="Race", exact=True).click()
    if what in BUTTONS:
        page.page.get_by_role("button", name=BUTTONS[what], exact=True).click()
    else:
        open_lesson(page.page, what)
        page.page.locator("#lesson-start").click()


@pytest.mark.parametrize("what", ["run", "race", "Three learning rates"])
def test_a_start_leaves_others_what_they_look_at(
    two: tuple[BoardPage, BoardPage], board: BoardProcess, what: str
) -> None:
    mine, theirs = two
    run = board.wait_until(board.run(epochs=20)["id"])
    board.client.patch("/api/board", json={"run": run["id"], "at": 3})
    for page in two:
        expect(page.page.locator("#look")).to_be_visible()
    start(mine, what)
    offer = mine.page.locator("#start-offer")
    expect(offer).to_contain_text(f"started. Others look at {run['name']} #{run['number']} with you.")
    assert (board.get("/api/board")["run"], board.get("/api/board")["at"]) == (run["id"], 3)
    expect(theirs.page.locator("#start-offer")).to_be_empty()
    offer.get_by_role("button", name="Show all runs").click()
    for page in two:
        expect(page.page.locator("#look")).to_be_hidden()
    expect(offer).to_be_empty()
    expect(mine.page.get_by_role("tab", name="Runs")).to_be_focused()


def test_a_lesson_of_one_run_leaves_others_all_runs(two: tuple[BoardPage, BoardPage], board: BoardProcess) -> None:
    mine, theirs = two
    start(mine, "The graph of backpropagation")
    offer = mine.page.locator("#start-offer")
    expect(offer).to_contain_text("started. Others look at all runs with you.")
    assert board.get("/api/board")["run"] is None
    offer.get_by_role("button", name="Look closer").click()
    (run,) = board.get("/api/runs")["items"]
    for page in two:
        expect(page.page.locator("#look-name")).to_contain_text(f"#{run['number']}")
    board.client.post(f"/api/runs/{run['id']}/stop")
    expect(theirs.page.locator("#start-offer")).to_be_empty()


def test_an_offer_goes_when_somebody_else_shows_all_runs(two: tuple[BoardPage, BoardPage], board: BoardProcess) -> None:
    mine, theirs = two
    run = board.wait_until(board.run(epochs=20)["id"])
    board.client.patch("/api/board", json={"run": run["id"]})
    for page in two:
        expect(page.page.locator("#look")).to_be_visible()
    start(mine, "run")
    expect(mine.page.locator("#start-offer")).to_contain_text("started")
    theirs.page.get_by_role("button", name="All runs").click()
    expect(mine.page.locator("#start-offer")).to_be_empty()


@pytest.mark.parametrize("button", ["Step", "Resume"])
def test_a_run_that_goes_on_is_shown_where_it_goes_on(form_page: BoardPage, board: BoardProcess, button: str) -> None:
    run = slow_run(board)
    wait_for(lambda: (board.get(f"/api/runs/{run['id']}")["step"] or 0) >= 2, "some steps")
    board.client.post(f"/api/runs/{run['id']}/pause")
    board.wait_until(run["id"], "paused")
    board.client.patch("/api/board", json={"run": run["id"], "at": 1})
    latest = form_page.page.get_by_role("button", name="Latest")
    expect(latest).to_have_attribute("aria-pressed", "false")
    form_page.row(run["id"]).get_by_role("button", name=button).press("Enter")
    expect(latest).to_have_attribute("aria-pressed", "true")
    assert board.get("/api/board")["at"] is None
    board.client.post(f"/api/runs/{run['id']}/stop")


def test_a_step_of_another_run_leaves_the_slider_where_it_is(form_page: BoardPage, board: BoardProcess) -> None:
    other = board.wait_until(board.run(epochs=20)["id"])
    board.client.patch("/api/board", json={"run": other["id"], "at": 1})
    run = slow_run(board)
    form_page.row(run["id"]).get_by_role("button", name="Step").click()
    board.wait_until(run["id"], "paused")
    assert board.get("/api/board")["at"] == 1
    board.client.post(f"/api/runs/{run['id']}/stop")
