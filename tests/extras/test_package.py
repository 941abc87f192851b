"""The package as people get it: from a board, in an archive that lies beside lossboard.py."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.api.client import add_client
from tests.test_architecture import LIBRARIES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "lossboard_extras"
OLDEST = "3.9"


@pytest.fixture
def archive() -> bytes:
    """As a board hands it out."""
    app = FastAPI()
    add_client(app)
    answer = TestClient(app).get("/lossboard_extras.zip")
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


def test_the_board_serves_the_package(archive: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    assert contents == {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in PACKAGE.rglob("*.py")}


def oldest_python() -> str:
    """The oldest interpreter that the package is for; skips the test where there is none."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = [*map(str, versions.glob(f"{OLDEST}.*/bin/python")), shutil.which(f"python{OLDEST}")]
    for python in filter(None, found):
        if subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"there is no Python {OLDEST} here")


def test_every_module_is_imported_from_the_archive_by_the_oldest_python(archive: bytes, tmp_path: Path) -> None:
    shutil.copy(ROOT / "lossboard.py", tmp_path)
    (tmp_path / "lossboard_extras.zip").write_bytes(archive)
    stems = {path.stem for path in PACKAGE.glob("*.py")} - LIBRARIES - {"__init__", "__main__"}
    names = [f"lossboard_extras.{stem}" for stem in sorted(stems)]
    program = f"import importlib\nfor name in {names}:\n    print(importlib.import_module(name).__file__)\n"
    environment = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'lossboard_extras.zip'}"}
    command = [oldest_python(), "-S", "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if "lossboard_extras.zip" in line]) == len(names)
