"""A board that asks for a token, in a browser: the link, the page that asks, and the page of who only looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, Response, expect

from app.middleware.tokens import link, make, read
from tests.harness.boards import BoardProcess


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    """A board that asks for tokens, with a run."""
    with BoardProcess(tmp_path_factory.mktemp("locked"), LOSSBOARD_TOKEN="on") as board:
        board.client.headers["Authorization"] = f"Bearer {read(board.folder)['owner']}"
        board.wait_until(board.run(epochs=20)["id"])
        yield board


def refusals(page: Page) -> list[str]:
    """What the page asks for and does not get, from now on."""
    found: list[str] = []

    def note(answer: Response) -> None:
        if answer.status >= 400:
            found.append(f"{answer.status} {answer.request.method} {answer.url}")

    page.on("response", note)
    return found


def test_a_link_opens_the_page_and_leaves_no_token_behind(locked: BoardProcess, new_page: Callable[..., Page]) -> None:
    token = read(locked.folder)["owner"]
    page = new_page(viewport={"width": 1280, "height": 800})
    refused = refusals(page)
    page.goto(link(locked.url, token))
    expect(page.locator("main[data-ready]")).to_be_attached()
    expect(page.frame_locator("#frame").locator(".window").first).to_be_visible()
    assert page.url == f"{locked.url}/"
    assert token not in page.content()
    assert page.evaluate("document.cookie") == ""
    page.go_back()
    assert page.url == "about:blank"  # the link is not in the history
    assert refused == []


def test_a_page_that_asks_for_the_token(locked: BoardProcess, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 390, "height": 780})
    page.goto(f"{locked.url}/docs")
    expect(page.get_by_label("Token")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.keyboard.type("nonsense")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no token of this board")
    page.reload()  # sends the form again, or asks for the page: either way nothing is lost
    page.get_by_label("Token").fill(read(locked.folder)["owner"])
    page.get_by_role("button").click()
    expect(page.get_by_text("/api/health").first).to_be_visible()
    assert page.url == f"{locked.url}/docs"


def test_who_only_looks_has_nothing_that_is_refused(locked: BoardProcess, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 1280, "height": 800})
    refused = refusals(page)
    page.goto(link(locked.url, read(locked.folder)["read"]))
    expect(page.locator("main[data-ready]")).to_be_attached()
    expect(page.frame_locator("#frame").locator(".window").first).to_be_visible()
    expect(page.locator("#looking")).to_be_visible()
    page.locator("#runs .toggle").first.click()
    page.click("#table-open")
    page.locator("#table-runs .select").first.check()
    expect(page.locator("#table-runs .edit").first).to_be_disabled()
    page.click("#table-close")
    page.click("#metrics-open")
    expect(page.locator("#metrics-list li").first).to_be_visible()
    left = {text for text in page.locator("button:visible").all_inner_texts() if text.strip()}
    name = page.locator("#runs .name").first.inner_text()
    looking = {"Runs 1", "Open table", "1 more metric", "Code"}
    assert {text for text in left if name not in text} == looking
    run = locked.get("/api/runs")["items"][0]["id"]
    locked.client.patch("/api/board", json={"run": run})
    expect(page.locator("#look-values")).to_contain_text("after 20 updates")
    expect(page.locator("#look-line :is(input, button):visible")).to_have_count(0)
    locked.client.patch("/api/board", json={"run": None})
    assert refused == []


def test_a_renewed_token_brings_back_the_page_that_asks(locked: BoardProcess, new_page: Callable[..., Page]) -> None:
    page = new_page(viewport={"width": 1280, "height": 800})
    page.goto(link(locked.url, read(locked.folder)["read"]))
    expect(page.locator("main[data-ready]")).to_be_attached()
    make(locked.folder, new="read")
    page.click("#table-open")
    expect(page.get_by_label("Token")).to_be_visible()
