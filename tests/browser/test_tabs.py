"""Many tabs of one browser on the board: one stream of events for all of them, whatever becomes of one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.calls import external
from tests.harness.pages import BoardPage


@pytest.fixture
def open_tabs(board: BoardProcess, new_page: Callable[..., Page]) -> Callable[..., list[BoardPage]]:
    """Open so many tabs of one browser profile on the board."""

    def open_so_many(number: int, *, curves: bool = False) -> list[BoardPage]:
        return [BoardPage(new_page()).open(board.url, curves=curves) for _ in range(number)]

    return open_so_many


def check_news(board: BoardProcess, tabs: list[BoardPage]) -> None:
    """A run that begins now is seen in all of these tabs."""
    run_id = external(board)
    for tab in tabs:
        expect(tab.row(run_id)).to_be_visible()
        tab.page.evaluate("fetch('/api/health').then((answer) => answer.text())")  # there is a connection left for it


def streams(board: BoardProcess) -> int:
    """How many streams of events the board has, this one not counted."""
    with board.client.stream("GET", "/api/events") as stream:
        lines = stream.iter_lines()
        next(line for line in lines if line == "event: viewers")
        return int(next(lines).removeprefix('data: {"count":').rstrip("}")) - 1


def test_all_tabs_follow_by_one_stream(board: BoardProcess, open_tabs: Callable[..., list[BoardPage]]) -> None:
    tabs = open_tabs(8, curves=True)  # a browser opens six connections to a host
    assert streams(board) == 1
    check_news(board, tabs)
    tabs[0].page.close()
    check_news(board, tabs[1:])
    tabs[1].page.reload()
    check_news(board, tabs[1:])
    assert streams(board) == 1


def test_a_frozen_tab_holds_up_no_other_and_catches_up(
    board: BoardProcess, open_tabs: Callable[..., list[BoardPage]]
) -> None:
    frozen, *others = open_tabs(3)
    session = frozen.page.context.new_cdp_session(frozen.page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    check_news(board, others)
    session.send("Page.setWebLifecycleState", {"state": "active"})
    check_news(board, [frozen, *others])
    expect(frozen.page.locator(".run")).to_have_count(2)


def test_a_worker_that_has_died_is_started_again(
    board: BoardProcess, open_tabs: Callable[..., list[BoardPage]], browser: Browser
) -> None:
    tabs = open_tabs(3)
    session = browser.new_browser_cdp_session()
    found = [one for one in session.send("Target.getTargets")["targetInfos"] if one["type"] == "shared_worker"]
    for worker in found:
        if worker["url"].startswith(board.url):
            session.send("Target.closeTarget", {"targetId": worker["targetId"]})
    wait_for(lambda: streams(board) == 0, "its end")
    wait_for(lambda: streams(board) == 1, "another")
    check_news(board, tabs)


@pytest.mark.parametrize(
    "why", ["delete window.SharedWorker", "window.SharedWorker = class { constructor() { no() } }"]
)
def test_a_tab_without_the_worker_has_a_stream_of_its_own(
    board: BoardProcess, new_page: Callable[..., Page], why: str
) -> None:
    page = new_page()
    page.add_init_script(why)
    check_news(board, [BoardPage(page).open(board.url, curves=False)])
