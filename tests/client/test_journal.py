"""Not one logged point is lost: scripts that are killed, boards that are away, disks that are full."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import lossboard
from app.runs import journals
from tests.harness.boards import PATIENCE, BoardProcess, wait_for
from tests.harness.scripts import ENDLESS, Script, whole

ROOT = Path(__file__).parents[2]


def sync(folder: Path, url: str) -> tuple[int, list[str]]:
    """Send what was left behind; how many journals that were, and what was refused."""
    outcomes = list(journals.sync(folder, url))
    return len(outcomes), [sent.refusal for sent in outcomes if sent.refusal]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path / "journals of scripts"))
    return tmp_path / "journals of scripts"


def points_of(board: BoardProcess, run_id: str) -> dict[str, Any]:
    points: dict[str, Any] = board.get(f"/api/runs/{run_id}/points", max_points=1_000_000)
    return points


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.3, 0.8])
def test_a_killed_script_loses_nothing_it_had_logged(board: BoardProcess, folder: Path, seconds: float) -> None:
    script = Script(ENDLESS, board.url, folder)
    time.sleep(seconds)
    logged = script.kill()
    sent, refused = sync(folder, board.url)
    assert (sent, refused) == (1, [])
    assert whole(board, script.run_id) >= logged
    assert list((folder / "journals").iterdir()) == []


def test_a_script_that_never_saw_a_board(board: BoardProcess, folder: Path) -> None:
    script = Script(ENDLESS, "http://127.0.0.1:9", folder)
    time.sleep(0.3)
    logged = script.kill()
    assert sync(folder, board.url) == (1, [])
    assert whole(board, script.run_id) >= logged > 0
    assert sync(folder, board.url) == (0, [])


def test_the_journal_of_a_living_script_is_left_to_it(board: BoardProcess, folder: Path) -> None:
    script = Script(ENDLESS, board.url, folder)
    assert sync(folder, board.url) == (0, [])
    logged = script.kill()
    assert sync(folder, board.url) == (1, [])
    assert whole(board, script.run_id) >= logged


def test_an_ending_that_could_not_be_told_is_told_later(board: BoardProcess, folder: Path) -> None:
    code = """
import lossboard
lossboard._FINISH_TIMEOUT_S = 0.1
run = lossboard.run("late")
print(run.id, flush=True)
run.log(loss=1)
run.finish(result={"best": float("nan")})
"""
    script = Script(code, "http://127.0.0.1:9", folder)
    _, errors = script.process.communicate()
    assert b"`lossboard sync` sends what is in" in errors
    assert sync(folder, board.url) == (1, [])
    run = board.get(f"/api/runs/{script.run_id}")
    assert (run["status"], run["result"], run["step"]) == ("finished", {"best": "NaN"}, 0)


def test_a_run_whose_last_points_were_in_memory_only_has_not_finished(board: BoardProcess, folder: Path) -> None:
    code = """
import lossboard
lossboard._FINISH_TIMEOUT_S = 0.1
run = lossboard.run("cut short")
print(run.id, flush=True)
run.log(loss=1)
run.journal._disk_full_at = float("inf")
for number in range(1, 3000):
    run.log(loss=number)
run.finish()
"""
    script = Script(code, "http://127.0.0.1:9", folder)
    script.process.communicate()
    assert sync(folder, board.url) == (1, [])
    run = board.get(f"/api/runs/{script.run_id}")
    assert run["status"] == "running"
    assert 0 < run["step"] < 2999


def test_threads_may_log_at_once(board: BoardProcess, folder: Path) -> None:
    run = lossboard.run("threads", url=board.url)
    threads = [
        threading.Thread(target=lambda t=t: [run.log(step=i, **{f"m{t % 3}": 1000 * t + i}) for i in range(3000)])
        for t in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert run.finish()
    metrics = points_of(board, run.id)["metrics"]
    found = sorted(int(value) for values in metrics.values() for value in values if value is not None)
    assert found == sorted(1000 * t + i for t in range(6) for i in range(3000))
    del folder


def test_a_fork_has_nothing_to_report(board: BoardProcess, folder: Path) -> None:
    code = """
import lossboard, os
run = lossboard.run("forking")
print(run.id, flush=True)
run.log(loss=0)
for i in range(3):
    if not os.fork():
        run.log(loss=99)
        os._exit(1 if run.finish() else 0)  # nothing has arrived through it
    assert os.wait()[1] == 0
    run.log(loss=i + 1)
assert run.finish()
"""
    script = Script(code, board.url, folder)
    errors = script.process.communicate()[1]
    assert errors.count(b"a point was not logged: this is a copy of the run, or of its process") == 3  # one a fork
    assert errors.count(b"UserWarning") == 3
    assert script.process.returncode == 0
    assert points_of(board, script.run_id)["metrics"]["loss"] == [0, 1, 2, 3]


@pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE there")
def test_a_full_disk_is_one_warning_and_the_points_wait_in_memory(board: BoardProcess, folder: Path) -> None:
    code = """
