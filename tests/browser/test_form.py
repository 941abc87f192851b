"""The form: built from the methods' own schemas, and clear about what is wrong."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.harness.boards import BoardProcess
from tests.harness.pages import BoardPage


def test_every_method_can_be_chosen_with_its_formula_and_its_parameters(
    form_page: BoardPage, board: BoardProcess
) -> None:
    page = form_page
    methods = board.get("/api/methods")
    options = page.page.locator("#method option").all_inner_texts()
    assert options == [method["title"] for method in methods]
    for method in methods:
        page.page.select_option("#method", method["name"])
        expect(page.page.locator("#formula math")).to_be_visible()
        expect(page.page.locator("#help")).to_have_text(method["description"])
        shown = page.page.locator("#params .field").evaluate_all("fields => fields.map(field => field.dataset.name)")
        assert shown == list(method["params_schema"]["properties"])
        for name, schema in method["params_schema"]["properties"].items():
            control = page.field(name)
            expect(control).to_be_visible()
            if "enum" in schema:
                assert control.locator("option").all_inner_texts() == schema["enum"]
            elif name != "steps_per_second":
                assert float(control.input_value()) == schema["default"]
                assert page.page.get_by_label(schema["title"], exact=True).count() == 1
            assert schema["description"] in page.page.locator(f"#field-{name}-help").inner_text()


def test_what_a_field_means_is_told_when_it_has_the_focus(form_page: BoardPage) -> None:
    page = form_page
    page.field("lr").focus()
    expect(page.page.locator("#help")).to_contain_text("Learning rate: How far an update goes")
    expect(page.page.locator("#help")).to_contain_text("at most 1,000")


def test_slider_and_number_agree(form_page: BoardPage) -> None:
    page = form_page
    number, slider = page.field("lr"), page.page.get_by_role("slider", name="Learning rate")
    assert (number.input_value(), float(slider.input_value())) == ("0.01", -2)
    number.fill("0.1")
    assert float(slider.input_value()) == -1
    slider.fill("-3")
    assert number.input_value() == "0.001"
    slider.press("ArrowRight")
    assert number.input_value() == "0.0012"
    slider.press("PageUp")
    assert number.input_value() == "0.012"
    assert 10 ** float(slider.input_value()) == pytest.approx(0.012)
    number.press("ArrowUp")
    assert number.input_value() == "0.015"
    number.fill("300")  # more than the slider reaches, and allowed all the same
    assert (number.input_value(), float(slider.input_value())) == ("300", 1)


def test_an_empty_learning_rate_is_the_default_for_the_slider_too(form_page: BoardPage) -> None:
    page = form_page
    number, slider = page.field("lr"), page.page.get_by_role("slider", name="Learning rate")
    here = page.page.locator(".zone.here")
    slider.press("End")
    expect(here).to_have_text("diverging")
    number.fill("")
    assert float(slider.input_value()) == -2
    expect(here).to_have_text("good")
    number.press("ArrowUp")
    assert number.input_value() == "0.012"


def test_theory_is_asked_again_after_the_board_was_away(form_page: BoardPage) -> None:
    page = form_page
    legend = page.page.locator(".zones .legend")
    expect(legend).to_be_visible()
    page.page.route("**/stability", lambda route: route.abort(), times=1)
    page.fill(x="1, 2, 4")
    expect(legend).to_be_hidden()
    page.fill(lr=0.02)  # theory is asked about all but the rate, so about the same as before
    expect(legend).to_be_visible()


def test_what_is_typed_stays_when_the_method_changes(form_page: BoardPage) -> None:
    page = form_page
    page.fill(lr=0.05, epochs=7)
    page.page.select_option("#method", "sgd")
    assert (page.field("lr").input_value(), page.field("epochs").input_value()) == ("0.05", "7")


def test_long_runs_go_at_full_speed_unless_someone_chooses(form_page: BoardPage) -> None:
    page = form_page
    full = page.page.get_by_label("Full speed")
    assert page.field("steps_per_second").input_value() == "25"
    page.fill(epochs=100_000)
    expect(full).to_be_checked()
    page.fill(epochs=50)
    expect(full).not_to_be_checked()
    page.fill(steps_per_second=3, epochs=100_000)
    expect(full).not_to_be_checked()


def test_a_refused_value_is_marked_beside_its_field(form_page: BoardPage) -> None:
    page = form_page
    page.fill(lr=-1)
    page.page.get_by_role("button", name="Start").click()
    expect(page.error("lr")).to_have_text("This should be greater than 0, not -1.")
    expect(page.field("lr")).to_be_focused()
    expect(page.field("lr")).to_have_attribute("aria-invalid", "true")
    page.fill(lr=0.5)
    expect(page.error("lr")).to_be_hidden()


def test_data_that_is_no_list_of_numbers_is_refused_in_words(form_page: BoardPage) -> None:
    page = form_page
    start = page.page.get_by_role("button", name="Start")
    page.fill(y="2, four, 6")
    start.click()
    expect(page.error("y")).to_contain_text("“four” is not a number")
    page.fill(y="2, 4")
    start.click()
    expect(page.error("y")).to_contain_text("x has 3 values and y has 2")
    page.fill(x="1, 2")  # which mends it as well
    expect(page.error("y")).to_be_hidden()
    page.fill(y="")
    start.click()
    expect(page.error("y")).to_contain_text("y is empty")
    page.fill(x="1e200", y="1")
    start.click()
    expect(page.error("x")).to_have_text("This should be at most 1e100, not 1e200.")


def test_a_rule_between_parameter_and_data_names_its_field(form_page: BoardPage) -> None:
    page = form_page
    page.page.select_option("#method", "minibatch")
    page.fill(batch_size=9)
    page.page.get_by_role("button", name="Start").click()
    expect(page.error("batch_size")).to_contain_text("9 is more than the 3 samples there are: write 1 to 3.")


def test_by_keyboard_alone(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    seen = []
    for _ in range(15):
        page.page.keyboard.press("Tab")
        seen.append(
            page.page.evaluate(
                "document.activeElement.id || document.activeElement.type || document.activeElement.tagName"
            )
        )
        assert page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    expected = [
        "A",  # past all of this, to the windows
        "SUMMARY",
        "setup-tab",
        "method",
        "field-lr",
        "range",
        "field-epochs",
        "field-w0",
        "field-steps_per_second",
        "checkbox",
    ]
    assert seen == [*expected, "field-predict_at", "field-x", "field-y", "name", "start"]
    before = board.get("/api/runs")["total"]
    page.field("lr").focus()
    page.page.keyboard.press("ControlOrMeta+A")
    page.page.keyboard.type("0.02")
    page.page.keyboard.press("Enter")
    expect(page.page.locator("#announcer")).to_contain_text("Gradient descent, lr 0.02")
    assert board.get("/api/runs")["total"] == before + 1
