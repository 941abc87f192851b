"""Windows that plotly cannot draw, and windows that are closed: neither costs the others, nor a reload."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
from playwright.sync_api import Page, Route, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage

# In place of plotly: it throws, as it does at some data, at the window w while that is not mended.
THROWS_AT_W = """
;{
  const { react } = Plotly;
  Plotly.react = (plot, data, layout, config) => {
    if (layout.yaxis?.title?.text === "w" && !window.mended) throw new Error("Something went <wrong> with the axis");
    return react(plot, data, layout, config);
  };
}"""


def test_a_window_that_plotly_cannot_draw_costs_no_other(board: BoardProcess, new_page: Callable[..., Page]) -> None:
    plain = new_page()

    def answer(route: Route) -> None:
        plotly = httpx2.get(route.request.url, trust_env=False, timeout=30).text
        route.fulfill(body=plotly + THROWS_AT_W, content_type="text/javascript")

    plain.route("**/plotly-plotly.min.js*", answer)
    run = board.run(lr=0.001, epochs=5000, steps_per_second=20)
    page = BoardPage(plain).open(board.url)
    expect(page.curves.get_by_text("Something went <wrong> with the axis")).to_be_visible()

    def drawn(window: str) -> int:
        return len(page.trace(window, run["number"]).get("drawn", []))

    before = wait_for(lambda: drawn("Loss"), "a curve beside it")
    wait_for(lambda: drawn("Loss") > before + 5, "a curve that goes on")
    assert drawn("w") == 0
    page.curves.evaluate("window.mended = true")
    wait_for(lambda: drawn("w") > before, "the window, once it can be drawn")
    expect(page.curves.get_by_text("Something went")).to_have_count(0)
    board.client.post(f"/api/runs/{run['id']}/stop")


def test_losses_too_near_to_each_other_for_plotly_are_drawn_as_constant(page: BoardPage, board: BoardProcess) -> None:
    run = board.client.post("/api/runs", json={"method": "external", "name": "tiny"}).json()
    metrics = {"loss": [1e-310, 2e-310], "w": [5e-324, -3e-308]}
    board.client.post(f"/api/runs/{run['id']}/points", json={"seq": 0, "step": [0, 1], "metrics": metrics})
    for window in ("Loss", "w"):
        wait_for(lambda name=window: page.trace(name, run["number"]).get("y") == [0, 0], f"{window} drawn as constant")
    board.client.patch("/api/board", json={"axes": {"loss": "log"}})
    wait_for(lambda: page.scaled("Loss", "log"), "a log scale")
    assert page.trace("Loss", run["number"])["y"] == [1e-310, 2e-310]
    board.client.patch("/api/board", json={"run": run["id"]})
    wait_for(lambda: {"loss", "w"} <= page.plots().keys(), "its own windows")


def test_the_window_of_a_race_goes_with_the_race(page: BoardPage, board: BoardProcess) -> None:
    def titles() -> list[str]:
        found: list[str] = page.curves.locator(".bar > div.pull-right").all_text_contents()
        return [title for title in found if " of " in title]

    def race(group: str) -> list[str]:
        body = {"method": "gd", "params": {"epochs": 5}, "vary": {"lr": [0.01, 0.1]}, "group": group}
        return [run["id"] for run in board.client.post("/api/races", json=body).json()["runs"]]

    first = race("first")
    wait_for(lambda: titles() == ["Learning rates of first"], "the window of a race")
    second = race("second")
    wait_for(lambda: titles() == ["Learning rates of second"], "that of the next race in its place")
    for run_id in (*first, *second):
        board.client.delete(f"/api/runs/{run_id}")
    wait_for(lambda: titles() == [], "no window of a race")
    third = race("third")  # at once: what closes the window of the last race does not close this one's
    wait_for(lambda: titles() == ["Learning rates of third"], "the window of another race")
    page.page.wait_for_timeout(1000)
    assert titles() == ["Learning rates of third"]
    for run_id in third:
        board.client.delete(f"/api/runs/{run_id}")
    wait_for(lambda: titles() == [], "no window of a race again")


def test_a_window_that_was_closed_while_visdom_was_away_is_gone(
    new_board: Callable[..., BoardProcess], new_page: Callable[..., Page]
) -> None:
    board = new_board().start()
    board.wait_for_visdom()
    body = {"method": "gd", "params": {"epochs": 5}, "vary": {"lr": [0.01, 0.1]}}
    runs = board.client.post("/api/races", json=body).json()["runs"]
    page = BoardPage(new_page()).open(board.url)
    race = page.curves.locator(".bar > div.pull-right", has_text="Learning rates")
    expect(race).to_have_count(1)
    child = board.visdom()
    child.suspend()
    for run in runs:
        board.client.delete(f"/api/runs/{run['id']}")
    child.kill()
    board.wait_for_visdom()
    expect(race).to_have_count(0)
    wait_for(lambda: {"Loss", "w", "Cost curve"} == page.plots().keys(), "all other windows")
