"""What a script keeps in the data folder is its user's alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lossboard
from tests.harness.boards import PATIENCE, BoardProcess
from tests.harness.modes import modes_in, open_to_others

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has no modes")

ROOT = Path(lossboard.__file__).parent
AWAY = "http://127.0.0.1:9"

# Has each kind of file in its journal, and ends without an ending of its own making.
SCRIPT = """
import os, lossboard
os.umask(0)
run = lossboard.run("mine", params={"lr": 0.1}, live=["lr"])
run.take_control({"params": {"lr": 0.2}, "revision": 1})
run.log(loss=1.0)
run.text("said", "words")
run.journal.note_time()
run.journal.protect(1e9)
run.journal.seal(b"{}")
run.journal.protect(2e9)
open("own", "w").close()
assert os.umask(0) == 0
os._exit(0)
"""


def report(folder: Path, url: str = AWAY) -> None:
    """Run the script with its data in ``folder``."""
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder), "LOSSBOARD_URL": url, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, cwd=folder.parent, check=True, timeout=PATIENCE)


def test_a_journal_is_its_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    report(tmp_path / "data")
    assert open_to_others(tmp_path / "data") == []
    found = {Path(path).suffix or Path(path).name for path in modes_in(tmp_path / "data")}
    assert found >= {".json", ".jsonl", ".points", ".sums", ".medium", "lock", "journals", "media"}
    assert modes_in(tmp_path)["own"] == 0o666  # the umask is the script's own


def test_a_board_keeps_nothing_that_others_may_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with BoardProcess(folder, prefix=("sh", "-c", 'umask 0; exec "$@"', "sh"), LOSSBOARD_TOKEN="on") as board:
        report(folder)
        tokens = json.loads((folder / "tokens.json").read_text())
        board.client.headers["Authorization"] = f"Bearer {tokens['owner']}"
        board.wait_until(board.run(epochs=3)["id"])
        board.wait_for_visdom()
        subprocess.run(
            ["sh", "-c", 'umask 0; exec "$@"', "sh", sys.executable, "-m", "app.cli", "backup", str(folder / "copy")],
            env={**os.environ, "LOSSBOARD_DIR": str(folder)},
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert open_to_others(folder) == []
        assert modes_in(folder).keys() >= {"lossboard.sqlite3-wal", "copy", "address", "visdom/style.css"}


@pytest.mark.parametrize("name", ["lock", "run.json", "000001.points", "changes.jsonl", "times.jsonl", "ending.json"])
def test_no_link_is_written_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path / "data"))
    target = tmp_path / "target"
    target.write_text("precious")
    (lossboard.private_folder("journals", "mine") / name).symlink_to(target)
    warnings: dict[str, str] = {}
    journal = lossboard._Journal("mine", b"{}", warnings.__setitem__)
    journal.note_change(0, {"lr": 0.1})
    assert journal.place_for(("loss",)) != (None, None)
    next(journal.numbers)
    journal.note_time()
    journal.seal(b"{}")
    assert target.read_text() == "precious"
    assert [*warnings] == {"lock": ["folder"], "run.json": ["folder"], "000001.points": ["disk"]}.get(name, [])
    journal.leave(remove=True)


def test_nothing_is_kept_in_another_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    warnings: dict[str, str] = {}
    journal = lossboard._Journal("mine", b"{}", warnings.__setitem__)
    assert f"({tmp_path} belongs to another user); points wait in memory" in warnings["folder"]
    assert journal.place_for(("loss",)) != (None, None)
    assert not [*tmp_path.iterdir()]
