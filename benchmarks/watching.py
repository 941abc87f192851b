"""How fast event files are read, and how soon shown: `uv run --group bench python -m benchmarks.watching`.

A file as TensorBoard's writers make it, two tags in turns, a scalar an event: read by the reader of `lossboard watch`
and by TensorBoard's, then brought to a board by the command; and a file that grows by a step ten times a second.
"""

from __future__ import annotations

import contextlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.figures import Figure, quantile, show
from benchmarks.tools.lags import Looking
from lossboard_extras.event_file import EventFile
from lossboard_extras.event_writer import framed
from lossboard_extras.protobuf import field
from tests.harness.boards import BoardProcess, wait_for

SCALARS = 1_000_000
TRIES = 3
STEPS, EVERY_S = 100, 0.1
FILE = "events.out.tfevents.1.benchmark"


def main() -> list[Figure]:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder, BoardProcess(Path(folder) / "board") as board:
        path = Path(folder) / "finished" / FILE
        path.parent.mkdir()
        path.write_bytes(b"".join(event(step, tag) for step in range(SCALARS // 2) for tag in ("loss", "accuracy")))
        figures = show(reading(path)) + show(bringing(board, path.parent))
        return figures + show(following(board, Path(folder) / "growing"))


def event(step: int, tag: str) -> bytes:
    """The record of one scalar."""
    value = field(1, tag.encode()) + b"\x15" + struct.pack("<f", 1 / (1 + step))
    return framed(b"\x09" + struct.pack("<d", 1e9 + step) + field(2, step) + field(5, field(1, value)))


def reading(path: Path) -> Iterator[Figure]:
    """The two readers, in turns; by the time of the processor, which others may use as well."""
    ours, theirs = [], []
    for _ in range(TRIES):
        ours.append(seconds_of_ours(path))
        began = time.process_time()
        accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
        accumulator.Reload()
        theirs.append(time.process_time() - began)
        assert len(accumulator.Scalars("loss")) == SCALARS // 2
    rate = SCALARS / statistics.median(ours) / 1e6
    yield Figure("scalars read from an event file in a second of one core", rate, "million", at_least=1)
    times = statistics.median(theirs) / statistics.median(ours)
    yield Figure("the same by TensorBoard's EventAccumulator, in so many times as long", times, "×")


def seconds_of_ours(path: Path) -> float:
    """How long EventFile takes for all of a file."""
    began = time.process_time()
    file, count = EventFile(path), 0
    while points := file.read():
        count += sum(len(point[2]) for point in points)
    assert count == SCALARS
    return time.process_time() - began


def bringing(board: BoardProcess, folder: Path) -> Iterator[Figure]:
    """The whole command, from its start until the board has everything on disk."""
    began = time.perf_counter()
    with watching(board, folder, "--once") as process:
        process.wait()
    seconds = time.perf_counter() - began
    [run] = [run for run in board.get("/api/runs")["items"] if run["name"] == "finished"]
    assert run["step"] == SCALARS // 2 - 1
    note = f"{seconds:.1f} s with its start, for {SCALARS:,}"
    yield Figure("scalars a second by `lossboard watch --once`", SCALARS / seconds / 1e6, "million", note=note)


def following(board: BoardProcess, folder: Path) -> Iterator[Figure]:
    """From a step being written into a file until the API has it."""
    folder.mkdir()
    with watching(board, folder), (folder / FILE).open("ab") as file:
        file.write(event(0, "loss"))
        file.flush()
        [run] = wait_for(lambda: [run for run in board.get("/api/runs")["items"] if run["name"] == "growing"], "a run")
        looking = Looking("the API", lambda: board.get(f"/api/runs/{run['id']}")["step"] or 0)
        written = [time.time()]
        for step in range(1, STEPS):
            time.sleep(EVERY_S)
            written.append(time.time())
            file.write(event(step, "loss"))
            file.flush()
        time.sleep(1)
        lag = looking.stop(np.array(written)).seconds[1:]
    assert len(lag) == STEPS - 1
    name = "from a step in an event file until the board has it on disk"
    yield Figure(f"{name}, median", 1000 * quantile(lag, 0.5), "ms", at_most=65)
    yield Figure(f"{name}, 99 %", 1000 * quantile(lag, 0.99), "ms")


@contextlib.contextmanager
def watching(board: BoardProcess, folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`lossboard watch` of a folder, ended at last."""
    command = [sys.executable, "-m", "app.cli", "watch", str(folder), "--url", board.url, *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
