"""The left rail's tabs, and the table of runs: searched, sorted, compared, edited, stopped, deleted and had back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage, sideways

SEVERE = {"serious", "critical"}
RATES = (0.1, 0.3, 0.2)  # of the runs that most tests look at: their best losses are a tenth of these


def script(board: BoardProcess, lr: float, **told: Any) -> dict[str, Any]:
    """A script's run with two points, which goes on."""
    body = {"method": "external", "name": f"rate {lr}", "params": {"lr": lr, "seed": 1}} | told
    run: dict[str, Any] = board.client.post("/api/runs", json=body).json()
    points = {"seq": 0, "step": [0, 1], "metrics": {"loss": [lr / 10, lr], "acc": [0.5, lr]}}
    assert board.client.post(f"/api/runs/{run['id']}/points", json=points).status_code == 200
    return run


def open_table(page: BoardPage) -> Locator:
    """Open the table; its rows."""
    page.show("Runs")
    page.page.get_by_role("button", name="Open table").click()
    expect(page.page.get_by_role("columnheader", name="best loss")).to_be_visible()  # what there is to show is known
    return page.page.locator("#table-runs tbody tr")


def names(rows: Locator) -> list[str]:
    """The names of the runs, from the top down."""
    return rows.locator(".edit").all_inner_texts()


def cell(page: Page, name: str, column: str) -> Locator:
    """A run's cell in a column."""
    return page.locator("#table-runs tbody tr", has_text=name).locator(f'[data-key="{column}"]')


