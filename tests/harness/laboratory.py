"""Runs and pages for tests of what a learner does with one run."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.pages import BoardPage


def slow_run(board: BoardProcess, method: str = "gd", **params: Any) -> dict[str, Any]:
    """A run that takes longer than its test."""
    run = board.run(method, **{"lr": 0.01, "epochs": 5000, "steps_per_second": 5, **params})
    return board.wait_until(run["id"], "running")


def look_closer(page: BoardPage, run: dict[str, Any]) -> None:
    """Choose a run, and wait until its own windows can be seen."""
    row = page.row(run["id"])
    row.locator(".toggle").click()
    row.get_by_role("button", name="Look closer").click()
    expect(page.page.locator("#look-name")).to_have_text(f"{run['name']} #{run['number']}")
    wait_for(lambda: run["visdom"]["env"] in page.curves.url and page.plots(), "its own windows")
