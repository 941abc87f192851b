"""How it looks: nothing cut off, at any width, in the dark, for every person; and no other machine is asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.boards import BoardProcess, wait_for
from tests.browser.conftest import Watch
from tests.browser.pages import BoardPage, sideways

PHONE = {"width": 390, "height": 844}
SEVERE = {"serious", "critical"}


def boxes(page: BoardPage) -> list[dict[str, float]]:
    """Where Visdom's windows are in their frame."""
    found: list[dict[str, float]] = page.curves.locator(".react-grid-item").evaluate_all(
        "items => items.map(item => { const { x, y, right, bottom } = item.getBoundingClientRect();"
        " return { x, y, right, bottom }; })"
    )
    return found


def size_of_frame(page: BoardPage) -> tuple[float, float]:
    """The width and the height of the frame's inside."""
    width, height = page.curves.evaluate("[innerWidth, innerHeight]")
    return width, height


def test_at_1280_by_720_everything_is_on_the_screen(page: BoardPage, board: BoardProcess) -> None:
    board.wait_until(board.run()["id"])
    for method in board.get("/api/methods"):
        page.page.select_option("#method", method["name"])
        controls = page.page.locator(".controls").evaluate("panel => panel.scrollHeight - panel.clientHeight")
        assert (sideways(page.page), controls) == (0, 0), method["name"]
        formula = page.page.locator("#formula").evaluate("box => box.scrollWidth - box.clientWidth")
        assert formula == 0, method["name"]
    assert page.page.evaluate("document.documentElement.scrollHeight") == 720
    width, height = size_of_frame(page)
    assert width > 1280 / 2
    shown = boxes(page)
    assert len({box["x"] for box in shown}) == 2  # columns
    assert all(box["x"] >= 0 and box["right"] <= width and box["bottom"] <= height for box in shown)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_on_a_phone_there_is_one_column_and_nothing_is_cut_off(
    board: BoardProcess, new_page: Callable[..., Page], colours: str
) -> None:
    board.wait_until(board.run()["id"])
    page = BoardPage(new_page(viewport=PHONE, color_scheme=colours)).open(board.url)
    assert sideways(page.page) == 0
    width, height = size_of_frame(page)
    shown = boxes(page)
    assert len({box["x"] for box in shown}) == 1
    assert all(box["x"] >= 0 and box["right"] <= width and box["bottom"] <= height for box in shown)
    inside = page.curves.locator(".main-svg").evaluate_all("all => all.map(svg => svg.getBoundingClientRect().right)")
    assert max(inside) <= width
    page.page.get_by_role("checkbox", name="cost").scroll_into_view_if_needed()


def test_the_dark_is_dark_everywhere(board: BoardProcess, new_page: Callable[..., Page]) -> None:
    page = BoardPage(new_page(color_scheme="dark")).open(board.url)
    for document in (page.page, page.curves):
        red, *_ = brightness(document.locator("body").evaluate("body => getComputedStyle(body).backgroundColor"))
        assert red < 64
    pane = page.curves.locator(".window").first
    assert brightness(pane.evaluate("pane => getComputedStyle(pane).backgroundColor"))[0] < 64
    label = page.curves.locator(".xtick text").first
    if label.count():
        assert brightness(label.evaluate("text => getComputedStyle(text).fill"))[0] > 128


def brightness(colour: str) -> list[int]:
    """The parts of rgb(1, 2, 3)."""
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_accessible(board: BoardProcess, new_page: Callable[..., Page], colours: str) -> None:
    board.wait_until(board.run(lr=0.3, epochs=1000)["id"])
    page = BoardPage(new_page(color_scheme=colours)).open(board.url)
    page.page.locator(".toggle").first.click()
    page.fill(lr=-1)
    page.page.get_by_role("button", name="Start").click()
    expect(page.error("lr")).to_be_visible()
    found = Axe().run(page.page, options={"iframes": False})  # Visdom's markup is its own
    severe = [violation for violation in found.response["violations"] if violation["impact"] in SEVERE]
    assert not severe, [(one["id"], [node["html"] for node in one["nodes"]]) for one in severe]


def test_status_changes_are_told_to_those_who_do_not_see_them(page: BoardPage, board: BoardProcess) -> None:
    announcer = page.page.locator("#announcer")
    expect(announcer).to_have_attribute("role", "status")
    run = board.run(lr=0.04)
    expect(announcer).to_contain_text(f"#{run['number']}: Finished")


def test_the_pages_ask_no_other_machine(board: BoardProcess, new_page: Callable[..., Page], watch: Watch) -> None:
    docs = new_page()
    docs.goto(f"{board.url}/docs")
    expect(docs.locator(".opblock").first).to_be_visible()
    page = BoardPage(new_page()).open(board.url)
    page.page.goto("about:blank")
    wait_for(lambda: any("/docs" in address for address in watch.addresses), 5)
    watch.check()
