"""Runs are controlled from their rows while they train."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.laboratory import slow_run
from tests.harness.pages import BoardPage

DATA = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}


def test_the_learning_rate_changes_while_a_run_goes_on(page: BoardPage, board: BoardProcess) -> None:
    run = slow_run(board, steps_per_second=20)
    row = page.row(run["id"])
    rate = row.get_by_role("spinbutton", name="Learning rate")
    expect(rate).to_have_value("0.01")
    rate.fill("0.05")
    rate.press("Enter")
    changes = wait_for(lambda: board.get(f"/api/runs/{run['id']}")["changes"], "a recorded change")
    assert changes[0]["params"] == {"lr": 0.05}
    assert changes[0]["step"] > 0
    expect(page.curves.locator(".annotation", has_text="lr 0.05").first).to_be_attached()  # on the curve
    rate.press("ArrowUp")
    expect(rate).to_have_value("0.06")
    wait_for(lambda: len(board.get(f"/api/runs/{run['id']}")["changes"]) == 2, "a second change")

    rate.fill("-1")
    rate.press("Enter")
    expect(row.locator(".steer .error")).to_contain_text("lr: This should be greater than 0, not -1.")
    pace = row.get_by_role("spinbutton", name="Steps per second")
    pace.fill("0")
    pace.press("Enter")
    expect(row.locator(".steer .error")).to_contain_text("steps/s: This should be greater than 0, not 0.")
    rate.fill("0.02")
    rate.press("Enter")
    expect(row.locator(".steer .error")).to_have_text(re.compile("^steps/s: "))
    pace.fill("20")
    pace.press("Enter")
    expect(row.locator(".steer .error")).to_be_hidden()
    row.get_by_role("button", name="Stop").click()
    expect(row.locator(".steer")).to_be_hidden()


def test_of_two_parameters_changed_at_once_the_last_value_of_each_is_sent(
    form_page: BoardPage, board: BoardProcess
) -> None:
    run = slow_run(board)
    row = form_page.row(run["id"])
    expect(row.get_by_role("spinbutton")).to_have_count(2)
    row.evaluate("""row => [["lr", 0.01], ["lr", 0.02], ["steps_per_second", 7]].forEach(([name, value]) => {
      const input = row.querySelector(`.steer [name=${name}]`);
      input.value = value;
      input.dispatchEvent(new Event("change"));
    })""")

    def changed() -> dict[str, float]:
        return {
            name: value
            for change in board.get(f"/api/runs/{run['id']}")["changes"]
            for name, value in change["params"].items()
        }

    wait_for(lambda: changed() == {"lr": 0.02, "steps_per_second": 7}, "both changes")
    row.get_by_role("button", name="Stop").click()


def test_a_run_is_held_stepped_and_resumed(form_page: BoardPage, board: BoardProcess) -> None:
    run = slow_run(board)

    def step() -> int | None:
        answer: int | None = board.get(f"/api/runs/{run['id']}")["step"]
        return answer

    wait_for(lambda: step() is not None, "a first step")
    row = form_page.row(run["id"])
    row.get_by_role("button", name="Pause").click()
    expect(row.locator(".status")).to_contain_text("Paused")
    held = where_it_stands(board, run["id"])
    wait_for(lambda: step() == held, "every point of it")
    assert wait_until_still(form_page.page, step) == held
    for more in (1, 2):
        row.get_by_role("button", name="Step").click()
        wait_for(lambda more=more: step() == held + more, "one more step")
    assert wait_until_still(form_page.page, step) == held + 2
    row.get_by_role("button", name="Resume").click()
    expect(row.locator(".status")).to_contain_text("Running")
    wait_for(lambda: (step() or 0) > held + 4, "steps of its own")
    row.get_by_role("button", name="Stop").click()
    expect(row.locator(".status")).to_have_text("Stopped")


def where_it_stands(board: BoardProcess, run_id: str) -> int:
    """The last step of a run that is held, as told by its worker, which may hear of the hold a little later.

    With the first change it has heard of the hold as well, but perhaps as it took a step; with the second it stands.
    """
    for count, lr in enumerate((0.02, 0.03), 1):
        assert board.client.patch(f"/api/runs/{run_id}", json={"params": {"lr": lr}}).status_code == 200
        wait_for(lambda count=count: len(board.get(f"/api/runs/{run_id}")["changes"]) == count, "a recorded change")
    step: int = board.get(f"/api/runs/{run_id}")["changes"][-1]["step"]
    return step - 1  # the change holds from the next one on


def wait_until_still(page: Page, question: Callable[[], int | None]) -> int | None:
    """The answer, once it stays the same for as long as a few steps of a run would take."""
    seen: int | None = -1
    while seen != (seen := question()):
        page.wait_for_timeout(700)
    return seen


def test_a_script_is_offered_what_it_can_do(form_page: BoardPage, board: BoardProcess) -> None:
    body = {"method": "external", "name": "mine", "params": {"lr": 0.1, "layers": "two"}}
    run = board.client.post("/api/runs", json=body).json()
    row = form_page.row(run["id"])
    expect(row.get_by_role("spinbutton")).to_have_count(1)
    expect(row.get_by_role("spinbutton")).to_have_value("0.1")


def test_why_a_run_diverges_is_said(form_page: BoardPage, board: BoardProcess) -> None:
    run = board.wait_until(board.run(lr=0.25, epochs=2000)["id"])
    why = form_page.row(run["id"]).locator(".why")
    expect(why).to_have_text(run["why"])
    expect(why).to_contain_text("lr 0.25 is above 2/λ = 0.214")


def test_a_row_shows_how_far_a_script_is_and_how_long_it_will_take(form_page: BoardPage, board: BoardProcess) -> None:
    run = board.client.post("/api/runs", json={"method": "external", "live": {"lr": [0, 1]}}).json()["id"]
    told = {"seq": 0, "step": [7], "metrics": {"lr": [0.0625]}, "progress": [40, 200], "params": {"lr": 0.1}}
    assert board.client.post(f"/api/runs/{run}/points", json=told).status_code == 200
    row = form_page.row(run)
    expect(row.locator(".status")).to_have_text("Running, 20 %")
    assert row.get_by_role("progressbar").evaluate("bar => bar.value") == 0.2
    rate = row.get_by_role("spinbutton")  # of lr alone
    expect(rate).to_have_value("0.0625")  # as the scheduler has it now
    rate.fill("0.5")
    rate.press("Enter")
    wait_for(lambda: board.get(f"/api/runs/{run}")["params"] == {"lr": 0.5}, "the change")
    rate.blur()
    board.client.patch(f"/api/runs/{run}", json={"notes": "seen"})
    expect(rate).to_have_value("0.5")  # until the script has it
    taken = {"step": 8, "params": {"lr": 0.5}}
    told = {"seq": 1, "step": [8], "metrics": {"lr": [0.25]}, "changes": [taken]}
    assert board.client.post(f"/api/runs/{run}/points", json=told).status_code == 200
    expect(rate).to_have_value("0.25")
    row.get_by_role("button", name="Stop").click()
    board.client.post(f"/api/runs/{run}/finish", json={"status": "stopped"})


def test_a_parameter_with_bounds_has_a_slider(form_page: BoardPage, board: BoardProcess) -> None:
    given = {"params": {"lr": 0.01, "width": 64}, "live": {"lr": [1e-4, 1], "width": [16, 512]}}
    run = board.client.post("/api/runs", json={"method": "external", **given}).json()["id"]
    row = form_page.row(run)

    def put(name: str, place: int) -> None:
        row.get_by_role("slider", name=name).evaluate(
            "(slider, place) => (slider.value = place, slider.dispatchEvent(new Event('input')))", place
        )

    rate = row.get_by_role("slider", name="Learning rate")
    expect(rate).to_have_value("250")  # halfway: powers of ten are at equal distances
    put("Learning rate", 375)
    put("width", 250)
    wait_for(lambda: board.get(f"/api/runs/{run}")["params"] == {"lr": 0.1, "width": 264}, "both changes")
    expect(row.get_by_role("spinbutton", name="Learning rate")).to_have_value("0.1")
    rate.press("ArrowRight")
    wait_for(lambda: board.get(f"/api/runs/{run}")["params"]["lr"] == 0.12, "the next round rate")
    put("Learning rate", 500)
    wait_for(lambda: board.get(f"/api/runs/{run}")["params"]["lr"] == 1, "the upper bound")
    board.client.post(f"/api/runs/{run}/finish", json={"status": "finished"})


def test_numbers_of_a_script_that_names_none_are_in_its_open_row(form_page: BoardPage, board: BoardProcess) -> None:
    given = {"params": {"lr": 0.01, "decay": 0.5, "optimizer": "sgd"}}
    run = board.client.post("/api/runs", json={"method": "external", **given}).json()["id"]
    row = form_page.row(run)
    expect(row.get_by_role("spinbutton")).to_have_count(1)  # lr
    row.locator(".toggle").click()
    decay = row.get_by_role("spinbutton", name="decay")
    decay.fill("0.25")
    decay.press("Enter")
    wait_for(lambda: board.get(f"/api/runs/{run}")["params"]["decay"] == 0.25, "the change")
    expect(row.get_by_role("slider")).to_have_count(0)
    board.client.post(f"/api/runs/{run}/finish", json={"status": "finished"})


def test_the_time_left_follows_from_what_was_done_while_the_page_looked_on(page: BoardPage) -> None:
    seen = [("running", 100, 0), ("running", 110, 1), ("running", 140, 2), ("paused", 140, 9), ("running", 140, 10)]
    program = """async seen => {
      const { TimeLeft } = await import("/time_left.js");
      const left = new TimeLeft();
      return seen.map(([status, done, at]) => left.of({ status, done_steps: done, total_steps: 200 }, 1000 * at));
    }"""
    assert page.page.evaluate(program, seen) == [None, None, 3, None, None]
