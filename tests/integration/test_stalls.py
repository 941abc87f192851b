"""A database that stalls while a board runs, starts or ends; and what was asked of scripts, from board to board."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from app.storage.data_dir import claim
from tests.harness.boards import PATIENCE, BoardProcess, wait_for
from tests.harness.scripts import ROOT, Script

GIVE_UP_S = 10.0  # after which a worker leaves what it could not send to its board
HELD = """
import lossboard
run = lossboard.run("held")
print(run.id, flush=True)
while not run.should_stop:
    run.log(loss=1.0)
    run.wait_while_paused()
run.finish()
"""
FULL = """
import asyncio, sys
from pathlib import Path
import numpy as np
from app.errors import UnavailableError
from app.storage.batch import Batch
from app.storage.database import Database
from app.storage.records import RunRecord
from app.storage.store import Store

folder = Path(sys.argv[1])

async def main():
    (folder / "ballast").write_bytes(bytes(2 << 20))
    store = Store(Database(folder / "db"))
    run = RunRecord("1" * 32, "run", "external", {}, "running", 0.0)
    await store.add_run(run)
    for size in (10_000, 1):  # until not even the smallest batch has room
        try:
            while True:
                count = await store.count(run)
                rows = np.random.default_rng(count).random((size, 2))
                await store.append(run, Batch(count, ("loss",), rows))
        except UnavailableError as error:
            print(error)
    for _ in range(2):
        try:
            await store.delete_run(run)
        except UnavailableError as error:
            print(error)
        whole = await store.count(run) == count == sum(map(len, await store.some_batches(run, 0, 10**6)))
        print("whole" if whole else "gone")
        (folder / "ballast").unlink(missing_ok=True)
    store.close()

