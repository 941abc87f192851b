"""The executor that forks workers from a fork server, with real processes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from app.workers.executor import Job
from app.workers.fork_servers import Patience
from app.workers.local import ForkingExecutor
from app.workers.program import start_module
from tests.harness.boards import PATIENCE, alive, running, suspend
from tests.harness.waiting import until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked where processes can be"),
]


def fork_servers() -> list[psutil.Process]:
    return running("app.workers.fork_server", psutil.Process().children())


async def fork_server() -> psutil.Process:
    """The only one. Linux shows its command line a moment after it has started."""
    await until(fork_servers)
    (found,) = fork_servers()
    return found


async def workers_of(parent: psutil.Process, count: int) -> list[psutil.Process]:
    await until(lambda: len(alive(parent.children())) == count)
    return alive(parent.children())


async def told_of(executor: ForkingExecutor, parent: psutil.Process, count: int) -> list[psutil.Process]:
    """The workers of a fork server, once it has told of them: what it did not tell of when it ends, another starts."""
    workers = await workers_of(parent, count)
    await until(lambda: not any(server.jobs for server in executor._numpy._all))
    return workers


class _Busy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def busy() -> Iterator[str]:
    """The address of a board that cannot read its data just now: workers ask again, and stay."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Ends(asyncio.Queue[tuple[str, int]]):
    """The ends of workers that an executor has told."""

    async def next(self) -> tuple[str, int]:
        return await asyncio.wait_for(self.get(), PATIENCE)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def import_checks() -> int:
    """How many a fork server may miss while it imports, where it does not hang: more than it needs anywhere."""
    return 1000


@pytest.fixture
async def executor(ends: Ends, import_checks: int) -> AsyncIterator[ForkingExecutor]:
    """One that soon finds that a fork server hangs; in the end it has left no process."""
    patience = Patience(interval_s=0.2, checks=10, import_checks=import_checks)
    executor = ForkingExecutor(preload_torch=False, patience=patience)
    others = psutil.Process().children(recursive=True)  # the board of other tests, say
    await executor.start(lambda run_id, code: ends.put_nowait((run_id, code)))
    before = psutil.Process().children(recursive=True)
    yield executor
    before += psutil.Process().children(recursive=True)
    await executor.stop()
    assert not fork_servers()
    await until(lambda: not set(alive(before)) - set(others))


@pytest.fixture
def job(busy: str, tmp_path: Path) -> Callable[[str], Job]:
    """Makes the job of a run."""
    return lambda run_id: Job(run_id, "gd", {}, busy, str(tmp_path))


type JobMaker = Callable[[str], Job]


async def test_runs_that_all_find_no_fork_server_start_one(
    executor: ForkingExecutor, job: JobMaker, ends: Ends
) -> None:
    """As after a kill of the fork server, when several queued runs start at once. Of several fork servers, only the
    last would get commands and end with the board."""
    await executor.run(job("first"))
    killed = await fork_server()
    await told_of(executor, killed, 1)
    killed.kill()
    assert await ends.next() == ("first", -signal.SIGKILL)
    await asyncio.gather(*(executor.run(job(run_id)) for run_id in "abcdefgh"))
    assert await fork_server()
    for run_id in "abcdefgh":
        await executor.kill(run_id)
    assert {await ends.next() for _ in "abcdefgh"} == {(run_id, -signal.SIGKILL) for run_id in "abcdefgh"}


async def test_one_that_hangs_is_replaced_and_its_workers_go_on(
    executor: ForkingExecutor, job: JobMaker, ends: Ends
) -> None:
    await executor.run(job("before"))
    hung = await fork_server()
    (worker,) = await told_of(executor, hung, 1)
    suspend(hung)
    await executor.run(job("after"))
    await until(lambda: len(fork_servers()) == 2)
    (new,) = set(fork_servers()) - {hung}
    await workers_of(new, 1)
    hung.resume()
    worker.kill()
    assert await ends.next() == ("before", -signal.SIGKILL)
    await until(lambda: fork_servers() == [new])
    await executor.kill("after")
    assert await ends.next() == ("after", -signal.SIGKILL)


