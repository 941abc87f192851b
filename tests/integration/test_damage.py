"""A board whose data are damaged, and the commands that look after them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from app.cli import commands
from app.storage.database import DATABASE_FILE
from tests.harness import damage
from tests.harness.boards import BoardProcess
from tests.harness.damage import damage_page, leaves_of

RUNS = 4
POSTS = [4096, 2048, 1024, 512, 256, 128, 64, 32]  # records in each: chunks that are not merged


def command(*arguments: str, folder: Path) -> Result:
    """A command of ours on a data folder, without a terminal."""
    return CliRunner().invoke(commands, arguments, env={"LOSSBOARD_DIR": str(folder)})


def post_runs(board: BoardProcess) -> list[str]:
    """Some runs of many points each; their ids."""
    runs = []
    for number in range(RUNS):
        run = board.client.post("/api/runs", json={"method": "external", "name": f"run {number}"}).json()["id"]
        seq = 0
        for count in POSTS:
            body = {"seq": seq, "step": [*range(seq, seq + count)], "metrics": {"loss": [float(number)] * count}}
            assert board.client.post(f"/api/runs/{run}/points", json=body).status_code == 200
            seq += count
        assert board.client.post(f"/api/runs/{run}/finish", json={"status": "finished"}).status_code == 200
        runs.append(run)
    return runs


def test_a_damaged_page_costs_the_points_of_one_run(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    board = new_board().start()
    runs = post_runs(board)
    board.stop()
    path = board.folder / DATABASE_FILE
    damage_page(path, leaves_of(path, "points")[1], damage.all_of_it)

    board.start()
    items = {run["id"]: run for run in board.get("/api/runs")["items"]}
    assert items.keys() == set(runs)
    for run in runs:
        for what in ("points", "points.csv"):
            answer = board.client.get(f"/api/runs/{run}/{what}")
            assert answer.status_code in (200, 503)
            if answer.status_code == 503:
                words = answer.json()["detail"][0]["msg"]
                assert run in words
                assert "`lossboard check`" in words
    damaged = [run for run in runs if board.client.get(f"/api/runs/{run}/points").status_code == 503]
    assert 1 <= len(damaged) < RUNS
    assert [run for run in runs if board.get(f"/api/runs/{run}")["damage"]] == damaged
    assert board.wait_until(board.run()["id"])["status"] == "finished"

    checked = command("check", folder=board.folder)
    assert checked.exit_code == 1
    assert all(run in checked.stdout for run in damaged)
    assert command("backup", str(tmp_path / "file"), folder=board.folder).exit_code == 1
    for run in damaged:
        assert board.client.delete(f"/api/runs/{run}").status_code == 204
        assert board.client.get(f"/api/runs/{run}").status_code == 410
    board.stop()
    assert command("check", "--repair", folder=board.folder).exit_code == 0
    board.start()
    assert board.get("/api/runs")["total"] == RUNS + 1 - len(damaged)


def test_a_garbled_record_and_a_garbled_view(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board().start()
    garbled, later, sound = (board.run()["id"] for _ in range(3))
    for run in (garbled, later, sound):
        board.wait_until(run)
    board.client.patch("/api/board", json={"smoothing": 5})
    board.stop()
    with closing(sqlite3.connect(board.folder / DATABASE_FILE)) as db:
        db.execute("UPDATE runs SET record = substr(record, 1, 90) WHERE id = ?", (garbled,))
        query = "UPDATE runs SET record = json_set(record, '$.status', 'dreaming'), crc32 = NULL WHERE id = ?"
        db.execute(query, (later,))
        db.execute("UPDATE board SET value = '[[['")
        db.commit()

    board.start()
    items = {run["id"]: run for run in board.get("/api/runs")["items"]}
    assert "cannot be read" in items[garbled]["damage"]
    assert (items[later]["status"], items[later]["name"]) == ("interrupted", items[sound]["name"])
    assert "status" in items[later]["damage"]
    assert items[sound]["damage"] is None
    assert board.get("/api/board")["smoothing"] == 0
    points = [board.get(f"/api/runs/{run}/points")["total"] for run in (garbled, later, sound)]
    assert len(set(points)) == 1
    for run in (garbled, later):
        assert board.client.delete(f"/api/runs/{run}").status_code == 204


def test_a_backup_of_a_board_that_runs_is_put_back(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    board = new_board().start()
    kept = board.run()["id"]
    board.wait_until(kept)
    file = str(tmp_path / "file")
    assert command("check", folder=board.folder).stdout.startswith("All is well")
    made = command("backup", file, folder=board.folder)
    assert (made.exit_code, made.stderr) == (0, "")
    assert f"{file} has 1 run of" in made.stdout
    assert "--force" in command("backup", file, folder=board.folder).stderr
    board.wait_until(board.run()["id"])

    refused = command("restore", file, "--yes", folder=board.folder)
    assert "Another board is running" in refused.stderr
    board.stop()
    assert "--yes" in command("restore", file, folder=board.folder).stderr
    done = command("restore", file, "--yes", folder=board.folder)
    assert done.exit_code == 0
    assert "is kept as" in done.stdout
    board.start()
    assert [run["id"] for run in board.get("/api/runs")["items"]] == [kept]


def test_misuse_is_answered_in_a_sentence(tmp_path: Path) -> None:
    for arguments in (["check"], ["backup", "x"], ["restore", "x"], ["restore", str(tmp_path)]):
        done = command(*arguments, folder=tmp_path / "none")
        assert done.exit_code == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("lossboard: ")
    assert not (tmp_path / "none").exists()