asyncio.run(main())
"""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """For as long as the block runs another program holds the database."""
    other = sqlite3.connect(folder / "lossboard.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


def test_runs_that_end_while_the_database_is_locked(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    board = new_board(tmp_path, LOSSBOARD_MAX_RUNNING="1").start()
    killed, queued, stopped = board.run("gd", epochs=10_000_000), board.run("gd", epochs=50), board.run("gd")
    ending = board.run("gd", epochs=100, steps_per_second=50)
    wait_for(lambda: (board.get(f"/api/runs/{ending['id']}")["step"] or 0) > 5, "its first points")
    board.wait_until(killed["id"], "running")
    worker = min(board.fork_server().children(), key=lambda process: process.create_time())
    with locked(tmp_path):
        worker.kill()
        assert board.client.post(f"/api/runs/{stopped['id']}/stop").status_code == 202
        refused = board.client.post(f"/api/runs/{ending['id']}/pause")
        assert (refused.status_code, "once it is free" in refused.text) == (503, True)
        time.sleep(GIVE_UP_S + 4)  # the ending one takes 2 s
        assert not board.fork_server().children()
    assert board.wait_until(ending["id"], "finished")["error"] is None
    assert board.get(f"/api/runs/{ending['id']}/points", max_points=2)["total"] == 100
    assert "killed by signal 9" in board.wait_until(killed["id"], "failed")["error"]
    assert board.wait_until(queued["id"], "finished")["step"] == 49
    assert board.wait_until(stopped["id"], "stopped")["started_at"] is None
    assert board.wait_until(board.run("gd", epochs=5)["id"], "finished")["step"] == 4


def test_a_board_ends_while_its_database_is_locked(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    board = new_board(tmp_path).start()
    runs = [board.run("gd", epochs=10_000_000) for _ in range(10)]
    with locked(tmp_path):
        began = time.monotonic()
        board.stop()
        assert time.monotonic() - began < GIVE_UP_S
    again = new_board(tmp_path).start()
    assert {again.get(f"/api/runs/{run['id']}")["status"] for run in runs} == {"interrupted"}


@contextmanager
def starting(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A board that starts on a folder whose database is locked, and has said so."""
    command = [sys.executable, "-m", "app.cli", "--no-browser", "--port", "0", "--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as board:
        try:
            assert board.stderr is not None
            assert "waiting until it is free, Ctrl-C ends this." in board.stderr.readline()
            yield board
        finally:
            board.kill()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_board_that_waits_for_its_database_can_be_ended(tmp_path: Path, sig: signal.Signals) -> None:
    claim(tmp_path).release()
    with locked(tmp_path), starting(tmp_path) as board:
        board.send_signal(sig)
        out, err = board.communicate(timeout=PATIENCE)
        assert board.returncode != 0
        assert (out, "Traceback" in err) == ("", False)


def test_a_board_that_waits_for_its_database_starts_when_it_is_free(tmp_path: Path) -> None:
    claim(tmp_path).release()
    with ExitStack() as lock:
        lock.enter_context(locked(tmp_path))
        with starting(tmp_path) as board:
            lock.close()
            assert board.stdout is not None
            assert "Lossboard is at" in board.stdout.readline()
            board.terminate()
            assert board.wait(PATIENCE) is not None


def state(board: BoardProcess, run_id: str) -> tuple[str, int]:
    """A run's status and step."""
    run = board.get(f"/api/runs/{run_id}")
    return run["status"], run["step"]


def is_at(board: BoardProcess, run_id: str, status: str, step: int) -> bool:
    """Whether a run has come so far."""
    return state(board, run_id) == (status, step)


def has_points(board: BoardProcess, run_id: str) -> bool:
    """Whether the first points of a script's run have come."""
    found = board.client.get(f"/api/runs/{run_id}")
    return found.status_code == 200 and (found.json()["step"] or 0) > 0


def test_what_was_asked_of_a_script_is_still_asked_by_the_next_board(
    new_board: Callable[..., BoardProcess], tmp_path: Path
) -> None:
    board = new_board(tmp_path).start()
    port = board.url.rpartition(":")[2]
    script = Script(HELD, board.url, tmp_path)
    try:
        wait_for(lambda: has_points(board, script.run_id), "its first points")
        board.client.post(f"/api/runs/{script.run_id}/pause")
        held_at = wait_for(lambda: steady(board, script.run_id), "the hold")
        for sig in (signal.SIGTERM, signal.SIGKILL):
            board.client.post(f"/api/runs/{script.run_id}/step", json={"steps": 2})
            held_at += 2
            wait_for(partial(is_at, board, script.run_id, "paused", held_at), "the steps")
            board.stop(sig)
            board.start("--port", port)
            wait_for(lambda: state(board, script.run_id)[0] == "paused", "its return")
            assert steady(board, script.run_id) == held_at
        board.client.post(f"/api/runs/{script.run_id}/stop")
        assert script.process.wait(PATIENCE) == 0
        assert state(board, script.run_id) == ("stopped", held_at)
    finally:
        script.kill()


def steady(board: BoardProcess, run_id: str) -> int:
    """The step of a run that takes none for a second; 0 if it does."""
    before = state(board, run_id)[1]
    time.sleep(1)
    return before if state(board, run_id)[1] == before else 0


def test_a_stop_that_a_script_has_not_heard_reaches_it(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    board = new_board(tmp_path).start()
    port = board.url.rpartition(":")[2]
    script = Script(HELD, board.url, tmp_path)
    try:
        wait_for(lambda: has_points(board, script.run_id), "its first points")
        script.process.send_signal(signal.SIGSTOP)
        board.client.post(f"/api/runs/{script.run_id}/stop")
        board.stop(signal.SIGKILL)
        board.start("--port", port)
        assert state(board, script.run_id)[0] == "interrupted"
        script.process.send_signal(signal.SIGCONT)
        assert script.process.wait(PATIENCE) == 0
        assert state(board, script.run_id)[0] == "stopped"
    finally:
        script.kill()


def test_to_delete_on_a_full_disk_says_what_it_takes_and_loses_nothing(tmp_path: Path) -> None:
    mounted = f'mount -t tmpfs -o size=12m tmpfs {tmp_path} && exec "$@"'
    apart = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"]
    if not shutil.which("unshare") or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    command = [*apart, sys.executable, "-W", "ignore", "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    _, stored, deleted, *then = done.stdout.splitlines()
    assert "disk is full" in stored
    assert "to delete takes a little room, too. Nothing was deleted" in deleted
    assert then == ["whole", "gone"], done.stderr
