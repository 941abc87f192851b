"""What is wrong stands at its field, in the page's words, and goes when it is right."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.harness.boards import BoardProcess
from tests.harness.laboratory import slow_run
from tests.harness.pages import BoardPage

# Method, what is filled in, the field that is wrong, and what is said there.
WRONG: list[tuple[str, dict[str, object], str, str]] = [
    ("gd", {"lr": "0"}, "lr", "This should be greater than 0, not 0."),
    ("gd", {"lr": "1e9"}, "lr", "This should be at most 1,000, not 1,000,000,000."),
    ("gd", {"lr": "1e-"}, "lr", "“1e-” is not a number: write one such as 0.01."),
    ("gd", {"epochs": "20000000"}, "epochs", "This should be at most 10,000,000, not 20,000,000."),
    ("gd", {"epochs": "2.5"}, "epochs", "This should be a whole number, such as 3, not 2.5."),
    ("gd", {"w0": "−1e101"}, "w0", "This should be at least -1e100, not -1e101."),
    ("gd", {"w0": "1,234"}, "w0", "“1,234” may be 1234 or 1.234: write it without a comma."),
    ("gd", {"steps_per_second": "-2"}, "steps_per_second", "This should be greater than 0, not -2."),
    ("gd", {"x": "1, 2"}, "y", "x has 2 values and y has 3: write as many of one as of the other."),
    ("gd", {"x": "1, 1e200, 3"}, "x", "This should be at most 1e100, not 1e200."),
    ("gd", {"y": "2, four, 6"}, "y", "“four” is not a number: write numbers with commas between, such as 1, 2, 3."),
    ("gd", {"y": "0,05"}, "y", "“0,05” has a decimal comma: write 0.05."),
    ("minibatch", {"batch_size": "10"}, "batch_size", "10 is more than the 3 samples there are: write 1 to 3."),
    (
        "sgd",
        {"epochs": "4000000"},
        "epochs",
        "4,000,000 epochs of 3 updates are 12,000,000 steps, and a run has at most 10,000,000: write 3,333,333 or"
        " less.",
    ),
    ("sweep", {"w_stop": "-1"}, "w_stop", "-1 is below the first w, 0: write 0 or more."),
    (
        "sweep",
        {"w_step": "1e-9"},
        "w_step",
        "Steps of 1e-9 make more than 1,000,000 candidates: write 0.000004004 or more, or bring the first and the last"
        " w closer together.",
    ),
    (
        "sweep",
        {"w_start": "1e20", "w_stop": "1.00000000000001e20", "w_step": "2"},
        "w_step",
        "2 is too small a step to change a w this large: write a larger one.",
    ),
]


@pytest.mark.parametrize(("method", "values", "field", "words"), WRONG)
def test_every_refusal_stands_at_its_field(
    form_page: BoardPage, method: str, values: dict[str, object], field: str, words: str
) -> None:
    page = form_page
    page.page.select_option("#method", method)
    page.fill(**values)
    page.page.get_by_role("button", name="Start", exact=True).click()
    expect(page.error(field)).to_have_text(words)
    expect(page.page.locator(".error:visible")).to_have_count(1)
    expect(page.page.locator("#message")).to_be_hidden()


def test_each_wrong_field_is_told_at_once(form_page: BoardPage) -> None:
    page = form_page
    page.fill(lr=-1, epochs=0, w0="much")
    page.page.get_by_role("button", name="Start", exact=True).click()
    expect(page.error("w0")).to_have_text("“much” is not a number: write one such as 0.01.")
    page.fill(w0=1)
    page.page.get_by_role("button", name="Start", exact=True).click()
    expect(page.error("lr")).to_have_text("This should be greater than 0, not -1.")
    expect(page.error("epochs")).to_have_text("This should be at least 1, not 0.")


def test_an_error_follows_what_is_typed_and_goes_when_it_is_right(form_page: BoardPage) -> None:
    page = form_page
    page.fill(lr=-1)
    page.page.get_by_role("button", name="Start", exact=True).click()
    expect(page.error("lr")).to_have_text("This should be greater than 0, not -1.")
    page.fill(lr=-2)
    expect(page.error("lr")).to_have_text("This should be greater than 0, not -2.")
    page.fill(lr="-2x")
    expect(page.error("lr")).to_have_text("“-2x” is not a number: write one such as 0.01.")
    page.fill(lr=2)
    expect(page.error("lr")).to_be_hidden()
    expect(page.field("lr")).not_to_have_attribute("aria-invalid", "true")


def test_an_error_goes_when_another_field_makes_it_right(form_page: BoardPage) -> None:
    page = form_page
    start = page.page.get_by_role("button", name="Start", exact=True)
    page.page.select_option("#method", "sweep")
    page.fill(w_start=5)
    start.click()
    expect(page.error("w_stop")).to_have_text("4 is below the first w, 5: write 5 or more.")
    page.fill(w_start=4.5)  # which does not mend it
    expect(page.error("w_stop")).to_have_text("4 is below the first w, 4.5: write 4.5 or more.")
    page.fill(w_start=1)
    expect(page.error("w_stop")).to_be_hidden()

    page.page.select_option("#method", "minibatch")
    page.fill(batch_size=4)
    start.click()
    expect(page.error("batch_size")).to_be_visible()
    page.fill(x="1, 2, 3, 4")  # half of what mends it
    expect(page.error("batch_size")).to_be_hidden()  # it is not known while x and y do not fit
    page.fill(y="2, 4, 6, 8")
    expect(page.page.locator(".error:visible")).to_have_count(0)


def test_numbers_are_understood_as_people_write_them(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    page.full_speed()
    page.fill(lr="0,05", epochs="1,000", w0="−２")
    run = board.get(f"/api/runs/{page.start().get_attribute('data-id')}")
    assert {name: run["params"][name] for name in ("lr", "epochs", "w0")} == {"lr": 0.05, "epochs": 1000, "w0": -2}


def test_a_range_of_steps_is_refused_at_its_own_fields(form_page: BoardPage, board: BoardProcess) -> None:
    board.wait_until(board.run()["id"])
    page = form_page.page
    error = page.locator("#detail-error")
    first, last = page.get_by_label("From step"), page.get_by_label("To step")

    def show(begin: str, end: str) -> None:
        first.fill(begin)
        last.fill(end)
        page.get_by_role("button", name="Detail").click()

    show("500", "100")
    expect(error).to_have_text("100 comes before 500: write the smaller step first.")
    expect(last).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#message")).to_be_hidden()
    below = error.bounding_box()
    form = page.locator("#detail").bounding_box()
    assert below
    assert form
    assert form["x"] <= below["x"] < form["x"] + form["width"]
    last.fill("600")
    expect(error).to_be_hidden()

    show("-5", "1.5")
    expect(error).to_have_text(
        "-5 is no step: they are whole numbers, from 0 on. 1.5 is no step: they are whole numbers, from 0 on."
    )
    show("ten", "")
    expect(error).to_have_text("“ten” is not a number: write a whole number, such as 100.")
    assert board.get("/api/board")["detail"] is None
    show("2", "")
    expect(error).to_be_hidden()
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    assert board.get("/api/board")["detail"]["from_step"] == 2
    expect(last).to_have_value("")  # where nothing was written, nothing is


def test_the_steps_of_a_script_may_be_any_numbers(form_page: BoardPage, board: BoardProcess) -> None:
    run = board.client.post("/api/runs", json={"method": "external"}).json()
    expect(form_page.row(run["id"])).to_be_visible()
    page = form_page.page
    page.get_by_label("From step").fill("-5")
    page.get_by_label("To step").fill("1.5")
    page.get_by_role("button", name="Detail").click()
    expect(page.get_by_role("button", name="Show all")).to_be_visible()
    assert board.get("/api/board")["detail"] == {"from_step": -5, "to_step": 1.5}


def test_a_row_tells_what_is_wrong_with_a_change(form_page: BoardPage, board: BoardProcess) -> None:
    run = slow_run(board)
    row = form_page.row(run["id"])
    rate = row.get_by_role("spinbutton", name="Learning rate")
    error = row.locator(".steer .error")
    for typed, words in [
        ("fast", "lr: “fast” is not a number: write one such as 0.01."),
        ("2000", "lr: This should be at most 1,000, not 2,000."),
        ("", "lr: This should be a number, such as 0.01."),
    ]:
        rate.fill(typed)
        rate.press("Enter")
        expect(error).to_have_text(words)
    rate.fill("0,02")
    rate.press("Enter")
    expect(error).to_be_hidden()
    row.get_by_role("button", name="Stop").click()


@pytest.mark.parametrize("where", ["form", "row"])
def test_that_the_board_does_not_answer_is_said_until_it_does(
    form_page: BoardPage, board: BoardProcess, where: str
) -> None:
    page = form_page.page
    said = page.get_by_text("The board does not answer.")
    row = form_page.row(slow_run(board)["id"])
    rate = row.get_by_role("spinbutton", name="Learning rate")
    expect(rate).to_be_visible()
    page.route("**/api/runs**", lambda route: route.abort())
    if where == "form":
        form_page.show("Set up")
        page.get_by_role("button", name="Start", exact=True).click()
    else:
        rate.fill("0.02")
        rate.press("Enter")
    expect(said).to_be_visible()
    page.unroute("**/api/runs**")
    form_page.fill(w0=2)  # after which theory is asked: any call that is answered will do
    expect(said).to_be_hidden()
    form_page.show("Runs")
    row.get_by_role("button", name="Stop").click()


def test_that_the_board_does_not_answer_is_said_until_its_events_come(
    form_page: BoardPage, board: BoardProcess
) -> None:
    page = form_page.page
    page.route("**/api/**", lambda route: route.abort())
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_text("The board does not answer.")).to_be_visible()
    page.route("**/api/events", lambda route: route.continue_())
    page.evaluate(
        "import('/events.js').then(({ follow }) => follow({ opened() {}, lost() {}, runs() {}, removed() {},"
        " visdom() {}, board() {}, viewers() {}, state() {} }))"
    )
    expect(page.get_by_text("The board does not answer.")).to_be_hidden()


def test_the_board_names_the_rule_beside_its_own_words(board: BoardProcess) -> None:
    def refused(body: dict[str, Any]) -> tuple[str, list[str | int], dict[str, Any]]:
        answer = board.client.post("/api/runs", json=body).json()
        return answer["detail"][0]["msg"], answer["detail"][0]["loc"], answer["broken"][0]

    message, place, broken = refused({"method": "gd", "params": {"epochs": 1e12}})
    assert (message, place) == ("Input should be less than or equal to 10000000", ["body", "params", "epochs"])
    assert broken == {"rule": "less_than_equal", "le": 10_000_000}
    message, _, broken = refused({"method": "minibatch", "params": {"batch_size": 4}})
    assert message == "batch_size 4 is more than the 3 samples there are: send 1 to 3"
    assert broken == {"rule": "more_than_samples", "value": 4, "samples": 3}
    message, place, broken = refused({"method": "gd", "data": {"x": [1], "y": [1, 2]}})
    assert (message, place[-1]) == ("x has 1 values and y has 2; send as many of one as of the other", "data")
    assert broken == {"rule": "lengths_differ", "x": 1, "y": 2}
