"""The slider of the learning rate lies where the rates that matter for the data lie."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.harness.pages import BoardPage


def test_the_slider_follows_the_data(form_page: BoardPage) -> None:
    page = form_page
    slider = page.page.get_by_role("slider", name="Learning rate")
    ticks = page.page.locator(".ticks > span")
    here = page.page.locator(".zone.here")
    expect(ticks).to_have_text(["0.0001", "0.001", "0.01", "0.1", "1", "10"])
    page.fill(x="1000, 2000, 3000")
    expect(page.page.locator(".theory")).to_have_text("Converges below 2/λ = 2.14e-7, fastest at 1.07e-7.")
    expect(ticks).to_have_text(["1e-10", "1e-9", "1e-8", "1e-7", "1e-6", "1e-5"])
    expect(here).to_have_text("diverging")
    assert page.field("lr").input_value() == "0.01"  # what was chosen stays chosen
    zones = slider.evaluate("slider => slider.style.getPropertyValue('--zones')")
    ends = [float(part.split(")")[0]) for part in zones.split("* ")[1:]]
    assert any(0.5 < end < 0.8 for end in ends)  # the limit is on the slider
    slider.fill("-7")
    assert page.field("lr").input_value() == "1e-7"
    expect(here).to_have_text("good")
    slider.press("ArrowRight")
    assert page.field("lr").input_value() == "1.2e-7"
    slider.press("PageDown")
    assert page.field("lr").input_value() == "1.2e-8"

    page.fill(x="0.001, 0.002, 0.003")
    expect(ticks).to_have_text(["0.01", "0.1", "1", "10", "100", "1000"])
    page.fill(x="1, 2, 3")
    expect(ticks).to_have_text(["0.0001", "0.001", "0.01", "0.1", "1", "10"])


def test_the_slider_follows_the_data_where_there_is_no_limit(form_page: BoardPage) -> None:
    page = form_page
    page.page.select_option("#method", "sgd")
    page.page.select_option("[name=order]", "random")
    page.fill(x="1000, 2000, 3000")
    expect(page.page.locator(".ticks > span")).to_have_text(["1e-10", "1e-9", "1e-8", "1e-7", "1e-6", "1e-5"])


def test_the_slider_does_not_jump_while_it_is_dragged(form_page: BoardPage) -> None:
    page = form_page
    slider = page.page.get_by_role("slider", name="Learning rate")
    ticks = page.page.locator(".ticks > span")
    expect(page.page.locator(".theory")).not_to_be_empty()
    box = slider.bounding_box()
    assert box
    page.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + box["height"] / 2)
    page.page.mouse.down()
    page.page.evaluate(
        """() => {
          const x = document.querySelector("#field-x");
          x.value = "1000, 2000, 3000";
          x.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    expect(page.page.locator(".theory")).to_contain_text("2.14e-7")
    page.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2)
    expect(ticks.first).to_have_text("0.0001")
    assert float(slider.get_attribute("min") or 0) == -4
    assert 0.001 < float(page.field("lr").input_value()) < 0.03
    page.page.mouse.up()
    expect(ticks.first).to_have_text("1e-10")
    assert 0.001 < float(page.field("lr").input_value()) < 0.03
