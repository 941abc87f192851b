"""The engine that forks workers from a nursery, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from app.workers.executor import Job
from app.workers.local import ForkingEngine
from tests.harness.boards import running, wait_for


def nurseries() -> list[psutil.Process]:
    return running("app.workers.fork_server", psutil.Process().children())


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked where processes can be")
async def test_runs_that_all_find_the_nursery_gone_start_one(tmp_path: Path) -> None:
    """As when it is killed and the queue moves up: of several, one alone would be told to kill, and ended with the
    board."""
    ended: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    engine = ForkingEngine(preload_torch=False)
    with socket.create_server(("127.0.0.1", 0)) as mute:  # a board that never answers: workers stay
        first, *queued = (
            Job(name, "gd", {}, f"http://127.0.0.1:{mute.getsockname()[1]}", str(tmp_path)) for name in "abcdefghi"
        )
        await engine.start(lambda run_id, code: ended.put_nowait((run_id, code)))
        try:
            await engine.run(first)
            (killed,) = wait_for(nurseries)  # Linux shows its command line a moment after it has started
            killed.kill()
            assert await asyncio.wait_for(ended.get(), 10) == (first.run_id, -signal.SIGKILL)
            await asyncio.gather(*(engine.run(job) for job in queued))
            assert len(wait_for(nurseries)) == 1
            for job in queued:
                await engine.kill(job.run_id)
            gone = {await asyncio.wait_for(ended.get(), 10) for _ in queued}
            assert gone == {(job.run_id, -signal.SIGKILL) for job in queued}
        finally:
            await engine.stop()
    assert not nurseries()
