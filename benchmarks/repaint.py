"""How smoothly the page draws eight long runs over each other: `uv run python -m benchmarks.repaint`.

In a real Chromium, which is headless and draws without a graphics card: a person's browser is quicker. Every redrawing
of a plot is counted, and every task that holds up the page for more than 100 ms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Frame, sync_playwright

from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.chromium import ARGUMENTS, find_chromium, make_context
from tests.harness.pages import BoardPage
from trainers.params import MAX_STEPS

MILLION = 1_000_000
RUNS = 8
SECONDS = 10
WINDOWS = ("Loss", "w", "Cost curve")

# Counts from when it is first run; gives what it has counted since the last time. A plot that Visdom made anew in the
# meantime is found again at the next frame.
COUNT = """() => {
  const counted = window.counted ??= { tasks: [], frames: 0, painted: {} };
  if (!window.counting) {
    window.counting = true;
    new PerformanceObserver((list) => counted.tasks.push(...list.getEntries().map((task) => task.duration)))
      .observe({ entryTypes: ["longtask"] });
    const look = () => {
      counted.frames += 1;
      for (const plot of document.querySelectorAll(".js-plotly-plot")) {
        if (plot.counting || !plot.on) continue;
        plot.counting = true;
        const title = plot.closest(".react-grid-item")?.querySelector(".bar > div.pull-right")?.textContent;
        plot.on("plotly_afterplot", () => { counted.painted[title] = (counted.painted[title] ?? 0) + 1; });
      }
      requestAnimationFrame(look);
    };
    look();
  }
  const since = { ...counted, painted: { ...counted.painted } };
  Object.assign(counted, { tasks: [], frames: 0, painted: {} });
  return since;
}"""


def main() -> list[Figure]:
    """Print what the page does while eight runs train, and when one more is drawn over the longest ones."""
    with (
        tempfile.TemporaryDirectory() as folder,
        BoardProcess(Path(folder), LOSSBOARD_MAX_RUNNING=str(RUNS)) as board,
        sync_playwright() as playwright,
    ):
        board.wait_for_visdom()
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        page = BoardPage(make_context(browser).new_page()).open(board.url)
        frame = page.curves
        runs = [board.run("gd", lr=1e-6 * (number + 1), epochs=MAX_STEPS) for number in range(RUNS)]
        for run in runs:
            board.wait_until(run["id"], "running")
        figures = show(look(frame, "while all eight train at full speed"))
        for run in runs:
            path = f"/api/runs/{run['id']}"
            wait_for(lambda path=path: board.get(path)["step"] >= MILLION, "a million steps")  # type: ignore[misc]
            board.client.post(f"/api/runs/{run['id']}/stop")
            board.wait_until(run["id"])
        board.run("gd", lr=1e-4, epochs=MILLION, steps_per_second=200)
        figures += show(look(frame, "while one run ticks over seven long ones"))
        browser.close()
    return figures


def look(frame: Frame, when: str) -> Iterator[Figure]:
    """What happens on the page in some seconds."""
    frame.evaluate(COUNT)
    frame.page.wait_for_timeout(1000)
    frame.evaluate(COUNT)
    frame.page.wait_for_timeout(1000 * SECONDS)
    seen: dict[str, Any] = frame.evaluate(COUNT)
    for title in WINDOWS:
        times = seen["painted"].get(title, 0) / SECONDS
        yield Figure(f"{title} redrawn {when}", times, "times a second", at_least=8)
    yield Figure(f"frames {when}", seen["frames"] / SECONDS, "a second")
    long = [task for task in seen["tasks"] if task > 100]
    words = f"the longest task {max(seen['tasks'], default=0):.0f} ms, in {SECONDS} s"
    yield Figure(f"tasks over 100 ms {when}", len(long), at_most=0, note=words)


if __name__ == "__main__":
    main()
