"""`lossboard sync`, and the board that looks after what was left behind in its own folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.harness.boards import BoardProcess, running, wait_for

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, lossboard
run = lossboard.run("killed", url="http://127.0.0.1:9")
for i in range(1000):
    run.log(loss=i)
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_behind(folder: Path) -> str:
    """The id of a run whose script was killed before it saw a board."""
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    return done.stdout.strip()


def sync(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "sync", *options]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def losses(board: BoardProcess, run_id: str) -> list[Any]:
    answer = board.client.get(f"/api/runs/{run_id}/points")
    return answer.json()["metrics"].get("loss", []) if answer.status_code == 200 else []


def test_sync_says_what_became_of_each_run(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    done = sync(LOSSBOARD_DIR=str(tmp_path), LOSSBOARD_URL=board.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"killed ({run_id}) has arrived at {board.url}.\n"
    assert losses(board, run_id) == list(range(1000))
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert (done.returncode, done.stdout) == (0, f"Nothing was left behind in {tmp_path}.\n")


def test_a_result_that_no_board_takes_keeps_no_journal(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    (tmp_path / "journals" / run_id / "ending.json").write_text('{"status": "stopped", "result": {"p": [1]}}')
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert f"killed ({run_id}) has arrived at {board.url}, but the board refused a part of this run" in done.stdout
    assert (board.get(f"/api/runs/{run_id}")["status"], losses(board, run_id)) == ("stopped", list(range(1000)))
    assert list((tmp_path / "journals").iterdir()) == []


def test_sync_without_a_board_is_a_sentence(tmp_path: Path) -> None:
    leave_behind(tmp_path)
    done = sync("--data-dir", str(tmp_path), "--url", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("lossboard: No board answers at http://127.0.0.1:9")
    assert len(list((tmp_path / "journals").iterdir())) == 1
    assert "send something like http://" in sync("--data-dir", str(tmp_path), "--url", "nonsense").stderr


def test_sync_of_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    done = sync("--data-dir", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"lossboard: There is no folder {tmp_path / 'nowhere'}.")


def test_a_first_record_that_was_begun_and_never_written_holds_nothing_up(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    (file,) = (tmp_path / "journals" / run_id).glob("*.points")
    head, newline, records = file.read_bytes().partition(b"\n")
    file.write_bytes(head + newline + bytes(16) + records[16:])
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert f"killed ({run_id}) has arrived" in done.stdout
    assert losses(board, run_id) == [None, *range(1, 1000)]


def test_a_damaged_journal_stays_and_is_named(board: BoardProcess, tmp_path: Path) -> None:
    damaged, sound = leave_behind(tmp_path), leave_behind(tmp_path)
    (file,) = (tmp_path / "journals" / damaged).glob("*.points")
    file.write_bytes(b"nonsense\n" + bytes(100))
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"killed ({damaged}) stays here: a file in" in done.stdout
    assert file.exists()
    assert losses(board, sound) == list(range(1000))


def test_a_journal_whose_beginning_another_board_has_stays(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    journal = tmp_path / "journals" / run_id
    first = next(journal.glob("*.points"))
    first.write_bytes(first.read_bytes().replace(b'"seq": 0', b'"seq": 7', 1))
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert done.returncode == 0
    assert f"killed ({run_id}) stays here: 404" in done.stdout
    assert journal.exists()


def test_a_run_deleted_meanwhile_leaves_no_journal(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    board.client.post("/api/runs", json={"method": "external", "id": run_id})
    board.client.delete(f"/api/runs/{run_id}")
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert done.stdout == f"killed ({run_id}) is given up: 410 The run {run_id} was deleted.\n"
    assert list((tmp_path / "journals").iterdir()) == []


def test_a_board_collects_what_lies_in_its_folder(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path / "data")
    board = new_board().start()
    wait_for(lambda: len(losses(board, run_id)) == 1000)
    later = leave_behind(tmp_path / "data")
    wait_for(lambda: len(losses(board, later)) == 1000)
    wait_for(lambda: list((tmp_path / "data" / "journals").iterdir()) == [])


def test_a_killed_worker_leaves_no_point_behind(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    """What it had in its journal is read before its run is shown as failed."""
    board = new_board().start()
    run = board.run("gd", epochs=10_000_000)
    wait_for(lambda: (board.get(f"/api/runs/{run['id']}")["step"] or 0) > 100_000)
    journal = tmp_path / "data" / "journals" / run["id"]
    for process in running("app.workers.fork_server", board.children()):
        if any(str(journal) in opened.path for opened in process.open_files()):
            process.kill()
    ended = board.wait_until(run["id"])
    assert (ended["status"], "killed by signal 9" in ended["error"]) == ("failed", True)
    assert not journal.exists()
    points = board.get(f"/api/runs/{run['id']}/points", max_points=2)
    assert points["step"] == [0, points["total"] - 1]
    assert psutil.pid_exists(board.process.pid)
