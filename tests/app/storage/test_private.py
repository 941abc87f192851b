"""The data folder, closed to other users."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.storage.data_dir import DataDirError, claim, take
from app.storage.private import identity_key, make_private
from tests.harness.modes import modes_in, open_to_others

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no modes")


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A data folder as an older board has left it, under umask 0, beside something that is not the board's."""
    folder = tmp_path / "data"
    for name in ("journals/abc/media", "visdom", "src"):
        (folder / name).mkdir(parents=True)
    for name in ("lossboard.sqlite3", "lossboard.sqlite3-wal", "address", "journals/abc/media/1.medium", "src/run.sh"):
        (folder / name).touch()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777)
    return folder


def test_what_is_made_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        held = claim(tmp_path / "data")
        try:
            (tmp_path / "data" / "more").mkdir(0o777)
            assert not open_to_others(tmp_path / "data")
        finally:
            held.release()
        (tmp_path / "later").touch()
    finally:
        os.umask(before)
    assert modes_in(tmp_path / "data")["lossboard.sqlite3"] == 0o600
    assert modes_in(tmp_path)["later"] == 0o666  # the umask is as it was


def test_a_folder_that_was_open_is_mended_with_a_word(wide: Path, caplog: pytest.LogCaptureFixture) -> None:
    take(wide).release()
    assert [path for path in open_to_others(wide) if not path.startswith("src")] == []
    (line,) = caplog.messages
    assert line.startswith(f"{wide} and 8 files and folders in it were readable by others; mended")
    take(wide).release()
    assert len(caplog.messages) == 1


def test_what_is_not_the_boards_stays_as_it_is(wide: Path) -> None:
    make_private(wide)
    modes = modes_in(wide)
    assert modes["src"] == modes["src/run.sh"] == 0o777
    assert modes["lossboard.sqlite3"] == 0o700  # its owner's rights stay


def test_a_folder_that_nobody_else_could_enter_is_nothing_to_tell_of(
    wide: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wide.chmod(0o700)
    make_private(wide)
    assert modes_in(wide)["address"] == 0o700
    assert caplog.messages == []


@pytest.mark.parametrize(
    "name", ["lossboard.sqlite3", "lossboard.sqlite3-wal", "lossboard.lock", "address", "tokens.json"]
)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_in_the_place_of_a_file_is_refused(tmp_path: Path, name: str, is_there: bool) -> None:
    target = tmp_path / "target"
    if is_there:
        target.write_text("precious")
        target.chmod(0o644)
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / name).symlink_to(target)
    with pytest.raises(DataDirError, match=rf"{name} in it is a symbolic link, .* --data-dir"):
        claim(folder)
    assert target.exists() is is_there
    assert not is_there or (target.read_text(), target.stat().st_mode & 0o777) == ("precious", 0o644)


def test_links_in_our_folders_are_not_followed(wide: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(0o755)
    (wide / "journals" / "link").symlink_to(target)
    make_private(wide)
    assert target.stat().st_mode & 0o777 == 0o755


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(DataDirError, match=r"it belongs to another user\. Choose another with --data-dir"):
        claim(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_key_is_made_once(tmp_path: Path) -> None:
    key = identity_key(tmp_path)
    assert len(key) == 32
    assert identity_key(tmp_path) == key == (tmp_path / "identity.key").read_bytes()
    assert open_to_others(tmp_path) == []
    (tmp_path / "identity.key").write_bytes(b"cut off")
    assert identity_key(tmp_path) not in (key, b"cut off")


def test_a_file_system_without_modes_is_told_of(
    wide: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def chmod(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    make_private(wide)
    assert f"{wide} cannot be closed to other users: Operation not permitted" in caplog.messages
