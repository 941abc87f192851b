"""The executor that forks workers from a fork server, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from app.workers.executor import Job
from app.workers.local import ForkingExecutor
from tests.harness.boards import PATIENCE, running, wait_for


def fork_servers() -> list[psutil.Process]:
    return running("app.workers.fork_server", psutil.Process().children())


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked where processes can be")
async def test_runs_that_all_find_no_fork_server_start_one(tmp_path: Path) -> None:
    """As after a kill of the fork server, when several queued runs start at once. Of several fork servers, only the
    last would get commands and end with the board."""
    ended: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    executor = ForkingExecutor(preload_torch=False)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a board that never responds: workers stay
        first, *queued = (
            Job(name, "gd", {}, f"http://127.0.0.1:{silent.getsockname()[1]}", str(tmp_path)) for name in "abcdefghi"
        )
        await executor.start(lambda run_id, code: ended.put_nowait((run_id, code)))
        try:
            await executor.run(first)
            (killed,) = wait_for(fork_servers)  # Linux shows its command line a moment after it has started
            killed.kill()
            assert await asyncio.wait_for(ended.get(), PATIENCE) == (first.run_id, -signal.SIGKILL)
            await asyncio.gather(*(executor.run(job) for job in queued))
            assert len(wait_for(fork_servers)) == 1
            for job in queued:
                await executor.kill(job.run_id)
            gone = {await asyncio.wait_for(ended.get(), PATIENCE) for _ in queued}
            assert gone == {(job.run_id, -signal.SIGKILL) for job in queued}
        finally:
            await executor.stop()
    assert not fork_servers()
