"""Visdom in its frame: the axes, a person's zoom, and a board that goes away and comes back."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage

OWN = {"loss", "w", "gradient"}  # windows that a run has of its own

# What is said over the frame, in `said`: some of it for a moment only.
NOTE_THE_CURTAIN = """() => {
  const curtain = document.querySelector("#curtain");
  window.said = [];
  new MutationObserver(() => said.push(curtain.textContent)).observe(curtain, { childList: true });
}"""

# Where the second point of a plot's last trace is, in pixels from the plot's upper left corner.
SECOND_POINT = """(plot) => {
  const { x, y } = plot.data.at(-1);
  return [plot._fullLayout.xaxis.d2p(x[1]), plot._fullLayout.yaxis.d2p(y[1])];
}"""


def test_without_visdoms_bar_and_with_a_link_to_the_curves_alone(
    page: BoardPage, board: BoardProcess, new_page: Callable[..., Page]
) -> None:
    expect(page.curves.locator(".navbar-form")).to_be_hidden()
    link = page.page.get_by_role("link", name="Curves alone")
    assert link.get_attribute("target") == "_blank"
    alone = new_page()
    alone.goto(str(link.get_attribute("href")))
    expect(alone.locator(".js-plotly-plot")).to_have_count(3)


def test_an_axis_is_switched_for_everyone(page: BoardPage, board: BoardProcess, new_page: Callable[..., Page]) -> None:
    board.wait_until(board.run()["id"])
    other = BoardPage(new_page(viewport={"width": 1400, "height": 800})).open(board.url)
    for name, window, letter in (("loss", "Loss", "y"), ("step", "w", "x"), ("cost", "Cost curve", "y")):
        switch = page.page.get_by_role("checkbox", name=name)
        switch.check()
        expect(other.page.get_by_role("checkbox", name=name)).to_be_checked()
        for shown in (page, other):
            wait_for(lambda s=shown, w=window, a=letter: s.scaled(w, "log", a), f"a log {name}")
        switch.uncheck()
        wait_for(lambda w=window, a=letter: page.scaled(w, "linear", a), f"a linear {name}")


def test_a_zoom_survives_new_points_and_a_change_of_the_axis(page: BoardPage, board: BoardProcess) -> None:
    run = board.run(lr=0.001, epochs=5000, steps_per_second=40)

    def points() -> int:
        return len(page.trace("w", run["number"]).get("x", []))

    wait_for(lambda: points() > 5, "a few points")
    drag_zoom(page, "w")
    zoomed = wait_for(lambda: changed_range(page, "w"), "a zoom")
    before = points()
    wait_for(lambda: points() > before + 20, "more points")
    assert changed_range(page, "w") == pytest.approx(zoomed)

    page.page.get_by_role("checkbox", name="w", exact=True).check()
    logarithmic = wait_for(lambda: page.scaled("w", "log"), "a logarithmic axis")
    assert logarithmic["y"]["range"] != pytest.approx(zoomed)
    page.page.get_by_role("checkbox", name="w", exact=True).uncheck()
    wait_for(lambda: page.scaled("w", "linear"), "a linear axis")


def test_a_range_is_shown_in_detail_and_smoothed(page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(method="sgd", lr=0.001, epochs=20_000, seed=3)["id"])

    def steps() -> list[float]:
        found: list[float] = page.trace("Loss", run["number"]).get("x", [])
        return found

    def is_whole() -> bool:
        shown = steps()
        return len(shown) > 100 and max(shown) == 59_999

    wait_for(is_whole, "the whole curve")
    drag_zoom(page, "Loss")
    changed = wait_for(lambda: changed_range(page, "Loss", "xaxis"), "a zoom")
    page.page.get_by_role("button", name="Detail").click()
    detail = wait_for(lambda: board.get("/api/board")["detail"], "a detail")
    low, high = changed
    assert abs(detail["from_step"] - low) <= 1
    assert abs(detail["to_step"] - high) <= 1
    page.page.get_by_label("From step").fill("30000")
    page.page.get_by_label("To step").fill("30100")
    page.page.get_by_role("button", name="Detail").click()
    wait_for(lambda: steps() == list(range(30_000, 30_101)), "every step of it")
    page.page.get_by_role("button", name="Show all").click()
    wait_for(is_whole, "all again")
    assert changed_range(page, "Loss", "xaxis") is None  # nor is the zoom left

    page.page.get_by_label("Average").select_option("1,000 steps")
    wait_for(lambda: sum(f"#{run['number']}" in t["name"] for t in page.plot("Loss")["traces"]) == 2, "two curves")
    page.page.get_by_label("Along").select_option("epochs")

    def last_epoch() -> float:
        return max((max(trace["x"]) for trace in page.plot("Loss")["traces"][-1:]), default=0)

    wait_for(lambda: 19_999 <= last_epoch() < 20_000, "epochs")
    board.client.patch("/api/board", json={"x": "step", "smoothing": 0})
    expect(page.page.get_by_label("Average")).to_have_value("0")


def test_an_explosion_looked_at_closer_is_a_straight_line_on_a_log_scale(page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(lr=0.3, epochs=60)["id"])
    board.client.patch("/api/board", json={"run": run["id"], "at": 30})

    def axes() -> dict[str, Any] | None:
        shown = page.plots()
        return {name: shown[name]["x"]["range"] for name in OWN} if shown.keys() >= OWN else None

    found = wait_for(axes, "its own windows")
    assert found
    assert all(30 < end < 40 for _, end in found.values()), found  # the chosen step is in sight
    expect(page.curves.get_by_text("lr 0.3 leaves here: update 9")).to_have_count(len(OWN))
    expect(page.page.get_by_role("checkbox", name="cost")).to_be_hidden()
    page.page.get_by_role("checkbox", name="loss").check()
    logarithmic = wait_for(lambda: page.scaled("loss", "log"), "a log scale")
    assert logarithmic["x"]["range"] == [0, 60]
    page.page.get_by_role("button", name="All runs").click()
    expect(page.page.get_by_role("checkbox", name="cost")).to_be_visible()


def test_no_scale_jumps_while_one_of_many_explodes(page: BoardPage, board: BoardProcess) -> None:
    """With a browser that looks as often as it can: all of it was once at 1e5, and back."""
    body = {"method": "gd", "params": {"epochs": 500, "steps_per_second": 5}, "vary": {"lr": [0.01, 0.2, 0.3, 1]}}
    runs = board.client.post("/api/races", json=body).json()["runs"]
    drawn = [(window, run["number"]) for window in ("Loss", "w") for run in runs]
    wait_for(lambda: all(page.trace(*one).get("drawn") for one in drawn), "a beginning of each")
    seen: dict[str, list[list[float]]] = {"Loss": [], "w": []}

    def goes_on() -> bool:
        for name, shown in seen.items():
            shown.append(page.plot(name)["y"]["range"])
        return len(shown) > 20 and all((board.get(f"/api/runs/{run['id']}")["step"] or 0) > 30 for run in runs)

    wait_for(goes_on, "30 steps of each")
    for name, shown in seen.items():
        lows, highs = np.array(shown).T
        slack = 0.01 * (highs.max() - lows.min())
        assert (np.diff(highs) > -slack).all(), (name, shown)
        assert (np.diff(lows) < slack).all(), (name, shown)
        assert highs.max() < 50
    labels = page.curves.locator(".react-grid-item").first.locator(".annotation-text")
    expect(labels).to_have_text(["lr 1 leaves here: update 1", "lr 0.3 leaves here: update 2"])
    boxes = labels.evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"
    )
    assert not overlap(*boxes)
    for run in runs:
        board.client.post(f"/api/runs/{run['id']}/stop")


def test_a_race_of_many_takes_the_room_that_a_legend_had(page: BoardPage, board: BoardProcess) -> None:
    def size() -> float:
        height: float = page.curves.locator(".js-plotly-plot").first.evaluate("plot => plot._fullLayout._size.h")
        return height

    few = [board.run() for _ in range(8)]
    wait_for(lambda: len(page.plot("Loss")["traces"]) == len(few), "a few runs")
    with_legend = size()
    vary = {"lr": [0.01 + number / 1000 for number in range(14)]}
    board.client.post("/api/races", json={"method": "gd", "params": {"epochs": 20}, "vary": vary})
    wait_for(lambda: len(page.plot("Loss")["traces"]) == 15, "many runs")
    wait_for(lambda: size() > with_legend + 50, "more room")


def test_a_name_is_neither_a_formula_nor_a_template(page: BoardPage, board: BoardProcess) -> None:
    name = '$x^2$ %{y} & "q" <b>'
    body = {"method": "gd", "name": name, "params": {"lr": 0.01, "epochs": 3, "steps_per_second": None}}
    run = board.client.post("/api/runs", json=body).json()
    written = f"{name} #{run['number']}"
    expect(page.curves.locator(".legendtext")).to_have_text([written])
    wait_for(lambda: len(page.trace("Loss", run["number"]).get("drawn", [])) == 4, "the whole curve")

    def told() -> list[list[str]]:
        """What is told of the second point, and its colour, with the mouse on that point."""
        across, down = page.curves.locator(".js-plotly-plot").first.evaluate(SECOND_POINT)
        plot = page.curves.locator(".nsewdrag").first.bounding_box()
        assert plot is not None
        for shake in (1, 0):  # plotly answers to a mouse that moves
            page.page.mouse.move(plot["x"] + across + shake, plot["y"] + down)
        found: list[list[str]] = page.curves.locator(".hovertext text.name").evaluate_all(
            "all => all.map(text => [text.textContent, getComputedStyle(text).fill])"
        )
        return found

    assert wait_for(told, "the name") == [[written, "rgb(27, 33, 43)"]]  # on a white ground


def test_framed_labels_tell_whose_change_they_are(page: BoardPage, board: BoardProcess) -> None:
    runs = [board.run(lr=0.001, epochs=5000, steps_per_second=20) for _ in range(2)]
    for lr, run in zip((0.002, 0.003), runs, strict=True):
        board.wait_until(run["id"], "running")
        board.client.patch(f"/api/runs/{run['id']}", json={"params": {"lr": lr}})
    loss = page.curves.locator(".react-grid-item").first
    expect(loss.locator(".annotation-text")).to_have_count(2)
    frames = loss.locator(".annotation-text").evaluate_all(  # at once: they are drawn anew with every point
        "all => all.map(label => [label.textContent, label.parentElement.querySelector('.bg').style.stroke])"
    )
    wanted = {
        f"lr {lr}": rgb(board.get(f"/api/runs/{run['id']}")["colour"])
        for lr, run in zip((0.002, 0.003), runs, strict=True)
    }
    assert dict(frames) == wanted
    for run in runs:
        board.client.post(f"/api/runs/{run['id']}/stop")


def rgb(colour: str) -> str:
    """#010203 as browsers write it."""
    return f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})"


