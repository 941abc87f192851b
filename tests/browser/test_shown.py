"""Which runs the shared windows show: the eye in a run's row, and nothing else, hides them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage

OTHER_DATA = {"x": [1.0, 2.0], "y": [-3.0, -6.0]}


def shown(page: BoardPage, window: str = "Loss") -> set[str]:
    """The numbers of the runs that a window shows."""
    names = [str(trace["name"]) for trace in page.plot(window)["traces"]]
    return {name.partition("#")[2].split()[0] for name in names if "#" in name}


def wait_until_shown(page: BoardPage, *numbers: int, windows: tuple[str, ...] = ("Loss", "w", "Cost curve")) -> None:
    """Return once these windows show these runs and no others."""
    for window in windows:
        wait_for(lambda window=window: shown(page, window) == set(map(str, numbers)), f"the runs {numbers} in {window}")


def test_the_eye_hides_a_run_in_every_window_for_everyone(
    page: BoardPage, board: BoardProcess, new_page: Callable[..., Page]
) -> None:
    one, two, three = (board.wait_until(board.run(lr=lr, epochs=20)["id"]) for lr in (0.01, 0.02, 0.03))
    other = BoardPage(new_page(viewport={"width": 1400, "height": 800})).open(board.url)
    eye, only = (page.row(two["id"]).locator(part) for part in (".eye", ".only"))
    expect(eye).to_have_accessible_name(f"Show {two['name']} #{two['number']} in the shared windows")
    expect(eye).to_have_attribute("aria-pressed", "true")
    for way in (eye.click, lambda: eye.press("Enter")):
        way()
        for each in (page, other):
            expect(each.row(two["id"]).locator(".eye")).to_have_attribute("aria-pressed", "false")
            wait_until_shown(each, one["number"], three["number"])
        eye.press("Space")
        wait_until_shown(other, one["number"], two["number"], three["number"])

    only.click()
    expect(only).to_have_attribute("aria-pressed", "true")
    wait_until_shown(other, two["number"])
    expect(other.row(one["id"]).locator(".eye")).to_have_attribute("aria-pressed", "false")
    new = board.wait_until(board.run(lr=0.04, epochs=20)["id"])  # appears by itself
    wait_until_shown(page, two["number"], new["number"])
    expect(only).to_have_attribute("aria-pressed", "false")
    only.click()
    wait_until_shown(page, two["number"])
    only.click()
    wait_until_shown(page, one["number"], two["number"], three["number"], new["number"])
    assert board.get("/api/board")["hidden"] == []


def test_runs_on_the_same_data_are_overlaid_and_others_are_added_by_their_eye(
    page: BoardPage, board: BoardProcess
) -> None:
    old = board.wait_until(board.run(epochs=20, data=OTHER_DATA)["id"])
    new = board.wait_until(board.run(epochs=20)["id"])
    wait_until_shown(page, new["number"])
    eye = page.row(old["id"]).locator(".eye")
    expect(eye).to_have_attribute("aria-pressed", "false")
    eye.click()
    expect(eye).to_have_attribute("aria-pressed", "true")
    wait_until_shown(page, old["number"], new["number"], windows=("Loss", "w"))
    eye.click()
    expect(eye).to_have_attribute("aria-pressed", "false")
    wait_until_shown(page, new["number"])
    page.row(old["id"]).locator(".only").click()
    wait_until_shown(page, old["number"])


def test_the_marks_of_changes_go_with_their_run(page: BoardPage, board: BoardProcess) -> None:
    runs = [board.run(lr=0.001, epochs=5000, steps_per_second=20) for _ in range(2)]
    for lr, run in zip((0.002, 0.003), runs, strict=True):
        board.wait_until(run["id"], "running")
        board.client.patch(f"/api/runs/{run['id']}", json={"params": {"lr": lr}})
    labels = page.curves.locator(".react-grid-item").first.locator(".annotation-text")
    expect(labels).to_have_count(2)
    page.row(runs[0]["id"]).locator(".eye").click()
    expect(labels).to_have_text(["lr 0.003"])


def test_a_hidden_run_of_a_race_is_hidden_in_the_races_window_too(page: BoardPage, board: BoardProcess) -> None:
    body = {"method": "gd", "params": {"epochs": 20}, "vary": {"lr": [0.01, 0.02, 0.03]}}
    runs = board.client.post("/api/races", json=body).json()["runs"]
    for run in runs:
        board.wait_until(run["id"])
    window = f"Learning rates of {runs[0]['group']}"

    def rates() -> list[float]:
        return sorted(rate for trace in page.plot(window)["traces"] for rate in trace["x"])

    wait_for(lambda: rates() == [0.01, 0.02, 0.03], "the race")
    page.row(runs[1]["id"]).locator(".eye").click()
    wait_for(lambda: rates() == [0.01, 0.03], "the race without it")
    wait_until_shown(page, runs[0]["number"], runs[2]["number"])


def test_windows_without_a_run_to_show_say_how_to_get_it_back(page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(epochs=20)["id"])
    wait_until_shown(page, run["number"])
    eye = page.row(run["id"]).locator(".eye")
    eye.click()
    expect(page.curves.get_by_text("All runs are hidden").first).to_be_visible()
    eye.click()
    wait_until_shown(page, run["number"])


def test_a_click_on_the_legend_hides_nothing(page: BoardPage, board: BoardProcess) -> None:
    runs = [board.wait_until(board.run(epochs=20)["id"]) for _ in range(2)]
    wait_until_shown(page, *(run["number"] for run in runs))
    entry = page.curves.locator(".react-grid-item").first.locator(".legendtext").first
    entry.click(force=True)  # nothing takes it
    page.page.wait_for_timeout(700)  # plotly waits for a second click before it hides a curve
    visible = page.curves.locator(".js-plotly-plot").first.evaluate("plot => plot.data.map((one) => one.visible)")
    assert "legendonly" not in visible


def test_runs_without_a_loss_are_named_below_w(page: BoardPage, board: BoardProcess) -> None:
    windows = page.curves.locator(".react-grid-item")
    both = script(board, "both", loss=[3.0, 2.0, 1.0], w=[3.0, 2.0, 1.0])
    only_w = script(board, "only w", w=[3.0, 2.0, 1.0])
    expect(windows.nth(0).locator(".legendtext")).to_have_text([f"both #{both['number']}"])
    expect(windows.nth(1).locator(".legendtext")).to_have_text([f"only w #{only_w['number']}"])


def script(board: BoardProcess, name: str, **metrics: list[float]) -> dict[str, Any]:
    """A script's run with a few points."""
    made: dict[str, Any] = board.client.post("/api/runs", json={"method": "external", "name": name}).json()
    steps = list(range(len(next(iter(metrics.values())))))
    board.client.post(f"/api/runs/{made['id']}/points", json={"seq": 0, "step": steps, "metrics": metrics})
    return made


