"""The client on every Python it is made for that is found here, alone and without a library."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.fake_board import FakeBoard

CLIENT = Path(__file__).parents[2] / "lossboard.py"
SCRIPT = """
import lossboard
run = lossboard.run("any Python", params={"lr": 0.1}, tags=["a"], live=["lr"])
for step in range(100):
    run.log(loss=step)
    run.log({"val": {"loss": step}}, step=step)
run.summary["best"] = 1
print(run.params["lr"], run.finish())
"""


@functools.cache
def python(version: str) -> str | None:
    """The path of a Python of this version, or None."""
    found = [*Path.home().glob(f".pyenv/versions/{version}.*/bin/python"), shutil.which(f"python{version}")]
    for path in filter(None, found):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(path)
    return None


def run_alone(version: str, folder: Path, url: str) -> subprocess.CompletedProcess[str]:
    """The script with nothing but the client beside it."""
    path = python(version)
    if path is None:
        pytest.skip(f"there is no Python {version} here")
    shutil.copy(CLIENT, folder)
    (folder / "script.py").write_text(SCRIPT)
    environment = {"LOSSBOARD_DIR": str(folder / "data"), "LOSSBOARD_URL": url, "PATH": os.environ["PATH"]}
    return subprocess.run(
        [path, "-S", "-W", "error", "script.py"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_client_reports_on(version: str, fake: FakeBoard, tmp_path: Path) -> None:
    done = run_alone(version, tmp_path, fake.url)
    assert (done.stdout, done.stderr) == ("0.1 True\n", "")
    assert fake.accepted == 200
    assert fake.paths[-1] == "finish"


def test_an_older_python_is_told_which_one_it_takes(tmp_path: Path) -> None:
    done = run_alone("3.8", tmp_path, "http://127.0.0.1:9")
    assert done.stderr.splitlines()[-1].startswith("ImportError: lossboard.py needs Python 3.9 or newer; this is 3.8.")
