"""The whole API under random requests, sound and broken: no 5xx, and no answer that /docs does not announce."""

from __future__ import annotations

from pathlib import Path

from tests.harness.boards import BoardProcess
from tests.harness.fuzzing import fuzz

CASES = 12  # of each operation and kind; benchmarks/fuzz.py tries more


def test_every_call(tmp_path: Path) -> None:
    with BoardProcess(tmp_path, LOSSBOARD_MAX_RUNNING="1") as board:
        board.wait_for_visdom()
        sent = dict(fuzz(board, CASES))
        assert min(sent.values()) > 0
        assert board.get("/api/runs", limit=1000)["total"] < 1000
        assert board.get("/api/health")["visdom"] == "up"
