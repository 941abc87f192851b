"""A board with a lock: who has the token does what they always did, who has none does nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from httpx2.websockets import WebSocketUpgradeError

import lossboard
from app.middleware.tokens import make, read
from lossboard_extras.api import Api
from tests.harness.boards import PATIENCE, BoardProcess

SCRIPT = """
import lossboard
lossboard._FINISH_TIMEOUT_S = 2.0
with lossboard.run("mine") as run:
    run.log(loss=0.5)
print("arrived" if run.sender.arrived else "kept")
"""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    """A board that asks for tokens, and a client that has the owner's."""
    with BoardProcess(tmp_path_factory.mktemp("locked"), LOSSBOARD_TOKEN="on") as board:
        assert board.process.stdout is not None
        said = board.process.stdout.readline()
        link = re.search(r"(http://127\.0\.0\.1:\d+)/\?token=([\w-]+)", said)
        assert link, said
        assert link[1] == board.url
        board.client.headers["Authorization"] = f"Bearer {link[2]}"
        yield board


def token(board: BoardProcess, right: str) -> str:
    """One of its tokens, as its data folder has it."""
    return read(board.folder)[right]


def report(board: BoardProcess, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script that reports to the board with these variables."""
    variables = {"LOSSBOARD_DIR": str(tmp_path), "LOSSBOARD_URL": board.url, **environment}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=variables, capture_output=True, text=True, check=True, timeout=PATIENCE
    )


def runs(board: BoardProcess) -> int:
    total: int = board.get("/api/runs")["total"]
    return total


def test_its_own_workers_report(locked: BoardProcess) -> None:
    run = locked.wait_until(locked.run(epochs=3)["id"])
    assert run["status"] == "finished"
    assert run["step"] == 2


def test_who_has_no_token_learns_that_it_is_alive(locked: BoardProcess) -> None:
    health = httpx2.get(f"{locked.url}/api/health")
    assert health.json() == {"status": "ok"}
    assert locked.get("/api/health")["right"] == "owner"
    assert httpx2.get(f"{locked.url}/api/runs").status_code == 401


def test_the_token_is_in_no_process_list(locked: BoardProcess) -> None:
    own = token(locked, "owner")
    living = [process for process in locked.children() if process.status() != psutil.STATUS_ZOMBIE]
    assert living
    for process in living:
        assert not any(own in part for part in process.cmdline())
        assert own not in process.environ().values()


def test_a_script_on_this_machine_finds_the_token(locked: BoardProcess) -> None:
    before = runs(locked)
    done = report(locked, locked.folder, LOSSBOARD_URL="")
    assert (done.stdout, done.stderr) == ("arrived\n", "")
    assert runs(locked) == before + 1


def test_a_script_elsewhere_is_given_one(locked: BoardProcess, tmp_path: Path) -> None:
    before = runs(locked)
    for right in ("report", "owner"):
        done = report(locked, tmp_path, LOSSBOARD_TOKEN=token(locked, right))
        assert (done.stdout, done.stderr) == ("arrived\n", "")
    assert runs(locked) == before + 2


def test_who_reports_makes_runs_of_scripts_only(locked: BoardProcess) -> None:
    bearer = {"Authorization": f"Bearer {token(locked, 'report')}"}
    before = runs(locked)
    answer = httpx2.post(f"{locked.url}/api/runs", json={"method": "gd"}, headers=bearer)
    assert answer.status_code == 403
    assert "external" in answer.json()["detail"][0]["msg"]
    assert httpx2.post(f"{locked.url}/api/runs", json={"method": "external"}, headers=bearer).status_code == 201
    assert runs(locked) == before + 1


def test_a_script_without_a_token_keeps_its_points(locked: BoardProcess, tmp_path: Path) -> None:
    before = runs(locked)
    done = report(locked, tmp_path)
    assert done.stdout == "kept\n"
    assert done.stderr.count("This board asks for a token") == 1
    assert "LOSSBOARD_TOKEN" in done.stderr
    assert runs(locked) == before
    assert len([*(tmp_path / "journals").iterdir()]) == 1
    synced = subprocess.run(
        [sys.executable, "-m", "app.cli", "sync", "--data-dir", str(tmp_path), "--url", locked.url],
        env={"LOSSBOARD_TOKEN": token(locked, "report"), "LOSSBOARD_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert "has arrived" in synced.stdout
    assert runs(locked) == before + 1


def test_a_script_takes_a_renewed_token(locked: BoardProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    monkeypatch.delenv("LOSSBOARD_TOKEN")
    for name in ("address", "identity.key"):
        shutil.copy(locked.folder / name, tmp_path)
    (tmp_path / "tokens.json").write_text('{"report": "old"}')
    connection = lossboard.Connection()
    assert connection.url == locked.url
    with pytest.raises(lossboard.RefusedError, match="401"):
        connection.post("/api/runs", b'{"method": "external"}')
    (tmp_path / "tokens.json").write_text(f'{{"report": "{token(locked, "report")}"}}')
    connection.close()  # as after every failure
    assert connection.post("/api/runs", b'{"method": "external"}')["status"] == "running"
    connection.close()


def test_what_reads_runs_back_has_the_owners(locked: BoardProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(locked.folder))
    monkeypatch.delenv("LOSSBOARD_TOKEN")
    assert len([*Api().runs()]) == runs(locked)


def test_no_token_is_sent_to_another_board(
    locked: BoardProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(locked.folder))
    monkeypatch.delenv("LOSSBOARD_TOKEN")
    assert lossboard.token_for(locked.url) == token(locked, "report")
    assert lossboard.token_for("http://127.0.0.1:9") == ""
    monkeypatch.setenv("LOSSBOARD_TOKEN", "off")
    assert lossboard.token_for(locked.url) == ""
    monkeypatch.setenv("LOSSBOARD_TOKEN", "given")
    assert lossboard.token_for("http://127.0.0.1:9") == "given"


@pytest.mark.parametrize("right", ["owner", "read", "report", ""])
def test_events_and_windows_are_for_those_who_look(locked: BoardProcess, right: str) -> None:
    locked.wait_for_visdom()
    headers = {"Authorization": f"Bearer {token(locked, right)}"} if right else {}
    expected = {"owner": 200, "read": 200, "report": 403}.get(right, 401)
    with httpx2.Client(base_url=locked.url, headers=headers) as client:
        with client.stream("GET", "/api/events") as events:
            assert events.status_code == expected
        try:
            with client.websocket(locked.url.replace("http", "ws", 1) + "/visdom/socket") as socket:
                assert socket.receive_text(timeout=PATIENCE)
                status = 200
        except WebSocketUpgradeError as refused:
            status = refused.response.status_code
        assert status == expected


def test_a_renewed_token_needs_no_restart(locked: BoardProcess) -> None:
    old = token(locked, "read")
    assert httpx2.get(f"{locked.url}/api/runs", headers={"Authorization": f"Bearer {old}"}).status_code == 200
    make(locked.folder, new="read")
    assert httpx2.get(f"{locked.url}/api/runs", headers={"Authorization": f"Bearer {old}"}).status_code == 401
    new = {"Authorization": f"Bearer {token(locked, 'read')}"}
    assert httpx2.get(f"{locked.url}/api/runs", headers=new).status_code == 200
