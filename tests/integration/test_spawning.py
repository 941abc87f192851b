"""Workers as Windows starts them: a fresh program for each run, here on any system."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.harness.boards import BoardProcess, alive, running, suspend, wait_for


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    with BoardProcess(tmp_path_factory.mktemp("spawning"), LOSSBOARD_WORKERS="spawn") as spawning:
        yield spawning


def workers(board: BoardProcess) -> list[psutil.Process]:
    return running("app.workers.worker", board.children())


def slow_run(board: BoardProcess) -> str:
    """A run that would take hours, under way."""
    run_id: str = board.run(epochs=1_000_000, steps_per_second=20)["id"]
    board.wait_until(run_id, "running")
    return run_id


def test_runs_finish_and_leave_no_process(board: BoardProcess) -> None:
    made = [board.run(lr=lr, epochs=2000)["id"] for lr in (0.01, 0.02, 0.03)]
    for run_id in made:
        assert board.wait_until(run_id)["status"] == "finished"
        assert board.get(f"/api/runs/{run_id}/points")["total"] == 2000
    assert not running("app.workers.fork_server", board.children())
    wait_for(lambda: not workers(board), "the end of every worker")


def test_a_run_is_stopped_killed_or_deleted(board: BoardProcess) -> None:
    stopped, killed, deleted = slow_run(board), slow_run(board), slow_run(board)
    _, second, _ = sorted(workers(board), key=lambda process: process.create_time())
    board.client.post(f"/api/runs/{stopped}/stop")
    assert board.wait_until(stopped)["status"] == "stopped"
    wait_for(lambda: len(workers(board)) == 2, "the end of the stopped run's worker")
    second.kill()
    run = board.wait_until(killed)
    assert run["status"] == "failed"
    assert "signal 9" in run["error"]
    assert board.client.delete(f"/api/runs/{deleted}").status_code == 204
    wait_for(lambda: not workers(board), "the end of the deleted run's worker")


def test_a_worker_that_does_not_listen_is_killed(board: BoardProcess) -> None:
    run_id = slow_run(board)
    (worker,) = workers(board)
    suspend(worker)
    board.client.post(f"/api/runs/{run_id}/stop")
    assert board.wait_until(run_id)["status"] == "stopped"
    assert not alive([worker])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_board(new_board: Callable[..., BoardProcess], end: signal.Signals) -> None:
    board = new_board(LOSSBOARD_WORKERS="spawn").start()
    run_id = slow_run(board)
    board.wait_for_visdom()
    children = board.children()
    assert len(children) == 2
    board.stop(end)
    wait_for(lambda: not alive(children), "the end of every child", 10)
    if end == signal.SIGKILL:
        assert new_board(board.folder).start().get(f"/api/runs/{run_id}")["status"] == "interrupted"