import lossboard, resource
lossboard._SEGMENT_BYTES = 1 << 16
run = lossboard.run("full")
print(run.id, flush=True)
for i in range(50_000):
    if i == 5_000:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, resource.RLIM_INFINITY))
    if i == 40_000:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        run.journal._disk_full_at = -9
    run.log(loss=i)
assert run.finish()
"""
    script = Script(code, board.url, folder)
    _, errors = script.process.communicate()
    assert errors.count(b"UserWarning") == 1, errors
    assert b"the journal cannot grow" in errors
    assert script.process.returncode == 0
    assert points_of(board, script.run_id)["metrics"]["loss"] == list(range(50_000))


def test_without_room_anywhere_training_goes_on_in_bounded_memory(folder: Path) -> None:
    code = """
import lossboard, resource
lossboard._FINISH_TIMEOUT_S = 0.1
lossboard._MEMORY_BYTES = 8 << 20
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, resource.RLIM_INFINITY))
run = lossboard.run("no room")
print(run.id, flush=True)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for i in range(1_000_000):
    run.log(loss=i)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10
print(run.finish())
"""
    script = Script(code, "http://127.0.0.1:9", folder)
    out, errors = script.process.communicate(timeout=PATIENCE)
    assert (out, script.process.returncode) == (b"False\n", 0), errors
    assert b"no room is left, neither on disk nor in memory" in errors


def test_a_folder_that_cannot_be_written_is_one_warning(board: BoardProcess, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code = 'import lossboard\nrun = lossboard.run("memory")\nprint(run.id, flush=True)\n'
    code += "run.log(loss=1)\nassert run.finish()"
    script = Script(code, board.url, tmp_path / "file")
    _, errors = script.process.communicate()
    assert errors.count(b"UserWarning") == 1
    assert b"no journal can be kept" in errors
    assert points_of(board, script.run_id)["metrics"]["loss"] == [1]


ONE_BY_ONE = """
import lossboard, os
run = lossboard.run("layers")
print(run.id, flush=True)
for i in range(60):
    run.log(step=0, **{f"layer{i}": i})
"""


def values_of(board: BoardProcess, run_id: str) -> dict[str, Any]:
    """The one value that each metric has."""
    metrics = points_of(board, run_id)["metrics"]
    return {name: value for name, values in metrics.items() for value in values if value is not None}


def test_metrics_that_come_one_by_one_take_little_of_the_disk(board: BoardProcess, folder: Path) -> None:
    script = Script(ONE_BY_ONE + "os._exit(0)", "http://127.0.0.1:9", folder)
    script.process.communicate()
    assert sum(file.stat().st_size for file in folder.rglob("*.points")) < 4 << 20
    assert sync(folder, board.url) == (1, [])
    assert values_of(board, script.run_id) == {f"layer{i}": i for i in range(60)}


def test_metrics_that_come_one_by_one_find_room_in_memory(board: BoardProcess, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    script = Script(ONE_BY_ONE + "assert run.finish()", board.url, tmp_path / "file")
    _, errors = script.process.communicate()
    assert (script.process.returncode, errors.count(b"UserWarning")) == (0, 1), errors  # that there is no journal
    assert values_of(board, script.run_id) == {f"layer{i}": i for i in range(60)}


def test_an_interrupt_between_two_points_loses_none(board: BoardProcess, folder: Path) -> None:
    code = """
import lossboard, signal, threading, time, os
run = lossboard.run("interrupted")
print(run.id, flush=True)
def interrupt():
    ready.wait()
    for _ in range(40):
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.1)
    global done
    done = True
done, ready = False, threading.Event()
i = 0
threading.Thread(target=interrupt).start()
while not done:
    try:
        ready.set()
        while not done:
            run.log(loss=i)
            i += 1
    except KeyboardInterrupt:
        pass
lossboard._FINISH_TIMEOUT_S = 30
lossboard._MAX_STUCK_POSTS = 20
assert run.finish()
print(i)
"""
    script = Script(code, board.url, folder)
    out, errors = script.process.communicate(timeout=PATIENCE)
    assert script.process.returncode == 0, errors
    lines = board.client.get(f"/api/runs/{script.run_id}/points.csv").text.splitlines()[1:]
    losses = {float(loss) for _, loss in (line.split(",") for line in lines) if loss}
    known = int(out.split()[-1])  # the one after may have been written just before an interrupt
    assert set(range(known)) <= losses <= set(range(known + 1))


def test_the_clock_may_jump(board: BoardProcess, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lossboard.run("clock", url=board.url)
    run.log(loss=1)
    wait_for(lambda: board.client.get(f"/api/runs/{run.id}").status_code == 200)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 10**6)
    run.log(loss=2)
    assert run.finish()
    assert points_of(board, run.id)["metrics"]["loss"] == [1, 2]
