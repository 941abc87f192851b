"""Answers and events that cross on their way: what is older never takes the place of what is newer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.harness.boards import PATIENCE, BoardProcess, wait_for
from tests.harness.pages import BoardPage

# What events have told of the board, in `told`. For that the page has a stream of its own, as in a browser without
# workers that tabs share.
NOTE_EVENTS = """
window.told = [];
delete window.SharedWorker;
window.EventSource = class extends EventSource {
  constructor(url) {
    super(url);
    this.addEventListener("board", ({ data }) => told.push(JSON.parse(data)));
  }
};
"""


class Delay:
    """The first request of a page to an address is kept from the board, or its answer from the page."""

    def __init__(self, page: Page, url: str, keep: str = "answer") -> None:
        self._page = page
        self._keep = keep
        self._request: Request | None = None
        self._go: Callable[[], None] | None = None
        page.route(url, self._take, times=1)

    def _take(self, route: Route) -> None:
        self._request = route.request
        if self._keep == "request":
            self._go = route.continue_
        else:
            answer = route.fetch(timeout=PATIENCE * 1000)
            self._go = lambda: route.fulfill(response=answer)

    def wait(self) -> None:
        """Return once it is kept."""
        wait_for(lambda: asked(self._page) and self._go, "the request")

    def let_go(self) -> None:
        """Let it through; the page has dealt with the answer when this returns."""
        assert self._go
        with self._page.expect_event("requestfinished", lambda request: request == self._request):
            self._go()
        self._page.evaluate("fetch('/api/health').then((answer) => answer.text())")  # it comes after that one


def asked(page: Page) -> bool:
    """True: Playwright sees to a page's requests only while the page is asked something."""
    return bool(page.title())


def noting(page: Page, board: BoardProcess) -> Page:
    """The board's page, which notes what it is told of the board."""
    page.add_init_script(NOTE_EVENTS)
    return BoardPage(page).open(board.url, curves=False).page


@pytest.mark.parametrize("keep", ["request", "answer"])
def test_a_switch_does_not_jump_back_and_no_change_of_others_is_lost(
    board: BoardProcess, new_page: Callable[..., Page], keep: str
) -> None:
    page = noting(new_page(), board)
    loss, w = (page.get_by_role("checkbox", name=name, exact=True) for name in ("loss", "w"))
    delay = Delay(page, "**/api/board", keep)
    loss.check()
    delay.wait()
    board.client.patch("/api/board", json={"axes": {"w": "log"}})  # by somebody else: before ours, or after
    wait_for(lambda: any(one["axes"]["w"] == "log" for one in page.evaluate("told")), "word of it")
    assert loss.is_checked()
    delay.let_go()
    expect(w).to_be_checked()
    expect(loss).to_be_checked()


def test_a_run_that_comes_late_is_not_looked_at_any_more(board: BoardProcess, new_page: Callable[..., Page]) -> None:
    body = {"method": "external", "name": "a script's run"}
    oldest, *_ = [board.client.post("/api/runs", json=body).json()["id"] for _ in range(51)]  # one too many to list
    page = noting(new_page(), board)
    delay = Delay(page, f"**/api/runs/{oldest}")
    board.client.patch("/api/board", json={"run": oldest})
    delay.wait()
    board.client.patch("/api/board", json={"run": None})
    wait_for(lambda: page.evaluate("told.at(-1).run") is None, "word of it")
    delay.let_go()
    expect(page.locator("#look")).to_be_hidden()
    expect(page.locator("#axes [name=cost]")).to_be_visible()


def test_a_step_of_others_is_shown_after_one_that_a_script_left_out(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page.page
    run = board.client.post("/api/runs", json={"method": "external", "name": "every tenth"}).json()
    points = {"seq": 0, "step": [0, 10, 20], "metrics": {"loss": [3.0, 2.0, 1.0]}}
    board.client.post(f"/api/runs/{run['id']}/points", json=points)
    board.client.patch("/api/board", json={"run": run["id"]})
    expect(page.locator("#look-values")).to_have_text("step 20  ·  loss 1")
    delay = Delay(page, "**/api/board")
    page.get_by_role("slider", name="Step shown").fill("4")
    delay.wait()
    wait_for(lambda: asked(page) and board.get("/api/board")["at"] == 10, "the next step that there is")
    delay.let_go()
    board.client.patch("/api/board", json={"at": 0})
    expect(page.locator("#look-values")).to_have_text("step 0  ·  loss 3")


def test_a_ranking_that_comes_late_does_not_stay(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page.page
    delay = Delay(page, "**/api/races/*")
    body = {"method": "gd", "params": {"epochs": 5000, "steps_per_second": 5}, "vary": {"lr": [0.3, 0.35]}}
    runs = board.client.post("/api/races", json=body).json()["runs"]
    delay.wait()
    for run in runs:
        board.client.patch(f"/api/runs/{run['id']}", json={"params": {"steps_per_second": None}})
    losses = page.locator("#ranking tbody td:last-child")
    expect(losses).to_have_text(["diverged", "diverged"])
    delay.let_go()
    expect(losses).to_have_text(["diverged", "diverged"])
