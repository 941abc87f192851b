"""The documentation: complete as to what people can use, and without what is no longer there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from app.cli import commands
from app.main import create_app
from app.settings import Settings
from trainers import METHODS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
PATH_OF_OURS = re.compile(r"`((?:app|benchmarks|docs|examples|static|tests|trainers)/[\w./]*)`")
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
VERBS = {"get", "post", "put", "patch", "delete"}
VARIABLES_OF_SCRIPTS = {"LOSSBOARD_URL", "LOSSBOARD_DIR", "LOSSBOARD_SYNC"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def first_cells(document: str) -> list[str]:
    """The first cell of every row of its tables."""
    return [line.split("|")[1].strip() for line in document.splitlines() if line.startswith("|")]


def blocks_of_python() -> list[tuple[str, str]]:
    """The name of a document and a block of Python in it, for each there is."""
    return [(path.name, block) for path in DOCUMENTS for block in PYTHON_BLOCK.findall(path.read_text("utf-8"))]


def test_the_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 140


def test_the_readme_has_the_two_commands() -> None:
    readme = text_of("README.md")
    assert "pip install uv && uv run lossboard" in readme
    assert "uv run pytest" in readme


def test_the_readme_lists_the_methods() -> None:
    listed = [cell.strip("`") for cell in first_cells(text_of("README.md"))]
    assert [name for name in listed if name in METHODS] == list(METHODS)


def test_every_setting_is_documented_and_no_other() -> None:
    documented = {
        name for cell in first_cells(text_of("docs/settings.md")) for name in re.findall(r"LOSSBOARD_\w+", cell)
    }
    assert documented - VARIABLES_OF_SCRIPTS == {f"LOSSBOARD_{name.upper()}" for name in Settings.model_fields}
    assert documented >= VARIABLES_OF_SCRIPTS


def test_every_route_is_documented_and_no_other(tmp_path: Path) -> None:
    documented = {
        (verb.lower(), path)
        for cell in first_cells(text_of("docs/rest.md"))
        for verb in re.findall(r"[A-Z]+", cell.partition("`")[0])
        for path in re.findall(r"`(/api/[^`]*)`", cell)
    }
    paths = create_app(Settings(data_dir=tmp_path)).openapi()["paths"]
    routes = {(verb, path.replace("{run_id}", "{id}")) for path, verbs in paths.items() for verb in VERBS & set(verbs)}
    assert documented == routes


def test_every_command_and_its_options_are_documented() -> None:
    lossboard = typer.main.get_command(commands)
    assert isinstance(lossboard, typer.core.TyperGroup)
    everything = "".join(path.read_text("utf-8") for path in DOCUMENTS)
    assert [name for name in lossboard.commands if f"lossboard {name}" not in everything] == []
    parameters = [param for command in (lossboard, *lossboard.commands.values()) for param in command.params]
    names = {name for param in parameters for name in [*param.opts, *param.secondary_opts]}
    options = {name for name in names if name.startswith("-")}
    assert {option for option in options if f"`{option}`" not in text_of("docs/settings.md")} == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in LINK.findall(text) if not link.startswith(("http:", "https:", "#"))]
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert [name for name in PATH_OF_OURS.findall(text) if "NAME" not in name and not (ROOT / name).exists()] == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    found: set[Path] = set()
    left = [ROOT / "README.md"]
    while left:
        path = left.pop()
        found.add(path)
        linked = {(path.parent / link.partition("#")[0]).resolve() for link in LINK.findall(path.read_text("utf-8"))}
        left += [other for other in linked if other.suffix == ".md" and other not in found]
    assert set(DOCUMENTS) <= found


@pytest.mark.parametrize(("name", "block"), blocks_of_python())
def test_python_in_the_documents_compiles(name: str, block: str) -> None:
    compile(block, name, "exec")


def test_there_is_python_to_compile() -> None:
    assert "README.md" in dict(blocks_of_python())
