"""A run that several processes report: one after the other, late, or at once; and where they find the board."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossboard
from app.runs import journals
from app.runs.journal_reader import read_journal
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.fake_board import FakeBoard

ROOT = Path(__file__).parents[2]
AWAY = "http://127.0.0.1:9"
CRASH = """
import lossboard, os, sys, time
run = lossboard.run("crashes", id=sys.argv[1] if sys.argv[1:] else None)
for step in range(100):
    run.log(step=step, loss=step)
while run.journal.unacknowledged and len(sys.argv) == 1 and "9" != os.environ["LOSSBOARD_URL"][-1]:
    time.sleep(0.01)
print(run.id, flush=True)
os._exit(1)
"""


def crash(folder: Path, url: str) -> str:
    """The id of a run whose process ended in the middle of it; a board there has all that it logged."""
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder), "LOSSBOARD_URL": url, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", CRASH], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def points_of(board: BoardProcess, run_id: str) -> dict[str, Any]:
    points: dict[str, Any] = board.get(f"/api/runs/{run_id}/points", max_points=100_000)
    return points


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    return tmp_path


def test_a_run_goes_on_after_a_crash(board: BoardProcess, folder: Path) -> None:
    run_id = crash(folder, board.url)
    for _ in range(2):
        run = lossboard.run("goes on", id=run_id, resume=True, url=board.url)
        for step in range(80, 120):
            run.log(step=step, loss=-step)
        assert run.finish()
    points = points_of(board, run_id)
    assert points["step"] == [*range(100), *range(80, 120), *range(80, 120)]
    shown = board.get(f"/api/runs/{run_id}")
    assert (shown["name"], shown["status"]) == ("crashes", "finished")
    assert list((folder / "journals").glob(f"{run_id}-*")) == []


def test_what_a_crashed_process_left_behind_arrives_after_its_run_went_on(board: BoardProcess, folder: Path) -> None:
    run_id = crash(folder, AWAY)  # its hundred points are in its journal only
    run = lossboard.run("goes on", attach_to=run_id, url=board.url)
    for step in range(100, 120):
        run.log(step=step, loss=0)
    wait_for(lambda: run.journal.acknowledged == 20)
    assert [sent.refusal for sent in journals.sync(folder, board.url)] == [None]
    run.log(step=120, loss=0)
    assert run.finish()
    assert points_of(board, run_id)["step"] == [*range(100, 120), *range(100), 120]


def test_a_resumed_run_that_never_saw_a_board_is_sent_later(board: BoardProcess, folder: Path) -> None:
    run_id = crash(folder, AWAY)
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder), "LOSSBOARD_URL": AWAY, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", CRASH, run_id], env=environment, capture_output=True, check=False)
    assert len(list((folder / "journals").iterdir())) == 2
    assert [sent.refusal for sent in journals.sync(folder, board.url)] == [None, None]
    assert points_of(board, run_id)["step"] == [*range(100), *range(100)]
    assert list((folder / "journals").iterdir()) == []


def test_a_second_process_at_the_same_time_is_told_and_reports_nothing(fake: FakeBoard, folder: Path) -> None:
    first = lossboard.run("first", id="my experiment", url=fake.url)
    with pytest.warns(UserWarning, match="nothing is logged: another process reports this run"):
        second = lossboard.run("second", id="my experiment", url=fake.url)
    assert second.id == first.id
    second.log(loss=1.0)
    assert not second.finish()
    first.log(loss=1.0)
    assert first.finish()
    assert fake.accepted == 1
    del folder


def test_only_the_first_rank_reports_unless_all_are_asked_to(
    fake: FakeBoard, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "3")
    silent = lossboard.run("silent", url=fake.url)
    silent.log(loss=1.0)
    assert not silent.finish()
    assert lossboard.run("rank 0", rank=0, url=fake.url).finish()
    assert lossboard.run("ranks", rank="all", url=fake.url).finish()
    assert fake.paths.count("runs") == 2
    assert fake.introductions[-1]["name"] == "ranks rank 3"
    assert fake.introductions[-1]["group"] == "ranks"
    del folder


def test_the_board_of_the_data_folder_is_found_and_leaves_its_address(
    new_board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = new_board().start()
    monkeypatch.delenv("LOSSBOARD_URL", raising=False)
    monkeypatch.setenv("LOSSBOARD_DIR", str(board.folder))
    assert lossboard.Connection().url == board.url
    board.stop()
    assert lossboard.Connection().url == "http://127.0.0.1:8000"


def test_a_login_in_the_address_is_sent(fake: FakeBoard, folder: Path) -> None:
    run = lossboard.run("login", url=fake.url.replace("//", "//ann:sec%20ret@"))
    assert run.finish()
    assert fake.authorizations == ["Basic YW5uOnNlYyByZXQ="] * len(fake.paths)
    del folder


def test_a_synced_run_shows_when_it_was_made(board: BoardProcess, folder: Path) -> None:
    """Its records have the times that its journal noted, and its start and end are those of its script."""
    monday = 1_700_000_000.0
    journal = folder / "journals" / ("a" * 32)
    journal.mkdir(parents=True)
    about = {"method": "external", "id": journal.name, "name": "away", "started_at": monday}
    (journal / "run.json").write_text(json.dumps(about))
    (journal / "ending.json").write_text(json.dumps({"status": "finished", "ended_at": monday + 60}))
    steps = np.repeat(np.arange(60.0), 2)
    steps[0] = -0.0
    (journal / "000000000000000.points").write_bytes(
        b'{"version": 2, "seq": 0, "metrics": ["loss"]}\n' + steps.tobytes()
    )
    noted = [[20, monday + 20], [40, monday + 40]]
    (journal / "times.jsonl").write_text("".join(json.dumps(one) + "\n" for one in noted) + "[50, 17")
    os.utime(journal / "000000000000000.points", (monday + 60, monday + 60))
    read = read_journal(journal)
    (part,) = read.parts(0)
    assert [at - monday for _, at in read.times_of(part)] == [20, 40, 60]
    assert [sent.refusal for sent in journals.sync(folder, board.url)] == [None]
    shown = board.get(f"/api/runs/{'a' * 32}")
    times = [datetime.fromisoformat(shown[name]).timestamp() - monday for name in ("started_at", "ended_at")]
    assert times == [0, 60]
    assert points_of(board, "a" * 32)["step"] == list(range(60))


@pytest.mark.filterwarnings("ignore:lossboard. the board does not take")
def test_what_waits_for_a_board_keeps_its_time(fake: FakeBoard, folder: Path) -> None:
    fake.answers = [(503, {})] * 1000
    run = lossboard.run("patient", url=fake.url)
    run.log(loss=1.0)
    wait_for(lambda: run.journal.times)
    ((number, at),) = run.journal.times
    assert (number, abs(at - time.time()) < 60) == (1, True)
    fake.answers = []
    assert run.finish()
    (told,) = [head["times"] for head in fake.heads[-3:] if head.get("times") and head["blocks"]][-1:]
    assert told == [[number, at]]
    del folder