def test_a_deleted_selected_run_gives_way_to_all_runs(page: BoardPage, board: BoardProcess) -> None:
    kept, deleted = (board.wait_until(board.run(epochs=20)["id"]) for _ in range(2))
    board.client.patch("/api/board", json={"run": deleted["id"], "at": 3})
    expect(page.page.locator("#look")).to_be_visible()
    row = page.row(deleted["id"])
    row.locator(".toggle").click()
    row.get_by_role("button", name="Delete").click()
    row.get_by_role("button", name="Really delete?").click()
    expect(page.page.locator("#look")).to_be_hidden()
    wait_until_shown(page, kept["number"])


@pytest.mark.parametrize("width", [1280, 390])
def test_the_eye_can_be_pressed_without_opening_the_row(
    board: BoardProcess, new_page: Callable[..., Page], width: int
) -> None:
    body = {"method": "gd", "name": "a long name " * 15, "params": {"epochs": 20}}
    run = board.wait_until(board.client.post("/api/runs", json=body).json()["id"])
    page = BoardPage(new_page(viewport={"width": width, "height": 800})).open(board.url, curves=False)
    row = page.row(run["id"])
    for part in (".eye", ".only", ".status"):
        expect(row.locator(part)).to_be_in_viewport(ratio=1)
    row.locator(".eye").click()
    expect(row.locator(".eye")).to_have_attribute("aria-pressed", "false")
