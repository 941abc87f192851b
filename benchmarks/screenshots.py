"""Takes the README's screenshots with a real board and Chromium: `uv run python -m benchmarks.screenshots`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.harness.boards import BoardProcess

FOLDER = Path(__file__).parent / "screenshots"
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
RUNS: list[tuple[str, dict[str, Any]]] = [
    ("gd", {"lr": 0.01, "epochs": 60}),
    ("sgd", {"lr": 0.02, "epochs": 20, "seed": 1}),
    ("gd", {"lr": 0.2, "epochs": 60}),
    ("gd", {"lr": 0.3, "epochs": 400}),
]


RATES = [0.005, 0.01, 0.03, 0.2, 0.3]
LOOKS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("contour", "torch", {"lr": 0.05, "epochs": 40, "seed": 3}, {"at": 5}),
    ("graph", "backprop", {"lr": 0.02, "epochs": 60}, {"at": 12, "sample": 1}),
]


def main() -> None:
    """Write a picture for each way to look at the board."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        BoardProcess(Path(folder)) as board,
        sync_playwright() as playwright,
    ):
        board.wait_for_visdom()
        for method, params in RUNS:
            board.wait_until(board.run(method, **params)["id"])
        running = board.run("gd", lr=0.05, epochs=2000, steps_per_second=25)
        board.wait_until(running["id"], "running")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        every = len(RUNS) + 1
        take(browser, board.url, "board", curves=every)
        take(browser, board.url, "dark", curves=every, color_scheme="dark")
        take(browser, board.url, "phone", curves=every, viewport={"width": 390, "height": 844}, full_page=True)
        board.client.post(f"/api/runs/{running['id']}/stop")
        take_looks(browser, board)
        browser.close()


def take_looks(browser: Browser, board: BoardProcess) -> None:
    """A race; and single runs, each at one of its steps."""
    race = {"method": "gd", "params": {"epochs": 40}, "vary": {"lr": RATES}}
    for run in board.client.post("/api/races", json=race).json()["runs"]:
        board.wait_until(run["id"])
    take(browser, board.url, "race", curves=len(RATES))
    for name, method, params, look in LOOKS:
        run = board.wait_until(board.run(method, **params)["id"])
        board.client.patch("/api/board", json={"run": run["id"], **look})
        take(browser, board.url, name, curves=1, method=method)
    board.client.patch("/api/board", json={"run": None})


def take(
    browser: Browser,
    url: str,
    name: str,
    *,
    curves: int,
    method: str = "gd",
    full_page: bool = False,
    **look: Any,
) -> None:
    """One picture of the page, with a method in its form and all its curves drawn."""
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 720}, "device_scale_factor": 1, **look})
    page.goto(url)
    page.select_option("#method", method)
    wait_for_curves(page, curves)
    page.screenshot(path=FOLDER / f"{name}.png", full_page=full_page)
    page.close()


def wait_for_curves(page: Page, curves: int) -> None:
    """Return once the windows show so many of them in their legend."""
    frame = page.frame_locator("iframe")
    frame.locator(".js-plotly-plot .legendtext").nth(curves - 1).wait_for()
    frame.locator(".js-plotly-plot").nth(2).locator(".scatterlayer .trace").first.wait_for()
    page.locator("#params .theory:not(:empty)").wait_for()
    page.wait_for_timeout(1000)  # Visdom gathers windows for 0.1 s before it draws them, then fits them to their place


if __name__ == "__main__":
    main()
