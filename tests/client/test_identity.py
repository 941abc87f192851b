"""A board that was found in the data folder proves that it is the one there, before anything is sent to it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import lossboard
from lossboard_extras.api import Api
from tests.client.test_sync import leave_behind, losses, sync
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.stranger import Stranger

ABOUT = b'{"method": "external"}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the script, in which nothing is yet; nobody names a board."""
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    monkeypatch.delenv("LOSSBOARD_URL", raising=False)
    return tmp_path


@contextmanager
def stranger_at(folder: Path, answer: Callable[[str], Any]) -> Iterator[Stranger]:
    """A stranger at the address that a board has left in a folder, when it was killed, say."""
    with Stranger(answer) as stranger:
        (folder / "address").write_text(stranger.url)
        (folder / "identity.key").write_bytes(b"k" * 32)
        yield stranger


def be_folder_of(board: BoardProcess, folder: Path) -> None:
    """Have in a folder what shows where this board is, and that it is that."""
    for name in ("address", "identity.key"):
        shutil.copy(board.folder / name, folder)


def proof(key: bytes, nonce: str, url: str) -> str:
    return hmac.new(key, f"{nonce} {url}".encode(), hashlib.sha256).hexdigest()


def nonce_in(path: str) -> str:
    return path.partition("nonce=")[2]


def test_a_board_proves_that_it_has_the_key_of_its_folder(board: BoardProcess) -> None:
    key = (board.folder / "identity.key").read_bytes()
    assert len(key) == 32
    for nonce in ("0" * 32, "0123456789abcdef" * 4):
        assert board.get("/api/challenge", nonce=nonce) == {"proof": proof(key, nonce, board.url)}


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 65, "G" * 32, "0" * 32 + "\n", None])
def test_what_is_no_nonce_is_refused(board: BoardProcess, nonce: str | None) -> None:
    answer = board.client.get("/api/challenge", params={"nonce": nonce} if nonce is not None else {})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "nonce"]


def begin_and_wait(let_go: list[lossboard.Run], question: Callable[[], bool]) -> lossboard.Run:
    """Begin a run with one point; give it when the answer is true."""
    run = lossboard.run("mine", params={"secret": 1})
    let_go.append(run)
    run.log(loss=0.5)
    wait_for(question)
    return run


def test_a_script_begun_before_its_board_finds_it(
    board: BoardProcess, folder: Path, let_go: list[lossboard.Run]
) -> None:
    with stranger_at(folder, lambda _: {"proof": "0" * 64}) as stranger:
        with pytest.warns(UserWarning, match=re.escape(f"set LOSSBOARD_URL={stranger.url}")) as warned:
            run = begin_and_wait(let_go, lambda: len(stranger.asked) > 2)
        assert len(warned) == 1
        assert str(folder) in str(warned[0].message)
        assert run.journal.unacknowledged == 1
        be_folder_of(board, folder)
        assert run.finish()
    assert run.url == f"{board.url}/api/runs/{run.id}"
    assert losses(board, run.id) == [0.5]
    for method, path, authorization in stranger.asked:
        assert (method, path.partition("?")[0], authorization) == ("GET", "/api/challenge", None)
    assert len({path for _, path, _ in stranger.asked}) == len(stranger.asked)  # no nonce comes twice


def refusal(connection: Any) -> str:
    """With what this client refuses to post; it does."""
    with pytest.raises(lossboard.RefusedError, match="503") as refused:
        connection.post("/api/runs", ABOUT)
    return str(refused.value)


@pytest.mark.parametrize("answer", [[], {}, {"proof": None}, {"proof": "é" * 64}, {"proof": 7}, "x" * 100_000])
def test_answers_that_prove_nothing(folder: Path, answer: Any) -> None:
    with stranger_at(folder, lambda _: answer) as stranger:
        assert stranger.url in refusal(lossboard.Connection())
    assert [method for method, *_ in stranger.asked] == ["GET"]


