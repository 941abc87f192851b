"""How it looks: nothing cut off, at any width, in the dark, for every person; and no other machine is asked."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import lossboard
from tests.browser.conftest import Watch
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.laboratory import slow_run
from tests.harness.pages import BoardPage, sideways

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
    run = board.wait_until(board.run()["id"])
    expect(page.row(run["id"])).to_be_visible()
    page.show("Set up")
    for method in board.get("/api/methods"):
        page.page.select_option("#method", method["name"])
        if "lr" in method["params_schema"]["properties"]:
            expect(page.page.locator(".theory")).not_to_be_empty()  # and nothing of it is cut
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
def test_on_a_phone_in_light_and_in_the_dark_nothing_is_cut_off(
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

    bodies = [document.locator("body").first for document in (page.page, page.curves)]
    for ground in (*bodies, page.curves.locator(".window").first):
        shade = brightness(ground.evaluate("element => getComputedStyle(element).backgroundColor"))[0]
        assert shade > 224 if colours == "light" else shade < 64
    ink = brightness(page.curves.locator(".xtick text").first.evaluate("text => getComputedStyle(text).fill"))[0]
    assert ink < 128 if colours == "light" else ink > 128


def test_a_text_is_read_in_the_dark_and_an_image_lies_below_its_title(
    board: BoardProcess, new_page: Callable[..., Page], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("script", url=board.url)
    run.log(loss=1)
    run.text("story", "once")
    run.image("sample", np.zeros((40, 40)))
    assert run.finish()
    board.client.patch("/api/board", json={"run": run.id})
    page = BoardPage(new_page(viewport=PHONE, color_scheme="dark")).open(board.url, curves=False)
    text = page.curves.locator(".content-text pre")
    expect(text).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    expect(text).to_have_css("color", page.curves.locator("body").evaluate("body => getComputedStyle(body).color"))
    window = page.curves.locator(".window", has=page.curves.locator("img"))
    image, title = (window.locator(name).bounding_box() for name in ("img", ".bar"))
    assert image is not None
    assert title is not None
    assert image["y"] >= title["y"] + title["height"]
    expect(window.locator("img")).to_have_css("background-color", "rgba(0, 0, 0, 0)")


def brightness(colour: str) -> list[int]:
    """The parts of rgb(1, 2, 3)."""
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_accessible(board: BoardProcess, new_page: Callable[..., Page], colours: str) -> None:
    board.wait_until(board.run(lr=0.3, epochs=1000)["id"])
    page = BoardPage(new_page(color_scheme=colours)).open(board.url, curves=False)
    page.fill(lr=-1)
    page.page.get_by_role("button", name="Start").click()
    expect(page.error("lr")).to_be_visible()
    check_access(page.page)
    page.show("Runs")
    page.page.locator(".toggle").first.click()
    check_access(page.page)


def check_access(page: Page) -> None:
    """Nothing that is on the page now keeps a person out."""
    found = Axe().run(page, options={"iframes": False})  # Visdom's markup is its own
    severe = [violation for violation in found.response["violations"] if violation["impact"] in SEVERE]
    assert not severe, [(one["id"], [node["html"] for node in one["nodes"]]) for one in severe]


def test_status_changes_are_told_to_those_who_do_not_see_them(form_page: BoardPage, board: BoardProcess) -> None:
    announcer = form_page.page.locator("#announcer")
    expect(announcer).to_have_attribute("role", "status")
    run = board.run(lr=0.04, epochs=5000, steps_per_second=20)
    expect(form_page.row(run["id"]).locator(".status")).to_contain_text("Running")  # or it has ended before it is seen
    board.client.post(f"/api/runs/{run['id']}/stop")
    expect(announcer).to_contain_text(f"#{run['number']}: Stopped")


def test_the_page_of_the_api_asks_no_other_machine(
    board: BoardProcess, new_page: Callable[..., Page], watch: Watch
) -> None:
    docs = new_page()
    docs.goto(f"{board.url}/docs")
    expect(docs.locator(".opblock").first).to_be_visible()
    assert any("swagger-ui" in address for address in watch.addresses)  # and `watch` has seen no other host


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_with_colours_of_their_own_people_see_what_a_colour_tells(
    board: BoardProcess, new_page: Callable[..., Page], colours: str
) -> None:
    run = slow_run(board, epochs=1000, steps_per_second=100)
    page = BoardPage(new_page(forced_colors="active", color_scheme=colours)).open(board.url, curves=False)
    row = page.row(run["id"])
    wait_for(lambda: row.locator("progress").evaluate("bar => bar.value") > 0.1, "progress")
    board.client.post(f"/api/runs/{run['id']}/pause")  # or it might end while others use the processor
    page.show("Set up")
    expect(page.page.locator(".zones .legend")).to_be_visible()
    zones = {rgb(page.page, f"var(--zone-{name})") for name in ("slow", "good", "oscillating", "diverging")}
    ink, ground = rgb(page.page, "CanvasText"), rgb(page.page, "Canvas")
    assert len({*zones, ink, ground}) == 6
    assert shades(page.page.locator(".slider.zoned")) >= {*zones, ink}  # the track, and the thumb
    for zone in page.page.locator(".legend .zone").all():
        assert len(shades(zone, part=0.005) & zones) == 1
    page.show("Runs")
    assert shades(row.locator(".chip")) >= {rgb(page.page, run["colour"]), ink}
    bar = pixels(row.locator("progress"))
    along = [tuple(map(int, shade)) for shade in bar[len(bar) // 2]]
    assert (along[4], along[-4]) == (ink, ground)  # what is done, and what is not

    board.client.post(f"/api/runs/{run['id']}/stop")
    board.client.patch("/api/board", json={"run": run["id"]})
    shown = page.page.get_by_role("slider", name="Step shown")
    expect(shown).to_be_visible()
    assert shades(shown, part=0.005) >= {ink, ground}
    assert shades(page.page.locator("#look .chip")) >= {rgb(page.page, run["colour"]), ink}


def shades(element: Locator, part: float = 0.01) -> set[tuple[int, ...]]:
    """The colours of an element on the screen, without those of a smaller part of its pixels."""
    seen = pixels(element).reshape(-1, 3)
    found, counts = np.unique(seen, axis=0, return_counts=True)
    return {tuple(map(int, shade)) for shade in found[counts >= part * len(seen)]}


def pixels(element: Locator) -> np.ndarray:
    """An element as it is on the screen, of shape (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB"))


def rgb(page: Page, colour: str) -> tuple[int, ...]:
    """What a colour of CSS is on the page."""
    found = page.evaluate(
        """colour => {
          const probe = document.createElement("i");
          probe.style.cssText = `forced-color-adjust: none; color: ${colour}`;
          document.body.append(probe);
          const { color } = getComputedStyle(probe);
          probe.remove();
          return color.match(/\\d+/g).slice(0, 3).map(Number);
        }""",
        colour,
    )
    return tuple(found)
