"""`lossboard sync`, and the board that looks after what was left behind in its own folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

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


def as_older_clients_wrote(journal: Path) -> Path:
    """Turn a journal into one of an older client, in one file, whose records have no numbers; that file."""
    (file,) = journal.glob("*.points")
    file.unlink()
    records = np.stack([np.arange(1000.0), np.arange(1000.0)], axis=1)
    records[0, 0] = -0.0
    older = journal / "000000000000000.points"
    older.write_bytes(b'{"version": 2, "seq": 0, "metrics": ["loss"]}\n' + records.tobytes() + bytes(1600))
    return older


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


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such terminal")
def test_in_a_terminal_sync_has_a_progress_bar(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    command = [sys.executable, "-m", "app.cli", "sync", "--data-dir", str(tmp_path), "--url", board.url]
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env={**os.environ, "COLUMNS": "200"})
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # how a terminal ends whose process has ended
            while part := terminal.read(4096):
                shown += part
    assert process.wait() == 0
    assert b"Journals" in shown
    assert f"({run_id}) has arrived at" in shown.decode()


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
    file = as_older_clients_wrote(tmp_path / "journals" / run_id)
    head, newline, records = file.read_bytes().partition(b"\n")
    file.write_bytes(head + newline + bytes(16) + records[16:])
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert f"killed ({run_id}) has arrived" in done.stdout
    assert losses(board, run_id) == list(range(1, 1000))
    assert board.get(f"/api/runs/{run_id}")["missing"] == [[0, 1]]


def test_what_is_damaged_stays_and_is_named_and_the_rest_arrives(board: BoardProcess, tmp_path: Path) -> None:
    damaged, sound = leave_behind(tmp_path), leave_behind(tmp_path)
    journal = tmp_path / "journals" / damaged
    file = as_older_clients_wrote(journal)
    head, _, content = file.read_bytes().partition(b"\n")
    (journal / "000000000000500.points").write_bytes(
        head.replace(b'"seq": 0', b'"seq": 500') + b"\n" + content[16 * 500 :]
    )
    garbled = b"nonsense" + head[8:] + b"\n" + content[: 16 * 500]
    file.write_bytes(garbled)
    for _ in range(2):  # a person may try again
        done = sync("--data-dir", str(tmp_path), "--url", board.url)
        assert (done.returncode, done.stderr) == (1, "")
        assert (
            f"killed ({damaged}) stays here: a part of it is damaged (000000000000000.points: its first line"
            in done.stdout
        )
        assert file.read_bytes() == garbled
        assert losses(board, damaged) == list(range(500, 1000))
        assert board.get(f"/api/runs/{damaged}")["missing"] == [[0, 500]]
    assert "its first line cannot be read" in (journal / "damaged").read_text()
    assert losses(board, sound) == list(range(1000))
    assert [one.name for one in (tmp_path / "journals").iterdir()] == [damaged]
    file.write_bytes(head + b"\n" + content[: 16 * 500])  # somebody mends it
    assert sync("--data-dir", str(tmp_path), "--url", board.url).returncode == 0
    assert (losses(board, damaged), board.get(f"/api/runs/{damaged}")["missing"]) == (list(range(1000)), [])
    assert list((tmp_path / "journals").iterdir()) == []


def with_head(journal: Path, base: int) -> None:
    """Take the records before ``base`` out of a journal, as if a board had acknowledged them."""
    file = as_older_clients_wrote(journal)
    head, _, content = file.read_bytes().partition(b"\n")
    first_line = head.replace(b'"seq": 0', f'"seq": {base}'.encode())
    (journal / f"{base:015d}.points").write_bytes(first_line + b"\n" + content[16 * base :])
    file.unlink()


def test_a_journal_whose_beginning_another_board_has_stays_until_it_may_be_sent(
    board: BoardProcess, tmp_path: Path
) -> None:
    run_id = leave_behind(tmp_path)
    with_head(tmp_path / "journals" / run_id, 700)
    options = ["--data-dir", str(tmp_path), "--url", board.url]
    done = sync(*options)
    assert done.returncode == 1
    assert (
        f"killed ({run_id}) stays here: this board lacks records 0 to 699, and the journal has them no more:"
        in done.stdout
    )
    assert "`lossboard sync --from-here` sends those from 700 on" in done.stdout
    assert board.client.get(f"/api/runs/{run_id}").status_code == 404
    refused = sync(*options, "--from-here")
    assert (refused.returncode, "without a terminal, send --yes" in refused.stderr) == (1, True)
    assert len(list((tmp_path / "journals" / run_id).glob("*.points"))) == 1
    done = sync(*options, "--from-here", "--yes")
    assert (done.returncode, done.stdout) == (0, f"killed ({run_id}) has arrived at {board.url}.\n")
    assert losses(board, run_id) == list(range(700, 1000))
    assert board.get(f"/api/runs/{run_id}")["missing"] == [[0, 700]]
    assert list((tmp_path / "journals").iterdir()) == []


def test_a_journal_of_a_run_that_has_ended_otherwise_stays(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    board.client.post("/api/runs", json={"method": "external", "id": run_id})
    points = {"seq": 0, "step": list(range(10)), "metrics": {"loss": list(range(10))}}
    assert board.client.post(f"/api/runs/{run_id}/points", json=points).status_code == 200
    board.client.post(f"/api/runs/{run_id}/finish", json={"status": "failed"})
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert done.returncode == 1
    assert (
        f"killed ({run_id}) stays here: 409 This run has ended (failed); it takes no more points than its 10."
        in done.stdout
    )
    assert (tmp_path / "journals" / run_id / "run.json").exists()


def test_a_journal_of_which_an_ended_run_has_everything_goes(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    copied = tmp_path / "copy" / "journals" / run_id
    shutil.copytree(tmp_path / "journals" / run_id, copied)
    for journal in (tmp_path / "journals" / run_id, copied):
        (journal / "ending.json").write_text('{"status": "finished"}')
    for folder in (tmp_path, tmp_path / "copy"):
        done = sync("--data-dir", str(folder), "--url", board.url)
        assert (done.returncode, done.stdout) == (0, f"killed ({run_id}) has arrived at {board.url}.\n")
        assert list((folder / "journals").iterdir()) == []


def test_odd_things_among_the_journals_hold_none_up(board: BoardProcess, tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    first = leave_behind(tmp_path)
    shutil.copytree(journals / first, journals / f"0 copy of {first}")
    (journals / ("0" * 32)).write_text("a file with a run's name")
    (journals / "0.DS_Store").write_text("a file")
    (journals / f"{'1' * 32}").mkdir()
    (journals / f"{'1' * 32}" / "run.json").mkdir()
    (journals / f"{'2' * 32}.done").mkdir()  # its removal was cut short
    (journals / f"{'2' * 32}.done" / "run.json").write_text("{}")
    (tmp_path / "elsewhere").mkdir()
    (journals / ("3" * 32)).symlink_to(tmp_path / "elsewhere")
    second = leave_behind(tmp_path)
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert (done.returncode, done.stderr) == (1, "")
    assert (losses(board, first), losses(board, second)) == (list(range(1000)), list(range(1000)))
    stays = [line.partition(" stays here: ")[::2] for line in done.stdout.splitlines() if " stays here: " in line]
    assert [(name, why.partition(",")[0].partition(" (")[0]) for name, why in sorted(stays)] == [
        (f"no run (0 copy of {first})", "its name is not that of a run"),
        (f"no run ({'3' * 32})", "it is a symbolic link"),
        (f"run ({'0' * 32})", "it cannot be used"),
        (f"run ({'1' * 32})", "it cannot be used"),
    ]
    assert not [*(tmp_path / "elsewhere").iterdir()]
    left = {"0" * 32, f"0 copy of {first}", "0.DS_Store", "1" * 32, "3" * 32}
    assert {one.name for one in journals.iterdir()} == left


def test_a_journal_without_its_introduction_arrives(board: BoardProcess, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path)
    (tmp_path / "journals" / run_id / "run.json").unlink()
    done = sync("--data-dir", str(tmp_path), "--url", board.url)
    assert (done.returncode, done.stdout) == (0, f"run ({run_id}) has arrived at {board.url}.\n")
    assert (board.get(f"/api/runs/{run_id}")["name"], losses(board, run_id)) == ("run", list(range(1000)))


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
