"""The command `lossboard` in the shapes of the world."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lossboard as client
from app.cli import listen
from app.settings import Settings
from tests.harness.boards import PATIENCE, BoardProcess


def lossboard(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_help_explains_every_option() -> None:
    done = lossboard("--help")
    for option in ("--host", "--port", "--data-dir", "--no-browser", "--visdom-url", "--max-running"):
        assert option in done.stdout
    assert "LOSSBOARD_DIR" in done.stdout


def test_a_port_in_use_is_said_and_another_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        board = BoardProcess(tmp_path)
        command = [sys.executable, "-m", "app.cli", "--port", str(port), "--no-browser", "--data-dir", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as board.process:
            assert board.process.stdout is not None
            assert board.process.stdout.readline() == f"Port {port} is in use; taking a free one.\n"
            assert f":{port} " not in board.process.stdout.readline()
            board.process.terminate()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM")
def test_sigterm_ends_a_board_that_starts_where_ctrl_c_is_ignored(tmp_path: Path) -> None:
    board = [sys.executable, "-m", "app.cli", "--no-browser", "--data-dir", str(tmp_path)]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *board, "--port", str(taken.getsockname()[1])]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                assert process.stdout.readline().endswith("taking a free one.\n")  # it does not serve yet
                process.terminate()
                assert process.wait(PATIENCE) != 0
            finally:
                process.kill()


def test_a_port_that_may_not_be_used_is_not_said_to_be_in_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bind = socket.socket.bind

    def refuse_http(self: socket.socket, address: tuple[str, int]) -> None:
        if address[1] == 80:  # as Linux does, unless a user is root
            raise PermissionError(errno.EACCES, "Permission denied")
        bind(self, address)

    monkeypatch.setattr(socket.socket, "bind", refuse_http)
    listener, settings = listen(Settings(port=80))
    with listener:
        assert settings.port == listener.getsockname()[1] != 80
    assert capsys.readouterr().out == "Port 80 cannot be used (Permission denied); taking a free one.\n"


def test_board_and_scripts_agree_on_the_data_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOSSBOARD_DIR", raising=False)
    monkeypatch.delenv("LOSSBOARD_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    for system in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        assert Settings().data_dir == client.data_folder()


def test_a_bad_option_is_a_sentence() -> None:
    done = lossboard("--port", "99999", "--no-browser")
    assert done.returncode != 0
    assert "65535" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_setting_is_an_environment_variable(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    folder = tmp_path / "a home with spaces and 中文"
    board = new_board(folder, LOSSBOARD_MAX_RUNNING="3").start()
    assert board.wait_until(board.run()["id"])["status"] == "finished"
    assert (folder / "lossboard.sqlite3").exists()
    settings = Settings(_env_file=None)
    assert settings.port == 8000
    os.environ["LOSSBOARD_PORT"] = "1234"
    os.environ["LOSSBOARD_DIR"] = str(tmp_path)
    try:
        settings = Settings()
    finally:
        del os.environ["LOSSBOARD_PORT"], os.environ["LOSSBOARD_DIR"]
    assert (settings.port, settings.data_dir) == (1234, tmp_path)
