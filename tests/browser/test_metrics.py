"""Which metrics have a window, and in which order: chosen in a panel beside the curves."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage

IN_ORDER = """() => [...document.querySelectorAll(".react-grid-item")]
  .filter((item) => item.querySelector(".js-plotly-plot"))
  .sort((one, other) => one.style.order - other.style.order)
  .map((item) => item.querySelector(".bar > div.pull-right").textContent)"""


def wait_until_in_order(page: BoardPage, *titles: str) -> None:
    """Return once the windows of these titles, and no others, are there in this order."""
    wait_for(lambda: page.curves.evaluate(IN_ORDER) == list(titles), f"the windows {titles}")


def test_any_metric_of_a_script_can_be_found_shown_hidden_moved_and_run_along(
    page: BoardPage, board: BoardProcess
) -> None:
    run = board.client.post("/api/runs", json={"method": "external", "name": "script"}).json()
    names = ["train/loss", "val_loss", "samples", *(f"norm/layer{number}" for number in range(20))]
    metrics = {name: [3.0 + at, 2.0 + at, 1.0 + at] for at, name in enumerate(names)} | {"samples": [0, 64, 128]}
    body = {"seq": 0, "step": [0, 1, 2], "metrics": metrics}
    board.client.post(f"/api/runs/{run['id']}/points", json=body)
    first = ["Loss", "samples", *(f"norm/layer{number}" for number in range(10))]
    wait_until_in_order(page, *first)
    names_in_loss = [trace["name"] for trace in page.plot("Loss")["traces"]]
    assert names_in_loss[:2] == [f"script #{run['number']}", f"script #{run['number']} val_loss"]

    button = page.page.get_by_role("button", name="10 more metrics")
    button.click()
    panel = page.page.get_by_role("complementary", name="Metrics")
    expect(panel).to_contain_text("12 of 22 have a window.")
    panel.get_by_role("searchbox").fill("19 norm")
    expect(panel.locator("li")).to_have_count(1)
    panel.get_by_role("button", name="Show norm/layer19").click()
    wait_until_in_order(page, "norm/layer19", *first[:-1])
    expect(panel.get_by_role("button", name="Pin norm/layer19")).to_have_attribute("aria-pressed", "true")

    panel.get_by_role("searchbox").fill("")
    panel.get_by_role("button", name="Hide norm/layer0", exact=True).click()
    wait_until_in_order(page, "norm/layer19", *(title for title in first if title != "norm/layer0"))
    up = panel.get_by_role("button", name="Move loss up")
    up.click()
    wait_until_in_order(page, "Loss", "norm/layer19", *(title for title in first[1:] if title != "norm/layer0"))
    expect(up).to_be_disabled()

    panel.get_by_role("button", name="Along samples").click()
    wait_for(lambda: page.trace("Loss", run["number"]).get("x") == [0, 64, 128], "the samples along the curve")
    expect(page.page.locator("#along")).to_have_value("metric:samples")
    page.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(button).to_be_focused()
