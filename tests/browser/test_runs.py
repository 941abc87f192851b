"""From the form to the curve: runs start, are seen live, stop, explode and are explained."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

import lossboard
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage, number_of

MARKUP = "<img src=x onerror=window.attacked=1><b>bold</b>"


def figure(row: Locator, name: str) -> float:
    """A number that the page shows of a run."""
    found = re.search(rf"\b{name} (\S+)", row.locator(".figures").inner_text())
    assert found, row.inner_text()
    return float(found[1])


def test_a_run_from_the_form_to_its_curve(page: BoardPage, board: BoardProcess) -> None:
    page.full_speed()
    row = page.start()
    expect(row.locator(".status")).to_have_text("Finished")
    assert figure(row, "w") == pytest.approx(2, abs=1e-3)
    expect(row.locator(".figures")).to_contain_text("predict(4): 4 → 7.9998")

    number = number_of(row)
    for window in ("Loss", "w", "Cost curve"):
        trace = wait_for(lambda window=window: page.trace(window, number), f"its trace in {window}")
        assert "Gradient descent, lr 0.01" in trace["name"]
        red, green, blue = (int(trace["colour"][at : at + 2], 16) for at in (1, 3, 5))
        chip = row.locator(".chip").evaluate("chip => getComputedStyle(chip).backgroundColor")
        assert chip == f"rgb({red}, {green}, {blue})"
    for window in ("Loss", "w"):
        # w and its loss before the first of 100 updates, and after each
        wait_for(lambda window=window: len(page.trace(window, number).get("drawn", [])) == 101, f"all of {window}")
    assert page.trace("w", number)["y"][-1] == pytest.approx(2, abs=1e-3)


def test_the_curves_move_while_a_run_goes_on_until_it_is_stopped(page: BoardPage) -> None:
    page.fill(steps_per_second=25, epochs=5000, lr=0.001)  # in this order, or so long a run goes at full speed
    row = page.start()
    expect(row.locator(".status")).to_contain_text("Running")
    number = number_of(row)

    def marker() -> object:  # where the run stands, as drawn: plotly has been seen to draw old data again
        traces = page.plot("Cost curve")["traces"]
        return next((trace["drawn"] for trace in traces if str(trace["name"]).endswith(f"#{number} now")), None)

    first = wait_for(marker, "a marker")
    wait_for(lambda: marker() not in (first, None), "a marker that moves")
    row.get_by_role("button", name="Stop").click()
    expect(row.locator(".status")).to_have_text("Stopped")
    expect(row.locator(".words")).to_contain_text(re.compile(r"^Stopped after \d+ updates?\.$"))
    expect(row.get_by_role("button", name="Stop")).to_be_hidden()


def test_a_diverged_run_is_explained_and_squashes_no_other(page: BoardPage, board: BoardProcess) -> None:
    calm = board.run(lr=0.02)
    board.wait_until(calm["id"])
    page.fill(lr=0.3, epochs=1000)
    row = page.start()
    expect(row.locator(".status")).to_have_text("Diverged")
    expect(row.locator(".words")).to_have_text(
        re.compile(r"^Diverged after \d+ updates: w or the loss left the range of numbers\.$")
    )
    expect(row.locator(".why")).to_have_text(
        re.compile(
            r"^lr 0\.3 is above 2/λ = 0\.214: each step overshoots the minimum and lands 1\.8 times as far away\.$"
        )
    )
    wait_for(lambda: page.trace("Loss", number_of(row)), "its trace")

    def scale(window: str) -> list[float]:
        low, high = page.plot(window)["y"]["range"]
        return [low, high]

    # until it is known that it diverged, it is shown like any other
    wait_for(lambda: scale("Loss")[1] < 100, "a scale on which the calm one can be seen")
    wait_for(lambda: -10 < scale("w")[0] < scale("w")[1] < 10, "such a scale of w")
    page.page.get_by_role("checkbox", name="loss").check()
    logarithmic = wait_for(lambda: page.scaled("Loss", "log"), "a logarithmic axis")
    low, high = logarithmic["y"]["range"]  # powers of ten: the calm one has half of them
    assert low < -10
    assert high < 2 - low


def test_settings_can_be_used_again_and_a_run_deleted(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    run = board.run("sgd", lr=0.03, epochs=5, order="sequential", data={"x": [1.0, 2.5], "y": [2.0, 5.0]})
    board.wait_until(run["id"])
    row = page.row(run["id"])
    row.locator(".toggle").click()
    expect(row.locator(".facts")).to_contain_text("sequential")
    csv = row.locator(".csv").get_attribute("href")
    assert board.client.get(csv).text.startswith("step,")

    row.get_by_role("button", name="Use the settings").click()
    expect(page.page.locator("#method")).to_have_value("sgd")
    assert [page.field(name).input_value() for name in ("lr", "order", "x")] == ["0.03", "sequential", "1, 2.5"]
    expect(page.page.get_by_label("Full speed")).to_be_checked()

    page.show("Runs")
    row.get_by_role("button", name="Delete").click()
    row.get_by_role("button", name="Really delete?").click()
    expect(row).to_have_count(0)
    assert board.client.get(f"/api/runs/{run['id']}").status_code == 410


def test_stored_text_stays_text(page: BoardPage, board: BoardProcess, new_page: Callable[..., Page]) -> None:
    answer = board.client.post("/api/runs", json={"method": "gd", "name": MARKUP, "group": MARKUP})
    run = board.wait_until(answer.json()["id"])
    row = page.row(run["id"])
    expect(row.locator(".name")).to_have_text(MARKUP)
    row.locator(".toggle").click()
    expect(row.locator(".facts")).to_contain_text(MARKUP)
    wait_for(lambda: page.trace("Loss", run["number"]), "its trace")
    expect(page.curves.locator(".legendtext").last).to_contain_text("<img src=x")

    own = new_page()
    own.goto(board.url + run["visdom"]["url"])
    expect(own.locator(".bar", has_text="<img src=x")).to_be_visible()
    for document in (page.page, page.curves, own):
        assert document.locator("img[src=x]").count() == 0
        assert document.evaluate("window.attacked") is None


def test_numbers_that_json_lacks_do_not_break_the_page(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    run = board.client.post("/api/runs", json={"method": "external", "name": "odd numbers"}).json()
    points = {"seq": 0, "step": [0], "metrics": {"loss": ["NaN"], "w": ["-Infinity"]}}
    board.client.post(f"/api/runs/{run['id']}/points", json=points)
    result = {"predict_before": "NaN", "predict_after": "Infinity"}
    board.client.post(f"/api/runs/{run['id']}/finish", json={"status": "finished", "result": result})
    row = page.row(run["id"])
    expect(row.locator(".figures")).to_contain_text("w -∞ loss NaN predict(4): NaN → ∞", use_inner_text=True)
    row.locator(".toggle").click()
    expect(row.locator(".facts")).to_be_visible()


def test_the_list_goes_on_after_all_that_it_showed_was_deleted(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    listed = 50
    body = {"method": "external", "name": "a script's run"}
    runs = [board.client.post("/api/runs", json=body).json()["id"] for _ in range(listed + 2)]
    page.open(board.url, curves=False)
    rows, count = page.page.locator("#runs .run"), page.page.locator("#runs-count")
    expect(rows).to_have_count(listed)
    before = board.get("/api/runs")["total"]
    board.client.delete(f"/api/runs/{runs[0]}")  # which is further down than the list goes
    expect(count).to_have_text(str(before - 1))
    newest = page.row(runs[-1])
    newest.locator(".toggle").click()
    newest.get_by_role("button", name="Delete").click()
    newest.get_by_role("button", name="Really delete?").click()
    expect(count).to_have_text(str(before - 2))
    for run in runs[2:-1]:
        board.client.delete(f"/api/runs/{run}")
    expect(page.row(runs[1])).to_be_visible()
    expect(count).to_have_text(str(before - listed - 1))
    expect(page.row(board.client.post("/api/runs", json=body).json()["id"])).to_be_visible()


def test_a_run_of_which_points_are_missing_says_so(page: BoardPage, board: BoardProcess) -> None:
    made = board.client.post("/api/runs", json={"method": "external", "name": "with a gap"}).json()["id"]
    row = page.row(made)
    expect(row.locator(".flaws")).to_be_hidden()
    for seq in (1, 5, 10):  # after the first, each leaves out what came before it
        post_head = f'{{"seq": {seq}, "metrics": ["loss"], "after_gap": true}}\n'.encode()
        records = struct.pack("<2d", seq, 0.5)
        kind = {"Content-Type": lossboard.CONTENT_TYPE}
        answer = board.client.post(f"/api/runs/{made}/points", content=post_head + records, headers=kind)
        assert answer.status_code == 200
    words = "8 points are missing (number 0, 2 to 4, 6 to 9): lost on the way, or at another board."
    expect(row.locator(".flaws")).to_have_text(words)
    board.client.patch("/api/board", json={"run": made})
    expect(page.page.locator("#look-flaws")).to_have_text(words)


def test_a_row_tells_of_one_state(page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(lr=0.02, epochs=9)["id"])
    row = page.row(run["id"])
    expect(row.locator(".status")).to_have_text("Finished")
    w, cost = figure(row, "w"), figure(row, "cost")
    assert cost == pytest.approx(14 / 3 * (w - 2) ** 2, rel=1e-3)
    row.locator(".toggle").click()
    expect(row.locator(".facts")).to_contain_text("updates9 of 9", use_inner_text=False)
    expect(row.locator(".facts")).to_contain_text("last update's loss")
