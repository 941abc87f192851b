"""What the whole road costs a run, and what it carries: `uv run python -m benchmarks.road`.

gd and torch through POST /api/runs, with the page open in Chromium, against the same mathematics in a bare loop in a
process of its own, in turns, medians; that every point came back to the last bit; then how many points a second ingest
acknowledges, which is when they are on disk, and in how many bytes.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

import lossboard
from app.storage.database import DATABASE_FILE
from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess
from tests.harness.chromium import ARGUMENTS, find_chromium

EPOCHS = {"gd": 1_000_000, "torch": 60_000}
GOALS = {"gd": 1.3, "torch": 1.02}
# From a profile of 60,000 epochs on 2 cores: a step as the bare loop's to 0.1 %, the sender's thread and the start and
# end about 1 % each, packing 0.4 %; meanwhile the board and Visdom used 1.9 s of processor time in a run of 11 s.
LIMITED_BY = {
    "torch": "A step of the trainer takes as long as one of the bare loop. Added are the sender's thread, the start and"
    " the end of the run, which the bare loop's time leaves out, and the packing of points for the journal; and with"
    " two cores the board, Visdom and an open page take part of them, before the worker, whose priority is lower."
}
TRIES = 3
POINTS, AT_ONCE = 5_000_000, 170_000


def main() -> list[Figure]:
    """Print the ratios, with a page open on the same cores and without, and how fast points come in."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder), LOSSBOARD_PRELOAD_TORCH="true") as board:
        board.wait_for_visdom()
        board.wait_until(board.run("torch")["id"])
        figures = []
        for page, where in ((an_open_page(board), "with an open page"), (contextlib.nullcontext(), "without a page")):
            with page:
                for method, epochs in EPOCHS.items():
                    figures += show(compare(board, method, epochs, where))
        return figures + show(ingest(board, Path(folder)))


@contextlib.contextmanager
def an_open_page(board: BoardProcess) -> Iterator[None]:
    """The board's page in a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        browser.new_page().goto(board.url)
        yield
        browser.close()


def compare(board: BoardProcess, method: str, epochs: int, where: str) -> Iterator[Figure]:
    """The run on the board against the bare loop, in turns."""
    ratios, own = [], []
    for _ in range(TRIES):
        command = [sys.executable, "-m", "benchmarks.textbook", method, str(epochs)]
        printed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        bare_wall, bare_own = map(float, printed.split())
        run = board.run(method, epochs=epochs)
        own.append(processor_time(board, run["id"]) / bare_own)
        run = board.get(f"/api/runs/{run['id']}")
        assert (run["status"], run["step"]) == ("finished", epochs - 1), run
        began, ended = (datetime.fromisoformat(run[key]) for key in ("started_at", "ended_at"))
        ratios.append((ended - began).total_seconds() / bare_wall)
    note = ", ".join(f"{ratio:.2f}" for ratio in ratios) + f"; its processor time {statistics.median(own):.2f} ×"
    name = f"{method}, {epochs:,} epochs through the board, against the bare loop, {where}"
    limited_by = LIMITED_BY.get(method, "")
    yield Figure(name, statistics.median(ratios), "×", at_most=GOALS[method], note=note, limited_by=limited_by)
    if method == "gd":
        check_every_bit(board, run["id"], epochs)


def processor_time(board: BoardProcess, run_id: str) -> float:
    """Seconds of a processor that a run's worker has used until it ended, all its threads together.

    On a machine that others use this says more than the time that passed.
    """
    used: dict[int, float] = {}
    before = {process.pid for process in board.children()}
    while not board.get(f"/api/runs/{run_id}")["ended_at"]:
        for process in board.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                used[process.pid] = times.user + times.system
        time.sleep(0.05)
    return sum(seconds for pid, seconds in used.items() if pid not in before or not psutil.pid_exists(pid))


def check_every_bit(board: BoardProcess, run_id: str, epochs: int) -> None:
    """All points came back: in order, once, and as the trainer made them."""
    points = board.get(f"/api/runs/{run_id}/points", max_points=1_000_000)
    w, expected = 0.0, []
    params = board.get(f"/api/runs/{run_id}")["params"]
    w = params["w0"]
    for _ in range(epochs):
        gradient = 0.0
        for x, y in ((1.0, 2.0), (2.0, 4.0), (3.0, 6.0)):
            gradient += 2 * x * (x * w - y)
        w -= params["lr"] * (gradient / 3)
        expected.append(w)
    assert points["step"] == list(range(epochs))
    assert points["metrics"]["w"] == expected
    print(f"    all {epochs:,} points came back to the last bit, in order, once")


def ingest(board: BoardProcess, folder: Path) -> Iterator[Figure]:
    """Points a second from the first post to the last acknowledgement, and what they take on disk."""
    before = size_on_disk(folder)
    connection = lossboard.Connection(board.url)
    run = connection.post("/api/runs", b'{"method": "external"}')["id"]
    rows = np.random.default_rng(1).random((POINTS, 3))
    rows[:, 0] = np.arange(1, POINTS + 1)
    rates = []
    for begin in range(0, POINTS, 10 * AT_ONCE):
        began = time.perf_counter()
        for seq in range(begin, min(begin + 10 * AT_ONCE, POINTS), AT_ONCE):
            head = json.dumps({"seq": seq, "metrics": ["w", "loss"]}).encode() + b"\n"
            body = head + rows[seq : seq + AT_ONCE].tobytes()
            accepted = connection.post(f"/api/runs/{run}/points", body, lossboard.CONTENT_TYPE)["accepted"]
        rates.append((accepted - begin) / (time.perf_counter() - began))
    assert accepted == POINTS
    connection.close()
    yield Figure("points a second, acknowledged and on disk", statistics.median(rates) / 1e6, "million", at_least=1)
    kept = (size_on_disk(folder) - before) / POINTS
    yield Figure("a point and metric on the way", struct.calcsize("<3d") / 2, "bytes", at_most=20)
    yield Figure("a point and metric on disk, with the log", kept / 2, "bytes", at_most=20)


def size_on_disk(folder: Path) -> int:
    """Bytes of the database and its write-ahead log."""
    return sum(path.stat().st_size for path in folder.glob(f"{DATABASE_FILE}*"))


if __name__ == "__main__":
    main()
