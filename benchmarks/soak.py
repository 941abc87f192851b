"""Half an hour of use: `uv run python -m benchmarks.soak`.

Eight runs at a time come and go, six of the board's and two of scripts, while 20 event streams and three pages in
Chromium are open. Memory, descriptors and threads have to stay level: the last third of the time is held against the
one before it. `--minutes 2` takes less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

import lossboard
from benchmarks.figures import Figure, show
from benchmarks.responses import listen
from tests.harness.boards import ENDED, BoardProcess
from tests.harness.chromium import ARGUMENTS, find_chromium, make_context

MINUTES = 30.0
OWN, SCRIPTS, STREAMS, PAGES = 6, 2, 20, 3
METHODS = ("gd", "sgd", "minibatch", "backprop")
EPOCHS, RATE = 150, 20.0  # of a run of the board: some eight seconds
POINTS, EACH = 300, 10  # of a script's run, and how many of them at once
INTERVAL_S = 0.25
SAMPLES_EVERY_S = 2.0


@dataclass(frozen=True)
class Sample:
    """What the board's process holds at one moment."""

    megabytes: float
    descriptors: int
    threads: int


class Runs:
    """Runs that come and go: each that has ended is deleted, and another one started."""

    def __init__(self, board: BoardProcess) -> None:
        self._board = board
        self._own: list[str] = []
        self._scripts: list[tuple[lossboard.Run, int]] = []
        self.gone = 0

    def tend(self) -> None:
        """Delete those that have ended, log what scripts have, and start what is missing."""
        for run_id in self._own.copy():
            if self._board.get(f"/api/runs/{run_id}")["status"] in ENDED:
                self._own.remove(run_id)
                self._delete(run_id)
        scripts, self._scripts = self._scripts, []
        for run, count in scripts:
            for number in range(count, count + EACH):
                run.log(loss=1 / (1 + number), w=2.0)
            if count + EACH < POINTS:
                self._scripts.append((run, count + EACH))
            else:
                run.finish()
                self._delete(run.id)
        while len(self._own) < OWN:
            method = METHODS[(self.gone + len(self._own)) % len(METHODS)]
            self._own.append(self._board.run(method, epochs=EPOCHS, steps_per_second=RATE)["id"])
        while len(self._scripts) < SCRIPTS:
            self._scripts.append((lossboard.run("a script's", url=self._board.url), 0))

    def end(self) -> None:
        """End what scripts still have, while the board is there to hear it."""
        for run, _ in self._scripts:
            run.finish()

    def _delete(self, run_id: str) -> None:
        self._board.client.delete(f"/api/runs/{run_id}")
        self.gone += 1


def main(minutes: float = 2.0) -> list[Figure]:
    """Print how memory, descriptors and threads went."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder) / "board") as board:
        os.environ["LOSSBOARD_DIR"] = str(Path(folder) / "scripts")
        board.wait_for_visdom()
        process = psutil.Process(board.process.pid)
        stop = listen(board.url, STREAMS)
        runs = Runs(board)
        end = time.monotonic() + 60 * minutes
        with open_pages(board.url):
            due = time.monotonic()
            while time.monotonic() < end:
                runs.tend()
                if time.monotonic() >= due:
                    samples.append(sample(process))
                    due += SAMPLES_EVERY_S
                time.sleep(INTERVAL_S)
        runs.end()
        stop.set()
    return show(figures(samples, f"of {runs.gone} runs in {minutes:g} minutes"))


@contextmanager
def open_pages(url: str) -> Iterator[None]:
    """The page, several times, each in a window of its own."""
    with sync_playwright() as playwright, ExitStack() as closing:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        closing.callback(browser.close)
        for _ in range(PAGES):
            page = make_context(browser).new_page()
            page.goto(url)
            page.locator("iframe.ready").wait_for()
        yield


def sample(process: psutil.Process) -> Sample:
    """What a process holds now."""
    with process.oneshot():
        return Sample(process.memory_info().rss / 1e6, process.num_fds(), process.num_threads())


def figures(samples: list[Sample], note: str) -> Iterator[Figure]:
    """The median of each in the last third of the time, and how much it grew since the second."""
    third = len(samples) // 3
    for name, unit, at_most in (("megabytes", "MB", 10.0), ("descriptors", "", 3.0), ("threads", "", 1.0)):
        held = [float(getattr(one, name)) for one in samples]
        before, last = statistics.median(held[third : 2 * third]), statistics.median(held[2 * third :])
        yield Figure(f"{name} in the last third", last, unit, note=f"{note}; at most {max(held):.0f}")
        yield Figure(f"{name}: growth since the second third", last - before, unit, at_most=at_most)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    return parser.parse_args()


if __name__ == "__main__":
    main(_arguments().minutes)