def test_a_long_text_begins_at_its_top(board: BoardProcess, new_page: Callable[..., Page]) -> None:
    body = {"method": "external", "params": {f"parameter {number}": number for number in range(60)}}
    run = board.client.post("/api/runs", json=body).json()
    page = new_page(viewport={"width": 904, "height": 300})
    page.goto(board.url + run["visdom"]["url"])
    facts = page.locator(".content-text")
    expect(facts).to_contain_text("parameter 59")
    page.wait_for_timeout(500)  # Visdom scrolls to the end a little later
    expect(facts.get_by_text("status")).to_be_in_viewport()
    expect(facts.get_by_text("parameter 59")).not_to_be_in_viewport()
    facts.get_by_text("parameter 59").scroll_into_view_if_needed()
    expect(facts.get_by_text("parameter 59")).to_be_in_viewport()


def test_samples_of_any_size_fit_into_their_table(board: BoardProcess, new_page: Callable[..., Page]) -> None:
    run = board.wait_until(board.run(lr=0.02, data={"x": [1e6, 2e6], "y": [-1e6, 2 / 3]})["id"])
    page = new_page(viewport={"width": 904, "height": 600})
    page.goto(board.url + run["visdom"]["url"])
    table = page.locator(".content-text table").first
    expect(table).to_contain_text(re.compile(r"\de\d+"))
    width, room = table.evaluate("table => [table.scrollWidth, table.parentElement.clientWidth]")
    assert width <= room