async def test_the_ends_of_workers_whose_fork_server_hangs_are_noticed(
    executor: ForkingExecutor, job: JobMaker, ends: Ends
) -> None:
    for run_id in ("killed", "stopped"):
        await executor.run(job(run_id))
    hung = await fork_server()
    first, second = sorted(await told_of(executor, hung, 2), key=psutil.Process.create_time)
    suspend(hung)
    await until(lambda: len(fork_servers()) == 2)
    first.kill()
    assert await ends.next() == ("killed", -signal.SIGKILL)
    assert alive([hung, second]) == [hung, second]
    await executor.kill("stopped")
    assert await ends.next() == ("stopped", -signal.SIGKILL)
    await until(lambda: not alive([hung, second]))


async def test_what_was_killed_while_it_was_not_known_to_hang_ends(
    executor: ForkingExecutor, job: JobMaker, ends: Ends
) -> None:
    await executor.run(job("started"))
    hung = await fork_server()
    (worker,) = await told_of(executor, hung, 1)
    suspend(hung)
    await executor.run(job("unstarted"))
    for run_id in ("started", "unstarted"):
        await executor.kill(run_id)
    assert {await ends.next(), await ends.next()} == {
        ("started", -signal.SIGKILL),
        ("unstarted", -signal.SIGKILL),
    }
    await until(lambda: not alive([hung, worker]))
    await executor.run(job("next"))
    new = await fork_server()
    await until(new.children)
    assert len(new.children()) == 1  # it was not given what was to be killed: that would have been started first


@pytest.mark.parametrize("import_checks", [5])
async def test_one_that_hangs_while_it_imports_is_replaced(
    executor: ForkingExecutor, job: JobMaker, ends: Ends, import_checks: int
) -> None:
    hung = await fork_server()
    suspend(hung)
    await executor.run(job("waiting"))
    await until(lambda: not alive([hung]))
    # On a busy machine the next one may need more checks as well, and the one after it gets twice as many.
    await until(lambda: len(psutil.Process().children(recursive=True)) > len(fork_servers()) > 0)
    await executor.kill("waiting")
    assert await ends.next() == ("waiting", -signal.SIGKILL)


async def test_what_it_had_not_started_when_it_was_killed_is_given_to_another_once(
    executor: ForkingExecutor, job: JobMaker, ends: Ends
) -> None:
    await executor.run(job("before"))
    first = await fork_server()
    await told_of(executor, first, 1)
    suspend(first)
    for run_id in ("a", "b"):
        await executor.run(job(run_id))
    await executor.kill("b")
    first.kill()
    assert {await ends.next(), await ends.next()} == {("before", -signal.SIGKILL), ("b", -signal.SIGKILL)}
    second = await fork_server()
    await told_of(executor, second, 1)
    suspend(second)
    await executor.run(job("c"))
    second.kill()
    assert await ends.next() == ("a", -signal.SIGKILL)
    third = await fork_server()
    suspend(third)  # while it imports
    third.kill()
    assert await ends.next() == ("c", -signal.SIGKILL)


async def test_one_that_was_not_known_to_hang_ends_with_its_board(executor: ForkingExecutor, job: JobMaker) -> None:
    await executor.run(job("started"))
    hung = await fork_server()
    await told_of(executor, hung, 1)
    suspend(hung)
    # The fixture ends the executor, and sees that nothing is left.


async def test_what_is_to_be_killed_by_the_time_it_is_read_is_not_started(job: JobMaker) -> None:
    """As after a suspension, when another fork server has the job."""
    server = await start_module("app.workers.fork_server", str(os.getpid()))
    assert server.stdin is not None
    server.stdin.write(json.dumps({"run": dataclasses.asdict(job("a"))}).encode() + b'\n{"kill": "a"}\n')
    server.stdin.close()
    said, _ = await server.communicate()
    assert [json.loads(line) for line in said.splitlines()] == [{"ready": True}, {"ended": "a", "code": -9}]
