"""What is known of a run can be read, however long its names and numbers are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.harness.boards import BoardProcess
from tests.harness.pages import BoardPage, sideways

NUMBER = -0.00057194
LONG = "a_rather_long_parameter_name_of_a_script_" * 4

# The texts that leave what they are in, that are a letter wide, and that lie on each other.
FAULTS = """(list, selector) => {
  const boxes = [...list.querySelectorAll(selector)].filter((one) => one.textContent).map((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return { text: one.textContent, lines: [...range.getClientRects()] };
  });
  const outer = list.getBoundingClientRect();
  const faults = [];
  boxes.forEach(({ text, lines }, at) => {
    const leaves = ({ left, right }) => left < outer.left - 1 || right > outer.right + 1;
    if (lines.some(leaves)) faults.push(`${text} leaves`);
    if (lines.length > 3 && lines.every(({ width }) => width < 30)) faults.push(`${text} is a letter wide`);
    for (const other of boxes.slice(at + 1)) {
      const isOn = lines.some((a) => other.lines.some((b) =>
        a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3));
      if (isOn) faults.push(`${text} on ${other.text}`);
    }
  });
  return faults;
}"""


def make_run(board: BoardProcess) -> dict[str, object]:
    """A script's run with many numbers, and long names and texts."""
    params = {"learning_rate": NUMBER, "optimizer": "adamw", LONG: NUMBER}
    run: dict[str, object] = board.client.post(
        "/api/runs", json={"method": "external", "name": "wide", "params": params}
    ).json()
    metrics = {f"validation/encoder.layer_{number}.output_norm": [NUMBER * number] for number in range(30)}
    points = {"seq": 0, "step": [0], "metrics": {"grad": [NUMBER], **metrics}}
    assert board.client.post(f"/api/runs/{run['id']}/points", json=points).status_code == 200
    result = {"best": "the model of the twelfth epoch, /checkpoints/2024/" + "best" * 20, "accuracy": NUMBER}
    board.client.post(f"/api/runs/{run['id']}/finish", json={"status": "finished", "result": result})
    return run


def faults(list_of_facts: Locator, selector: str) -> list[str]:
    found: list[str] = list_of_facts.evaluate(f"(list, selector) => ({FAULTS})(list, selector)", selector)
    return found


@pytest.mark.parametrize("width", [390, 1280])
def test_facts_lie_beside_and_below_each_other(board: BoardProcess, new_page: Callable[..., Page], width: int) -> None:
    run = make_run(board)
    descent = board.wait_until(board.run(w0=NUMBER)["id"])
    page = BoardPage(new_page(viewport={"width": width, "height": 900})).open(board.url, curves=False)
    for one in (run, descent):
        row = page.row(str(one["id"]))
        row.locator(".toggle").click()
        expect(row.locator(".facts dd").first).to_be_visible()
        assert faults(row.locator(".facts"), "dt, dd") == []
    assert sideways(page.page) == 0
    short = page.row(descent["id"]).locator(".facts > div")
    assert len({box["x"] for box in map(box_of, short.all())}) == 2  # columns, where there is room for two


def test_the_ranking_of_a_race_with_a_long_name(form_page: BoardPage, board: BoardProcess) -> None:
    body = {"name": "n" * 100, "group": "g" * 200, "params": {"lr": 0.01}, "vary": {"method": ["gd", "minibatch"]}}
    for run in board.client.post("/api/races", json=body).json()["runs"]:
        board.wait_until(run["id"])
    form_page.show("Runs")
    ranking = form_page.page.locator("#ranking")
    expect(ranking.locator("tbody tr")).to_have_count(2)
    assert faults(ranking, "summary, th, td") == []
    assert sideways(form_page.page) == 0


def box_of(element: Locator) -> dict[str, float]:
    box = element.bounding_box()
    assert box
    return dict(box)


@pytest.mark.parametrize("width", [390, 1280])
def test_the_table_of_a_run_in_visdom(board: BoardProcess, new_page: Callable[..., Page], width: int) -> None:
    run = make_run(board)
    board.client.patch("/api/board", json={"run": run["id"]})
    page = BoardPage(new_page(viewport={"width": width, "height": 900})).open(board.url, curves=False)
    page.page.locator("iframe.ready").wait_for()
    table = page.curves.locator(".content-text table", has_text="learning_rate")
    expect(table).to_be_visible()
    assert faults(table, "th, td") == []
