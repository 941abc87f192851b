"""The shape of the code: imports go one way, and modules stay small."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "trainers", "lossboard_extras")
SOURCES = [*ROOT.glob("*.py"), *(path for top in PACKAGES for path in (ROOT / top).rglob("*.py"))]


LIBRARIES = {"keras", "lightning", "transformers"}  # each with a module of lossboard_extras of its name


def imports_of(path: Path) -> set[str]:
    """The top-level names of all that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


# The rooms of app/, its packages and top modules, from the ground up: each imports only those before it.
ROOMS = [
    *("addresses", "assets", "errors", "events", "processes", "settings"),
    *("schemas", "storage", "charts", "workers", "runs", "visdom", "middleware", "services", "api", "main", "cli"),
]
MAX_ARROWS = 60  # pairs of rooms of which one imports the other


def arrows() -> set[tuple[str, str]]:
    """The pairs of rooms of which the first imports the second."""
    found: set[tuple[str, str]] = set()
    for path in (ROOT / "app").rglob("*.py"):
        room = path.relative_to(ROOT / "app").with_suffix("").parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{name}" for name in names]
            rooms = {name.split(".")[1] for name in names if name.startswith("app.")}
            found |= {(room, other) for other in rooms & set(ROOMS) - {room}}
    return found


def test_every_part_of_the_app_has_its_place() -> None:
    parts = {path.stem for path in (ROOT / "app").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert parts - {"__init__"} == set(ROOMS)


def test_imports_go_downwards_only() -> None:
    upwards = {(room, other) for room, other in arrows() if room in ROOMS and ROOMS.index(room) < ROOMS.index(other)}
    assert not upwards
    assert len(arrows()) <= MAX_ARROWS


def test_schemas_import_nothing_of_ours_but_trainers() -> None:
    assert not {other for room, other in arrows() if room == "schemas"}
    for path in (ROOT / "app/schemas").glob("*.py"):
        assert "lossboard" not in imports_of(path), path


def test_trainers_import_nothing_of_ours_but_themselves() -> None:
    for path in (ROOT / "trainers").rglob("*.py"):
        assert imports_of(path).isdisjoint({"app", "lossboard", "fastapi", "visdom", "multiprocessing"}), path


def test_the_client_needs_the_standard_library_only() -> None:
    assert imports_of(ROOT / "lossboard.py") <= sys.stdlib_module_names | {"__future__"}
    for path in (ROOT / "lossboard_extras").rglob("*.py"):
        library = {path.stem} if path.stem in LIBRARIES else set()
        assert imports_of(path) <= sys.stdlib_module_names | {"lossboard", "lossboard_extras"} | library, path


def test_the_app_imports_neither_torch_nor_visdom() -> None:
    program = "import sys, app.main; print(*{'torch', 'visdom', 'tornado', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == ""


def test_visdom_and_the_database_are_touched_in_one_place_each() -> None:
    def users(name: str) -> set[str]:
        return {path.relative_to(ROOT).as_posix() for path in SOURCES if name in imports_of(path)}

    assert users("visdom") == {"app/visdom/server_process.py"}
    assert {Path(user).parent.as_posix() for user in users("sqlite3")} == {"app/storage"}


@pytest.mark.parametrize("path", [*SOURCES, *(ROOT / "static").iterdir()], ids=lambda path: path.name)
def test_no_module_is_long(path: Path) -> None:
    most = 1270 if path.name == "lossboard.py" else 500  # the client is one file, for people to copy
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most
