"""What the tests of what is refused share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.harness.boards import BoardProcess
from tests.harness.calls import external


@pytest.fixture(scope="module")
def strict_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    """A board that has shown no traceback when all is over, and whose runs can all still be read."""
    errors = tmp_path_factory.mktemp("errors") / "stderr"
    with errors.open("w") as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        running = BoardProcess(tmp_path_factory.mktemp("board")).start()
        os.dup2(kept, 2)
        os.close(kept)
    with running.client.stream("GET", "/api/events") as stream:
        yield running
        newest = external(running)
        assert any(newest in line for line in stream.iter_lines())
    everything = running.get("/api/runs", limit=1000)
    assert len(everything["items"]) == everything["total"]
    running.stop()
    said = errors.read_text()
    assert "Traceback" not in said
    assert "ERROR" not in said
