"""What is larger than lossboard.py: it is found when it lies beside that, and its absence spoils nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import lossboard

ROOT = Path(__file__).parents[2]
BEGUN = 'import lossboard, os\nrun = lossboard.run("script", url="http://127.0.0.1:9")\n'
ENDED = "\nos._exit(0)\n"


def run_beside(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """A script in a folder that has lossboard.py and nothing else of ours."""
    shutil.copy(ROOT / "lossboard.py", folder)
    (folder / "script.py").write_text(BEGUN + textwrap.dedent(body) + "print('done', flush=True)" + ENDED)
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder / "data"), "LOSSBOARD_URL": "http://board:8000"}
    return subprocess.run(
        [sys.executable, "-P", "-S", "-c", "import sys; sys.path.insert(0, '.'); import script"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_part_that_is_missing_is_one_warning_that_says_how_to_get_it(tmp_path: Path) -> None:
    done = run_beside(
        tmp_path,
        """
        run.image("sample", object())
        run.image("sample", object())
        with lossboard.SummaryWriter("logs") as writer:
            writer.add_scalar("loss", 1.0, 0)
        assert list(lossboard.runs(group="x")) == []
        """,
    )
    assert done.stdout == "done\n", done.stderr
    lines = [line for line in done.stderr.splitlines() if "UserWarning" in line]
    assert [line.partition("lossboard: ")[2].split()[0] for line in lines] == ["image", "SummaryWriter", "runs"]
    assert all("curl -O http://board:8000/lossboard_extras.zip" in line for line in lines)


def test_the_archive_beside_the_client_is_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "lossboard_extras.zip", "w") as archive:
        archive.writestr("lossboard_extras/__init__.py", "")
        archive.writestr("lossboard_extras/media.py", "def image(run, name, step=None):\n    print(run.id, name, step)")
        archive.writestr("lossboard_extras/reading.py", "def runs(group=None):\n    return [group]")
    done = run_beside(tmp_path, "print(run.id)\nrun.image('sample', step=3)\nprint(lossboard.runs(group='lr'))\n")
    run_id, *others = done.stdout.splitlines()
    assert others == [f"{run_id} sample 3", "['lr']", "done"], done.stderr
    assert "UserWarning" not in done.stderr


def test_names_that_there_are_not_are_errors_as_everywhere() -> None:
    with pytest.raises(AttributeError, match="lossboard has no 'imaeg'"):
        lossboard.imaeg  # noqa: B018
    assert not hasattr(lossboard, "__path__")
