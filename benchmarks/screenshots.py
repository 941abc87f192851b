"""Takes the README's pictures with a real board and Chromium: `uv run python -m benchmarks.screenshots`.

With names, such as `... -m benchmarks.screenshots animation`, only those are taken; the names are `pictures`, which
are the PNG files, and `animation`.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.chromium import ARGUMENTS, find_chromium
from tests.harness.pages import BoardPage, number_of

FOLDER = Path(__file__).parent / "screenshots"
VIEWPORT: ViewportSize = {"width": 1280, "height": 720}
RUNS: list[tuple[str, dict[str, Any]]] = [
    ("gd", {"lr": 0.01, "epochs": 60}),
    ("sgd", {"lr": 0.02, "epochs": 20, "seed": 1}),
    ("gd", {"lr": 0.2, "epochs": 60}),
    ("gd", {"lr": 0.3, "epochs": 400}),
]
RATES = [0.005, 0.01, 0.03, 0.2, 0.3]
SINGLE_RUNS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("contour", "torch", {"lr": 0.05, "epochs": 40, "seed": 3}, {"at": 5}),
    ("graph", "backprop", {"lr": 0.02, "epochs": 60}, {"at": 12, "sample": 1}),
]

ANIMATION = FOLDER / "run.gif"
ANIMATED_RUN = {"epochs": 30, "steps_per_second": 1, "lr": 0.2}  # zigzags; slow, so that no step goes unseen
ANIMATION_SIZE = (960, 540)
MAX_ANIMATION_BYTES = 1_500_000
FRAME_MS = 250
FIRST_FRAME_MS, LAST_FRAME_MS = 1000, 3000
SETTLE_MS = 150  # from a step being drawn to its marker and its row in the list being drawn


def main(names: list[str]) -> int:
    """Take what is named, or everything; the exit code."""
    takers: dict[str, Callable[[Browser], None]] = {"pictures": take_pictures, "animation": take_animation}
    if unknown := set(names) - set(takers):
        print(f"unknown: {', '.join(sorted(unknown))}; the names are {', '.join(takers)}", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        for name in names or takers:
            takers[name](browser)
        browser.close()
    return 0


def take_pictures(browser: Browser) -> None:
    """Write a picture for each way to look at the board."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        board.wait_for_visdom()
        for method, params in RUNS:
            board.wait_until(board.run(method, **params)["id"])
        running = board.run("gd", lr=0.05, epochs=2000, steps_per_second=25)
        board.wait_until(running["id"], "running")
        every = len(RUNS) + 1
        take(browser, board.url, "board", curves=every)
        take(browser, board.url, "dark", curves=every, color_scheme="dark")
        take(browser, board.url, "phone", curves=every, viewport={"width": 390, "height": 844}, full_page=True)
        board.client.post(f"/api/runs/{running['id']}/stop")
        take_race_and_single_runs(browser, board)


def take_race_and_single_runs(browser: Browser, board: BoardProcess) -> None:
    """A race; and single runs, each at one of its steps."""
    race = {"method": "gd", "params": {"epochs": 40}, "vary": {"lr": RATES}}
    for run in board.client.post("/api/races", json=race).json()["runs"]:
        board.wait_until(run["id"])
    take(browser, board.url, "race", curves=len(RATES))
    for name, method, params, view in SINGLE_RUNS:
        run = board.wait_until(board.run(method, **params)["id"])
        board.client.patch("/api/board", json={"run": run["id"], **view})
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
    **context: Any,
) -> None:
    """One picture of the page, with a method in its form and all its curves drawn."""
    page = browser.new_page(**{"viewport": VIEWPORT, "device_scale_factor": 1, **context})
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


def take_animation(browser: Browser) -> None:
    """Start a run by hand on an empty board, and write the page after each of its steps as an animation."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
        board.wait_for_visdom()
        page = browser.new_page(viewport=VIEWPORT, device_scale_factor=1)
        frames = film_run(BoardPage(page).open(board.url))
        page.close()
    write_animation(frames, ANIMATION)


def film_run(board_page: BoardPage) -> list[Image.Image]:
    """The page before ANIMATED_RUN is started, after each of its steps as they are drawn, and when it has ended."""
    page = board_page.page
    page.select_option("#method", "gd")
    board_page.fill(**ANIMATED_RUN)
    page.locator("#params .theory:not(:empty)").wait_for()
    frames = [picture(page)]
    row = board_page.start()
    number = number_of(row)
    for step in range(int(ANIMATED_RUN["epochs"])):
        wait_for(lambda: len(board_page.trace("w", number).get("x", [])) > step, f"step {step}")  # noqa: B023
        page.wait_for_timeout(SETTLE_MS)
        frames.append(picture(page))
    row.get_by_text("Finished").wait_for()
    page.wait_for_timeout(1000)
    frames.append(picture(page))
    return frames


def picture(page: Page) -> Image.Image:
    """The page as it is now, in the size of the animation."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return shot.resize(ANIMATION_SIZE, Image.Resampling.LANCZOS)


def write_animation(frames: list[Image.Image], path: Path) -> None:
    """Write frames as an animation that repeats. AssertionError if it is larger than MAX_ANIMATION_BYTES."""
    # One palette for all frames: what stays the same from one to the next then costs nothing. That of the last frame,
    # which has every colour, and by octree: a median cut loses the few pixels of the slider's zones. Without dithering,
    # whose noise does not compress.
    palette = frames[-1].quantize(method=Image.Quantize.FASTOCTREE)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FIRST_FRAME_MS, *[FRAME_MS] * (len(frames) - 2), LAST_FRAME_MS]
    first.save(path, save_all=True, append_images=others, duration=durations, loop=0)
    size = path.stat().st_size
    assert size <= MAX_ANIMATION_BYTES, f"{path} has {size} bytes, more than {MAX_ANIMATION_BYTES}"
    print(f"{path.name}: {len(frames)} frames, {size:,} bytes")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