def drag_zoom(page: BoardPage, window: str) -> None:
    """Draw a box with the mouse in the middle of a window's plot."""
    item = page.curves.locator(
        ".react-grid-item", has=page.curves.locator(f'.bar > div.pull-right:text-is("{window}")')
    )
    box = item.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    mouse = page.page.mouse
    mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    mouse.down()
    mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.7 * box["height"], steps=5)
    mouse.up()


def changed_range(page: BoardPage, window: str, axis: str = "yaxis") -> list[float] | None:
    """The range of an axis that a person chose; None while plotly chooses it."""
    chosen: Any = page.curves.evaluate(
        """([title, axis]) => [...document.querySelectorAll(".react-grid-item")]
          .filter((item) => item.querySelector(".bar > div.pull-right").textContent === title)
          .map((item) => item.querySelector(".js-plotly-plot")._fullLayout[axis])
          .map((shown) => shown.autorange ? null : shown.range)[0]""",
        [window, axis],
    )
    return chosen  # type: ignore[no-any-return]


@pytest.mark.parametrize("huge", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_networks_graph_has_the_room_it_needs(
    board: BoardProcess, new_page: Callable[..., Page], width: int, huge: bool
) -> None:
    data = {"x": [1e6, 2e6, 3e6], "y": [-1e6, 2, 0]} if huge else None
    run = board.wait_until(board.run("backprop", hidden=5, lr=0.02, data=data)["id"])
    board.client.patch("/api/board", json={"run": run["id"], "at": 1})
    page = new_page(viewport={"width": width, "height": 844})
    page.goto(board.url + run["visdom"]["url"])
    expect(page.locator(".js-plotly-plot")).to_have_count(6)
    graph = page.locator(".react-grid-item:has(.tracegraph)")
    expect(graph.locator(".bar")).to_contain_text("Graph for sample 1 of 3")
    expect(graph.locator(".textpoint")).to_have_count(2 * (6 * 3 + 7))

    def apart() -> bool:
        texts = graph.locator(".textpoint text").evaluate_all(
            "texts => texts.map(text => text.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"
        )
        return not any(overlap(one, other) for at, one in enumerate(texts) for other in texts[:at])

    wait_for(apart, "labels apart from each other")
    box = graph.bounding_box()
    assert box is not None
    assert 0 <= box["x"] <= box["x"] + box["width"] <= width


def overlap(one: list[float], other: list[float]) -> bool:
    """Whether two boxes, each left, top, right and bottom, lie on each other by more than a pixel."""
    return all(min(one[i + 2], other[i + 2]) - max(one[i], other[i]) > 1 for i in (0, 1))


def test_a_visdom_that_dies_comes_back_with_its_windows(
    new_board: Callable[..., BoardProcess], new_page: Callable[..., Page]
) -> None:
    board = new_board().start()
    run = board.run(lr=0.001, epochs=50_000, steps_per_second=50)
    page = BoardPage(new_page()).open(board.url)
    page.page.evaluate(NOTE_THE_CURTAIN)
    board.visdom().kill()
    wait_for(lambda: any("Visdom" in words for words in page.page.evaluate("said")), "a word about Visdom")
    board.wait_for_visdom()
    expect(page.page.locator("#curtain")).to_be_empty()

    def drawn() -> int:
        return len(page.trace("w", run["number"]).get("drawn", []))

    before = drawn()
    wait_for(lambda: drawn() > before + 20, "a curve that goes on")
    expect(page.curves.locator(".navbar-form")).to_be_hidden()


def test_a_board_that_comes_back_is_found_again(
    new_board: Callable[..., BoardProcess], new_page: Callable[..., Page], tmp_path: Path
) -> None:
    board = new_board(tmp_path / "data").start()
    board.wait_for_visdom()
    run = board.wait_until(board.run(lr=0.05)["id"])
    page = BoardPage(new_page()).open(board.url)
    expect(page.row(run["id"]).locator(".status")).to_have_text("Finished")

    board.stop(signal.SIGKILL)
    connection = page.page.locator("#connection")
    expect(connection).to_have_text("Connection lost, trying again…")
    page.show("Set up")
    page.page.get_by_role("button", name="Start").click()
    expect(page.page.locator("#message")).to_contain_text("The board does not answer")

    port = board.url.rpartition(":")[2]
    again = new_board(tmp_path / "data").start("--port", port)
    assert again.url == board.url
    expect(connection).to_be_empty()
    expect(page.row(run["id"])).to_be_visible()
    wait_for(lambda: page.page.locator("iframe.ready").count() and page.trace("Loss", run["number"]), "its curve")
    new = again.wait_until(again.run(lr=0.02)["id"])
    expect(page.row(new["id"]).locator(".status")).to_have_text("Finished")
    wait_for(lambda: page.trace("Loss", new["number"]), "a new curve")


def test_older_runs_are_shown_on_demand(new_board: Callable[..., BoardProcess], new_page: Callable[..., Page]) -> None:
    board = new_board().start()
    with ThreadPoolExecutor(8) as pool:
        body = {"method": "external", "name": "a script's run"}
        list(pool.map(lambda _: board.client.post("/api/runs", json=body), range(53)))
    page = BoardPage(new_page()).open(board.url, curves=False)
    page.show("Runs")
    rows = page.page.locator(".run")
    expect(rows).to_have_count(50)
    expect(page.page.locator("#runs-count")).to_have_text("53")
    page.page.get_by_role("button", name="Show older runs").click()
    expect(rows).to_have_count(53)
    expect(rows.last.locator(".number")).to_have_text("#1")
    expect(page.page.get_by_role("button", name="Show older runs")).to_be_hidden()


def test_a_label_that_is_too_long_does_not_widen_its_axis(page: BoardPage, board: BoardProcess) -> None:
    runs = [board.run(lr=0.3, epochs=60) for _ in range(2)]  # of one rate, so that labels have whole names
    for run in runs:
        board.wait_until(run["id"])
    board.client.patch("/api/board", json={"run": None})
    wait_for(lambda: page.curves.get_by_text("leaves here: update 9").count() >= 6, "two labels in each window")
    low, high = page.plot("Cost curve")["x"]["range"]
    assert -150 < low < high < 150, "eight bounces lead to w = -108"