def test_the_form_is_seen_first_and_a_start_shows_the_runs(form_page: BoardPage) -> None:
    page = form_page.page
    setup, runs = page.get_by_role("tab", name="Set up"), page.get_by_role("tab", name="Runs")
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    expect(page.locator("#runs-panel")).to_be_hidden()
    setup.focus()
    page.keyboard.press("ArrowRight")
    expect(runs).to_be_focused()
    expect(runs).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Runs")).to_be_visible()
    expect(page.locator("#setup")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(setup).to_be_focused()
    form_page.full_speed()
    page.get_by_role("button", name="Start", exact=True).press("Enter")
    expect(runs).to_be_focused()  # from the button, which is out of sight now
    expect(page.locator("#runs .run")).to_be_visible()
    page.reload()
    expect(page.locator("#runs .run")).to_be_visible()


def test_runs_are_sorted_searched_and_shown_with_the_columns_that_are_chosen(
    form_page: BoardPage, board: BoardProcess
) -> None:
    for lr in RATES:
        script(board, lr, tags=["small"] if lr < 0.25 else [])
    rows, page = open_table(form_page), form_page.page
    expect(rows).to_have_count(3)
    assert names(rows) == ["rate 0.2", "rate 0.3", "rate 0.1"]
    expect(cell(page, "rate 0.3", "best.loss")).to_have_text("0.03")
    expect(cell(page, "rate 0.3", "last.loss")).to_have_text("0.3")
    expect(cell(page, "rate 0.3", "best.acc")).to_have_text("0.5")  # of which more is better

    head = page.get_by_role("columnheader", name="best loss")
    for order, expected in (
        ("ascending", ["rate 0.1", "rate 0.2", "rate 0.3"]),
        ("descending", ["rate 0.3", "rate 0.2", "rate 0.1"]),
        ("none", ["rate 0.2", "rate 0.3", "rate 0.1"]),
    ):
        head.get_by_role("button").press("Enter")
        expect(rows.locator(".edit")).to_have_text(expected)
        expect(head).to_have_attribute("aria-sort", order)
        expect(head.get_by_role("button")).to_be_focused()

    search = page.get_by_role("searchbox", name="Search runs")
    search.fill("tag:small lr<0.15")
    expect(rows.locator(".edit")).to_have_text(["rate 0.1"])
    expect(page.locator("#table-count")).to_have_text("1 – 1 of 1")
    search.fill("lr<small")
    expect(page.locator("#table-search-error")).to_have_text("lr< is followed by small; write a number there.")
    expect(search).to_have_attribute("aria-invalid", "true")
    assert names(rows) == ["rate 0.1"]
    search.fill("")
    expect(rows).to_have_count(3)
    expect(page.locator("#table-search-error")).to_be_hidden()

    page.locator("#table-columns summary").click()
    page.get_by_role("checkbox", name="Step", exact=True).check()
    expect(cell(page, "rate 0.3", "step")).to_have_text("1")
    page.get_by_role("searchbox", name="Find a column").fill("seed")
    page.get_by_role("checkbox", name="param seed").uncheck()
    expect(page.get_by_role("columnheader", name="param seed")).to_have_count(0)
    page.get_by_role("button", name="Default columns").click()
    expect(page.get_by_role("columnheader", name="param seed")).to_have_count(1)
    expect(page.get_by_role("columnheader", name="Step")).to_have_count(0)

    page.keyboard.press("Escape")  # closes what was opened last
    expect(page.locator("#table-columns > div")).to_be_hidden()
    assert page.locator("#windows").evaluate("windows => windows.inert")
    page.keyboard.press("Escape")
    expect(page.locator("#table")).to_be_hidden()
    expect(page.get_by_role("button", name="Open table")).to_be_focused()
    assert not page.locator("#windows").evaluate("windows => windows.inert")


def test_what_changes_while_the_table_is_open_changes_in_it(form_page: BoardPage, board: BoardProcess) -> None:
    run = script(board, 0.1)
    rows, page = open_table(form_page), form_page.page
    points = {"seq": 2, "step": [2], "metrics": {"loss": [0.001]}}
    board.client.post(f"/api/runs/{run['id']}/points", json=points)
    expect(cell(page, "rate 0.1", "best.loss")).to_have_text("0.001")
    board.client.post(f"/api/runs/{run['id']}/finish", json={"status": "finished"})
    expect(cell(page, "rate 0.1", "status")).to_have_text("Finished")
    script(board, 0.2)
    expect(rows).to_have_count(2)


def test_selected_runs_are_compared_and_shown(form_page: BoardPage, board: BoardProcess) -> None:
    ids = [script(board, lr)["id"] for lr in RATES]
    rows, page = open_table(form_page), form_page.page
    expect(page.get_by_role("button", name="Show selected")).to_be_hidden()
    page.get_by_role("checkbox", name="Select rate 0.2 #").click()
    expect(page.locator("#table-selected")).to_have_text("1 selected")
    page.get_by_role("checkbox", name="Select rate 0.1 #").click(modifiers=["Shift"])
    expect(page.locator("#table-selected")).to_have_text("3 selected")
    expect(page.get_by_role("checkbox", name="Select all runs of this page")).to_be_checked()
    marked = rows.first.locator(".differs").evaluate_all("cells => cells.map(cell => cell.dataset.key)")
    assert {"params.lr", "best.loss"} <= set(marked)
    assert "params.seed" not in marked

    page.get_by_role("button", name="Compare").click()
    compared = page.locator("#table-compared tbody tr")
    expect(compared.first).to_have_text("≠paramlr (differs)0.10.30.2", use_inner_text=False)
    expect(page.locator("#table-compared").get_by_text("seed")).to_have_count(0)
    page.get_by_label("Only what differs").uncheck()
    expect(page.get_by_role("row", name="param seed 1 1 1")).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    expect(rows.first).to_be_visible()

    page.get_by_role("checkbox", name="Select rate 0.3 #").click()
    with page.expect_request(lambda request: request.method == "PATCH") as sent:
        page.get_by_role("button", name="Show selected").click()
    assert set(sent.value.post_data_json["chosen"]) == {ids[0], ids[2]}
    expect(page.locator("#table")).to_be_hidden()
    view = board.get("/api/board")
    assert set(view["chosen"]) == set(view["shown"]) == {ids[0], ids[2]}
    expect(form_page.row(ids[1]).locator(".eye")).to_have_attribute("aria-pressed", "false")
    open_table(form_page)
    page.get_by_role("button", name="Show the latest again").click()
    expect(page.get_by_role("button", name="Show the latest again")).to_be_hidden()
    wait_for(lambda: set(board.get("/api/board")["shown"]) == set(ids), "all of them")


def test_a_run_is_pinned_renamed_tagged_and_noted_and_several_are_grouped(
    form_page: BoardPage, board: BoardProcess
) -> None:
    first, *_ = [script(board, lr, tags=["old"]) for lr in RATES]
    rows, page = open_table(form_page), form_page.page
    page.get_by_role("button", name="Pin rate 0.1 #").click()
    expect(rows.locator(".edit")).to_have_text(["rate 0.1", "rate 0.2", "rate 0.3"])
    edit = page.get_by_role("button", name="Edit rate 0.1 #")
    edit.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("the first")
    dialog.get_by_label("Tags").fill("good, first try ,")
    dialog.get_by_label("Notes").fill("lr too low?")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(cell(page, "the first", "tags")).to_have_text("good, first try")
    run = board.get(f"/api/runs/{first['id']}")
    assert [run[name] for name in ("name", "tags", "notes", "pinned", "group")] == [
        "the first",
        ["good", "first try"],
        "lr too low?",
        True,
        None,
    ]

    row = form_page.row(first["id"])
    row.locator(".toggle").click()
    expect(row.locator(".facts")).to_contain_text("tagsgood, first trynoteslr too low?", use_inner_text=False)

    page.get_by_role("checkbox", name="Select all runs of this page").check()
    page.get_by_role("button", name="Edit…").click()
    expect(dialog.get_by_label("Name")).to_be_hidden()
    dialog.get_by_label("Group").fill("x" * 200)
    dialog.get_by_label("Tags").fill("t" * 201)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("at most 200 characters")
    dialog.get_by_label("Group").fill("a group")
    dialog.get_by_label("Tags").fill("new")
    dialog.get_by_label("Tags").press("Enter")
    expect(dialog).to_be_hidden()
    expect(cell(page, "rate 0.3", "tags")).to_have_text("old, new")
    assert {run["group"] for run in board.get("/api/runs")["items"]} == {"a group"}


def test_many_are_stopped_and_deleted_and_had_back(form_page: BoardPage, board: BoardProcess) -> None:
    ids = [script(board, lr)["id"] for lr in RATES]
    rows, page = open_table(form_page), form_page.page
    page.get_by_role("checkbox", name="Select rate 0.1 #").check()
    page.get_by_role("checkbox", name="Select rate 0.3 #").check()
    page.get_by_role("button", name="Stop", exact=True).click()

    def is_asked_to_stop(run_id: str) -> bool:
        empty = {"seq": 2, "step": [], "metrics": {}}
        return bool(board.client.post(f"/api/runs/{run_id}/points", json=empty).json()["control"]["stop"])

    wait_for(lambda: [is_asked_to_stop(run_id) for run_id in ids] == [True, True, False], "the stop of two")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(rows.locator(".edit")).to_have_text(["rate 0.2"])
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    expect(page.locator("#undo")).to_contain_text("2 runs deleted.")
    assert board.get("/api/runs")["total"] == 1
    undo.press("Enter")
    expect(rows).to_have_count(3)
    expect(page.locator("#undo")).to_be_empty()
    expect(page.locator("#runs-count")).to_have_text("3")
    assert board.get("/api/runs")["total"] == 3


def test_a_table_of_several_pages(form_page: BoardPage, board: BoardProcess) -> None:
    for number in range(105):
        board.client.post("/api/runs", json={"method": "external", "name": f"run {number}"})
    form_page.show("Runs")
    page = form_page.page
    page.get_by_role("button", name="Open table").click()
    rows = page.locator("#table-runs tbody tr")
    expect(rows).to_have_count(100)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#table-count")).to_have_text("101 – 105 of 105")
    expect(rows).to_have_count(5)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("searchbox", name="Search runs").fill("name:10")  # is on the first page of what it finds
    expect(rows.locator(".edit").last).to_have_text("run 10")


@pytest.mark.parametrize(("colours", "width"), [("light", 1280), ("dark", 390)])
def test_the_table_is_accessible_and_nothing_is_cut_off(
    board: BoardProcess, new_page: Callable[..., Page], colours: str, width: int
) -> None:
    for lr in RATES:
        script(board, lr, tags=["a tag"], group="a group")
    page = BoardPage(new_page(color_scheme=colours, viewport={"width": width, "height": 844})).open(
        board.url, curves=False
    )
    open_table(page)
    page.page.get_by_role("checkbox", name="Select all runs of this page").check()
    page.page.locator("#table-columns summary").click()
    severe(page.page)
    page.page.keyboard.press("Escape")
    page.page.get_by_role("button", name="Compare").click()
    severe(page.page)
    page.page.get_by_role("button", name="Edit…").click()
    severe(page.page)
    assert sideways(page.page) == 0
    box = page.page.locator("#table").bounding_box()
    assert box is not None
    assert 0 <= box["x"] < box["x"] + box["width"] <= width


def severe(page: Page) -> None:
    """Nothing on the page keeps a person out."""
    found = Axe().run(page, options={"iframes": False})
    violations = [violation for violation in found.response["violations"] if violation["impact"] in SEVERE]
    assert not violations, [(one["id"], [node["html"] for node in one["nodes"]]) for one in violations]
