"""Takes the pictures of docs/client.md: `uv run --group integrations python -m benchmarks.example_pictures`.

With names of examples, such as `... -m benchmarks.example_pictures characters`, only those are taken.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.chromium import ARGUMENTS, find_chromium

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "screenshots" / "examples"
VIEWPORT: ViewportSize = {"width": 1180, "height": 620}
COLOURS = 64
SETTLE_MS = 1500  # Visdom gathers windows for 0.1 s before it draws them, then fits them to their place

# What Python is started with for each picture, in a folder that has the examples.
COMMANDS = {
    "digits_torch": ["digits_torch.py --lr 0.03", "digits_torch.py --lr 0.3"],
    "digits_sklearn": ["digits_sklearn.py"],
    "characters": ["characters.py"],
    "digits_lightning": ["digits_lightning.py"],
    "sums_transformers": ["sums_transformers.py"],
    "notebook": ["-c 'from nbclient.cli import main; main()' notebook.ipynb"],
    "summary_writer": [
        "-m lossboard run -- python summary_writer.py --lr 0.02",
        "-m lossboard run -- python summary_writer.py --lr 0.1",
    ],
}


def main(names: list[str]) -> int:
    """Take what is named, or everything; the exit code."""
    if unknown := set(names) - set(COMMANDS):
        print(f"unknown: {', '.join(sorted(unknown))}; the names are {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        for name in names or COMMANDS:
            with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder)) as board:
                board.wait_for_visdom()
                train(board, COMMANDS[name])
                take(browser, board, name)
        browser.close()
    return 0


def train(board: BoardProcess, commands: list[str]) -> None:
    """Run the scripts of an example to their ends."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "LOSSBOARD_URL": board.url, "LOSSBOARD_DIR": folder, "PYTHONPATH": str(ROOT)}
        shutil.copytree(ROOT / "examples", folder, dirs_exist_ok=True)
        for command in commands:
            subprocess.run([sys.executable, *shlex.split(command)], check=True, cwd=folder, env=environment)
    wait_for(lambda: all(run["status"] == "finished" for run in board.get("/api/runs")["items"]), "the end of the runs")


def take(browser: Browser, board: BoardProcess, name: str) -> None:
    """One picture of the page with all windows drawn, and its list of runs."""
    page = browser.new_page(viewport=VIEWPORT, device_scale_factor=1)
    page.goto(board.url)
    page.get_by_role("tab", name="Runs").click()
    frame = page.frame_locator("iframe")
    windows = len(board.get("/api/board")["windows"])
    frame.locator(".js-plotly-plot .scatterlayer").nth(windows - 1).wait_for()
    page.wait_for_timeout(SETTLE_MS)
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path)
    page.close()
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
