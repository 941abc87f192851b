"""The data folder: one board at a time, and a sentence when it cannot be used."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.storage.data_dir import LOCK_FILE, DataDirError, claim
from app.storage.faults import DatabaseError
from tests.harness.boards import PATIENCE, BoardProcess

if sys.platform != "win32":
    import fcntl

CLAIM = "import sys; from pathlib import Path; from app.storage.data_dir import claim; claim(Path(sys.argv[1]))"


def start(folder: Path) -> str:
    """Start a board that cannot: the one sentence it says before it ends with exit code 1."""
    command = [sys.executable, "-m", "app.cli", "--no-browser", "--port", "0", "--data-dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("lossboard: ")
    assert "--data-dir" in line
    return line


def refusal(folder: Path) -> str:
    """What such a start says, without the rest of the board."""
    with pytest.raises((DataDirError, DatabaseError)) as refused:
        claim(folder)
    assert "--data-dir" in str(refused.value)
    return str(refused.value)


def refusal_under(folder: Path, *before: str) -> str:
    """As ``refusal``, in a process of its own that this command starts."""
    command = [*before, sys.executable, "-c", CLAIM, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1
    return done.stderr.splitlines()[-1]


def open_files() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_two_boards_on_one_folder(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    first = new_board(tmp_path / "data").start()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for name in ("data", "link", "data/../data"):
        words = start(tmp_path / name) if name == "data" else refusal(tmp_path / name)
        assert "Another board" in words
        assert str(tmp_path / name) in words
    assert first.wait_until(first.run()["id"])["status"] == "finished"


def test_a_board_that_was_killed_holds_nothing(new_board: Callable[..., BoardProcess], tmp_path: Path) -> None:
    first = new_board(tmp_path).start()
    first.run()
    first.stop(signal.SIGKILL)
    claim(tmp_path).release()
    assert new_board(tmp_path).start().get("/api/runs")["total"] == 1
    assert "Another board" in refusal(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="an open file cannot be deleted elsewhere")
def test_a_deleted_lock_file_lets_no_second_board_onto_the_folder(tmp_path: Path) -> None:
    held = claim(tmp_path)
    (tmp_path / LOCK_FILE).unlink()
    assert "Another board" in refusal(tmp_path)
    held.release()
    claim(tmp_path).release()


@pytest.mark.skipif(os.name != "posix", reason="POSIX locks")
def test_a_folder_that_cannot_be_locked_is_held_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_flock = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")  # as NFS refuses to lock what is open for reading only
        real_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = claim(tmp_path)
    assert "Another board" in refusal(tmp_path)
    held.release()
    claim(tmp_path).release()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is open is found as on Linux")
def test_a_refused_claim_keeps_nothing_open(tmp_path: Path) -> None:
    held = claim(tmp_path)
    before = open_files()
    refusal(tmp_path)
    (tmp_path / LOCK_FILE).unlink()
    refusal(tmp_path)
    assert open_files() == before
    held.release()


def test_something_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert str(tmp_path / "file") in start(tmp_path / "file")
    for folder in ("file", "file/below", "x" * 300):
        assert str(tmp_path / folder) in refusal(tmp_path / folder)
    (tmp_path / "one" / "lossboard.lock").mkdir(parents=True)
    assert str(tmp_path / "one") in refusal(tmp_path / "one")
    (tmp_path / "two" / "lossboard.sqlite3").mkdir(parents=True)
    assert "lossboard.sqlite3" in refusal(tmp_path / "two")


def test_a_database_of_a_newer_lossboard(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lossboard.sqlite3") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    words = start(tmp_path)
    assert "newer Lossboard" in words
    assert "99" in words


def test_a_database_that_is_none_or_another_programs(tmp_path: Path) -> None:
    file = tmp_path / "lossboard.sqlite3"
    file.write_text("not a database, but long enough to be read as one" * 100)
    assert f"{file} cannot be opened" in refusal(tmp_path)
    file.unlink()
    for version in (0, 1):
        with sqlite3.connect(file) as database:
            database.executescript(f"CREATE TABLE IF NOT EXISTS runs (x); PRAGMA user_version = {version}")
        database.close()
        assert f"{file} cannot be opened" in refusal(tmp_path)


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    for blocks in (1, 20):
        limited = ("bash", "-c", f'ulimit -f {blocks}; exec "$@"', "bash")
        assert "lossboard.sqlite3 cannot be opened" in refusal_under(tmp_path / str(blocks), *limited)


def test_a_full_disk_and_one_that_is_read_only(tmp_path: Path) -> None:
    mounted = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}"
    apart = [*("unshare", "--map-root-user", "--mount", "sh", "-c")]
    if not shutil.which("unshare") or subprocess.run([*apart, mounted], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    assert "full" in refusal_under(tmp_path, *apart, f'{mounted} && "$@"', "sh")
    read_only = f'{mounted} && mount -o remount,ro {tmp_path} && "$@"'
    assert "Read-only" in refusal_under(tmp_path, *apart, read_only, "sh")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert str(tmp_path) in refusal(tmp_path)
        assert str(tmp_path / "below") in refusal(tmp_path / "below")
    finally:
        tmp_path.chmod(0o700)