def test_whoever_passes_a_challenge_on_proves_nothing(board: BoardProcess, folder: Path) -> None:
    def answer(path: str) -> Any:
        with urllib.request.urlopen(board.url + path) as response:
            return json.load(response)

    with stranger_at(folder, answer) as stranger:
        shutil.copy(board.folder / "identity.key", folder)
        refusal(lossboard.Connection())
    assert len(stranger.asked) == 1


def test_without_a_key_nobody_proves_anything(folder: Path) -> None:
    with stranger_at(folder, lambda path: {"proof": proof(b"", nonce_in(path), stranger.url)}) as stranger:
        (folder / "identity.key").unlink()
        refusal(lossboard.Connection())
    assert len(stranger.asked) == 1


def test_a_proof_holds_for_its_connection_only(board: BoardProcess, folder: Path) -> None:
    be_folder_of(board, folder)
    connection = lossboard.Connection()
    for _ in range(2):
        assert connection.post("/api/runs", ABOUT)["status"] == "running"
        (folder / "identity.key").write_bytes(b"k" * 32)  # as if another board had come
    connection.close()
    refusal(connection)
    connection.close()


def test_nothing_is_sent_on_a_connection_after_the_one_of_the_proof(folder: Path) -> None:
    def answer(path: str) -> Any:  # then the connection is closed, and another may listen
        return {"proof": proof(b"k" * 32, nonce_in(path), stranger.url)}

    with stranger_at(folder, answer) as stranger, pytest.raises(http.client.NotConnected):
        lossboard.Connection().post("/api/runs", ABOUT)
    assert [method for method, *_ in stranger.asked] == ["GET"]


def test_a_board_that_was_named_is_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stranger_at(folder, lambda _: {}) as stranger:
        monkeypatch.setenv("LOSSBOARD_URL", stranger.url)
        assert lossboard.Connection().post("/api/runs", ABOUT) == {}
        monkeypatch.delenv("LOSSBOARD_URL")
        assert lossboard.Connection(stranger.url).post("/api/runs", ABOUT) == {}
    assert [method for method, *_ in stranger.asked] == ["POST", "POST"]


def test_a_stranger_gets_no_token(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stranger_at(folder, lambda _: {"items": []}) as stranger:
        (folder / "tokens.json").write_text('{"owner": "mine", "report": "mine"}')
        for given in ("auto", "given"):
            monkeypatch.setenv("LOSSBOARD_TOKEN", given)
            refusal(lossboard.Connection())
            with pytest.raises(lossboard.RefusedError, match="503"):
                list(Api().runs())
    assert len(stranger.asked) == 4
    assert {authorization for *_, authorization in stranger.asked} == {None}


@pytest.mark.skipif(sys.platform == "win32", reason="it has no user ids")
def test_another_users_address_and_links_are_not_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "address").write_text("http://127.0.0.1:9")
    assert lossboard.Connection().url == "http://127.0.0.1:9"
    with monkeypatch.context() as another:
        another.setattr("os.geteuid", lambda: os.getuid() + 1)
        assert lossboard.Connection().url == "http://127.0.0.1:8000"
    (folder / "address").rename(folder / "elsewhere")
    (folder / "address").symlink_to(folder / "elsewhere")
    assert lossboard.Connection().url == "http://127.0.0.1:8000"


def test_sync_finds_the_board_of_the_folder_that_is_named(board: BoardProcess, folder: Path, tmp_path: Path) -> None:
    run_id = leave_behind(tmp_path / "left")
    be_folder_of(board, tmp_path / "left")
    done = sync("--data-dir", str(tmp_path / "left"))
    assert (done.returncode, done.stdout) == (0, f"killed ({run_id}) has arrived at {board.url}.\n")


def test_sync_leaves_what_a_stranger_would_get(folder: Path) -> None:
    run_id = leave_behind(folder)
    with stranger_at(folder, lambda _: {}) as stranger:
        done = sync()
    assert done.returncode == 1
    assert done.stdout.startswith(f"killed ({run_id}) stays here: 503 {stranger.url} is no board of {folder};")
    assert [method for method, *_ in stranger.asked] == ["GET"]
