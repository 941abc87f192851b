"""How soon the table of runs is there: `uv run python -m benchmarks.table`.

Ten thousand runs with ten parameters and eight metrics each; every call is for a page of a hundred.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from app.storage.database import DATABASE_FILE, Database
from app.storage.records import RunRecord
from app.storage.store import Store
from benchmarks.figures import Figure, show
from tests.harness.boards import BoardProcess

RUNS, AT_ONCE, CALLS, PAGE = 10_000, 500, 50, 100
METRICS = ("loss", "val_loss", "accuracy", "val/accuracy", "lr", "epoch", "grad_norm", "time")
QUERIES = {
    "newest first": {"sort": "-pinned,-number"},
    "by best loss": {"sort": "-pinned,best.loss"},
    "by name": {"sort": "-pinned,name"},
    "lr<0.1": {"search": "lr<0.1"},
    "words, by accuracy": {"search": "rates 42", "sort": "-last.accuracy"},
    "five terms, three columns": {
        "search": "optimizer=adam status:failed -tag:old val_loss>=0.3 sweep",
        "sort": "-pinned,best.val/accuracy,name",
    },
}


def main() -> list[Figure]:
    """Print how soon each page was there, and what the records take of memory."""
    return show(figures())


def figures() -> Iterator[Figure]:
    """All of them, on one board."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(Path(folder)))
        with BoardProcess(Path(folder)) as board:
            board.get("/api/runs/columns")  # returns when all records are read
            for what, query in QUERIES.items():
                times = sorted(seconds_of(board, "/api/runs", **query, limit=PAGE) for _ in range(CALLS))
                note = f"at most {times[-1] * 1e3:.0f} ms in {CALLS} calls"
                yield Figure(f"a page: {what}", statistics.median(times) * 1e3, "ms", at_most=50, note=note)
            columns = statistics.median(seconds_of(board, "/api/runs/columns") for _ in range(CALLS))
            yield Figure("which columns there are", columns * 1e3, "ms")
            yield Figure("memory of the app", psutil.Process(board.process.pid).memory_info().rss / 1e6, "MB")


def seconds_of(board: BoardProcess, path: str, **query: str | int) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    board.get(path, **query)
    return time.perf_counter() - began


async def fill(folder: Path) -> None:
    """Store the runs, without points."""
    store = Store(Database(folder / DATABASE_FILE))
    records = [record_of(number, random.Random(number)) for number in range(RUNS)]  # noqa: S311
    for begin in range(0, RUNS, AT_ONCE):
        await store.add_runs(records[begin : begin + AT_ONCE])
    store.close()


def record_of(number: int, chance: random.Random) -> RunRecord:
    """A script's run that has ended."""
    last = {metric: chance.random() for metric in METRICS}
    params = {"lr": 10 ** chance.uniform(-5, 0), "optimizer": chance.choice(["adam", "sgd", "lion"]), "seed": number}
    return RunRecord(
        f"{number:032x}",
        f"sweep of rates {number}",
        "external",
        params | {f"p{place}": chance.random() for place in range(7)},
        chance.choice(["finished", "failed", "stopped"]),
        created_at=1e9 + number,
        started_at=1e9 + number,
        ended_at=1e9 + number + chance.uniform(1, 1e4),
        group=f"group {number // 50}",
        tags=chance.sample(["baseline", "old", "good"], chance.randrange(3)),
        last=last,
        best={metric: [0.9 * value, 1.1 * value] for metric, value in last.items()},
        step=chance.randrange(100_000),
    )


if __name__ == "__main__":
    main()
