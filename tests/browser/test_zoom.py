"""A person's zoom in the shared windows is kept, and what comes in outside of it is not passed over in silence."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.test_windows import changed_range, drag_zoom
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage


def zoom(page: BoardPage, window: str, number: int, points: int) -> None:
    """Zoom into the middle of a window, once it shows so many points of this run."""
    wait_for(lambda: len(page.trace(window, number).get("drawn", [])) >= points, f"the run in {window}")
    drag_zoom(page, window)
    wait_for(lambda: changed_range(page, window), "a zoom")


def test_a_run_that_begins_outside_of_a_zoom_is_offered(page: BoardPage, board: BoardProcess) -> None:
    old = board.wait_until(board.run(lr=0.001, epochs=100)["id"])
    zoom(page, "Loss", old["number"], 100)
    zoom(page, "w", old["number"], 100)
    offer = page.page.locator("#zoom-offer")
    new = board.wait_until(board.run(lr=0.05, epochs=10)["id"])  # at the left edge
    expect(offer).to_contain_text("Loss and w: new points lie outside of your zoom.")
    offer.get_by_role("button", name="Show all").click()
    expect(offer).to_be_empty()
    for window in ("Loss", "w"):
        wait_for(lambda window=window: changed_range(page, window) is None, "axes without a zoom")
        assert page.trace(window, new["number"])["x"]
    later = board.wait_until(board.run(lr=0.06, epochs=10)["id"])
    wait_for(lambda: page.trace("Loss", later["number"]), "a later run")
    assert changed_range(page, "Loss") is None  # and new points do not bring the zoom back
    expect(offer).to_be_empty()


def test_a_run_that_leaves_a_zoom_is_offered_until_the_person_zooms_elsewhere(
    page: BoardPage, board: BoardProcess
) -> None:
    run = board.run(lr=0.001, epochs=5000, steps_per_second=20)
    wait_for(lambda: len(page.trace("Loss", run["number"]).get("drawn", [])) >= 10, "its beginning")
    offer = page.page.locator("#zoom-offer")

    def step() -> int:
        found: int = board.get(f"/api/runs/{run['id']}")["step"]
        return found

    for end, is_offered in ((5, False), (step() + 100, True), (5, False)):
        wait_for(lambda end=end: zoom_to(page, run["number"], end), "a zoom")
        past = max(step(), end) + 20
        wait_for(lambda past=past: page.trace("Loss", run["number"])["x"][-1] > past, "more steps")
        if is_offered:
            expect(offer).to_contain_text("Loss: new points lie outside of your zoom.")
        else:
            expect(offer).to_be_empty()
    board.client.post(f"/api/runs/{run['id']}/stop")


def zoom_to(page: BoardPage, number: int, end: int) -> bool:
    """Zoom into the steps of a run up to one in Loss; False if points that came in at that moment have undone it."""
    page.curves.evaluate(
        """(end) => Plotly.relayout(document.querySelector(".js-plotly-plot"), { "xaxis.range": [0, end] })
          .then(() => null)""",
        end,
    )
    before = len(page.trace("Loss", number)["x"])
    wait_for(lambda: len(page.trace("Loss", number)["x"]) > before, "more points")
    return changed_range(page, "Loss", "xaxis") == [0, end]
