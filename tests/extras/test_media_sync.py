"""Media that killed scripts left behind, and media on their way to a real board: each arrives once."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import lossboard
from lossboard_extras import encoders
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.scripts import Script

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, lossboard
run = lossboard.run("killed", url="http://127.0.0.1:9")
for step in range(3):
    run.log(loss=step)
    run.text("story", f"step {step}")
print(run.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
ENDLESS = """
import os, signal, lossboard
run = lossboard.run("endless")
print(run.id, flush=True)
for step in range(900):  # of more than 1000 a board keeps a part
    run.text("story", str(step), step=step)
    os.write(1, b"%d\\n" % step)
signal.pause()
"""
STORIES = [("story", 0.0, "step 0"), ("story", 1.0, "step 1"), ("story", 2.0, "step 2")]


def leave_behind(folder: Path) -> Path:
    """The journal of a script that was killed before it saw a board."""
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    return folder / "journals" / done.stdout.strip()


def sync(folder: Path, board: BoardProcess) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "sync", "--data-dir", str(folder), "--url", board.url]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def stored(board: BoardProcess, run_id: str) -> list[tuple[str, float, str]]:
    """Name, step and text of each that a board has, those of a name in the order in which they came."""
    path = f"/api/runs/{run_id}/media"
    answer = board.client.get(path)
    found = []
    for one in answer.json()["names"] if answer.status_code == 200 else []:
        items = reversed(board.get(path, name=one["name"], limit=1000)["items"])
        found += [(one["name"], item["step"], board.client.get(f"{path}/{item['number']}").text) for item in items]
    return found


def test_sync_sends_what_a_killed_script_left_each_once(board: BoardProcess, tmp_path: Path) -> None:
    journal = leave_behind(tmp_path)
    shutil.copytree(journal, tmp_path / "kept")
    assert sync(tmp_path, board).stdout == f"killed ({journal.name}) has arrived at {board.url}.\n"
    assert stored(board, journal.name) == STORIES
    assert not journal.exists()
    (tmp_path / "kept").rename(journal)  # as if sync had been killed before it removed anything
    assert sync(tmp_path, board).returncode == 0
    assert stored(board, journal.name) == STORIES
    assert not journal.exists()


def test_each_arrives_once_when_a_script_is_killed_while_it_posts(board: BoardProcess, tmp_path: Path) -> None:
    script = Script(ENDLESS, board.url, tmp_path)
    wait_for(lambda: len(stored(board, script.run_id)) > 5, "some media")
    last = script.kill()
    assert sync(tmp_path, board).returncode == 0
    texts = [text for _, _, text in stored(board, script.run_id)]
    assert texts == [str(step) for step in range(len(texts))]
    assert len(texts) > last
    assert list((tmp_path / "journals").iterdir()) == []


def test_media_of_a_run_that_has_ended_arrive(board: BoardProcess, tmp_path: Path) -> None:
    journal = leave_behind(tmp_path)
    (journal / "media").rename(tmp_path / "media")
    shutil.copytree(journal, tmp_path / "kept")
    (journal / "ending.json").write_text('{"status": "finished"}')
    assert sync(tmp_path, board).returncode == 0
    (tmp_path / "kept").rename(journal)
    (tmp_path / "media").rename(journal / "media")
    assert sync(tmp_path, board).returncode == 0
    assert (board.get(f"/api/runs/{journal.name}")["status"], stored(board, journal.name)) == ("finished", STORIES)


def test_what_is_damaged_stays_and_is_named_and_the_rest_arrives(board: BoardProcess, tmp_path: Path) -> None:
    journal = leave_behind(tmp_path)
    damaged = sorted((journal / "media").iterdir())[1]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])
    done = sync(tmp_path, board)
    assert done.returncode == 1
    assert f"a part of it is damaged (media/{damaged.name}: it is not as it was written); the rest has" in done.stdout
    assert stored(board, journal.name) == [STORIES[0], STORIES[2]]
    assert damaged.exists()


def test_what_the_board_refuses_is_left_out_and_named(board: BoardProcess, tmp_path: Path) -> None:
    journal = leave_behind(tmp_path)
    first, second, _ = sorted((journal / "media").iterdir())
    first.write_bytes(first.read_bytes().replace(b'"text"', b'"film"'))
    done = sync(tmp_path, board)
    assert f"has arrived at {board.url}, but the board refused media/{first.name}: 422" in done.stdout
    assert stored(board, journal.name) == STORIES[1:]
    assert not journal.exists()
    assert not second.exists()


def test_a_board_collects_what_it_finds_in_its_own_folder(
    new_board: Callable[..., BoardProcess], tmp_path: Path
) -> None:
    journal = leave_behind(tmp_path)
    board = new_board(tmp_path).start()
    wait_for(lambda: stored(board, journal.name) == STORIES, "the media")
    wait_for(lambda: not journal.exists())


def test_what_a_script_gives_is_what_a_board_has(board: BoardProcess, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    run = lossboard.run("script", url=board.url)
    run.log(loss=1)
    run.image("sample", pixels)
    run.histogram("weights", [1.0, 2.0, 2.0], bins=2)
    run.audio("tone", np.zeros(8), rate=8000)
    assert run.finish()
    path = f"/api/runs/{run.id}/media"
    names = [one["name"] for one in board.get(path)["names"]]
    assert names == ["sample", "weights", "tone"]
    numbers = [board.get(path, name=name)["items"][0]["number"] for name in names]
    sample, weights, tone = (board.client.get(f"{path}/{number}") for number in numbers)
    assert (sample.content, sample.headers["content-type"]) == (encoders.png_of(pixels), "image/png")
    assert weights.json() == {"edges": [1.0, 1.5, 2.0], "counts": [1, 2]}
    assert tone.content == encoders.wav_of(np.zeros(8), 8000)
