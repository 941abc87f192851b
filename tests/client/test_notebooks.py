"""What becomes of the runs of a notebook's cells, in IPython itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("IPython", reason="group integrations: IPython is not installed")

SHELL = """
import json, os, sys
import lossboard
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.kernel = type("Kernel", (), {"get_parent": lambda self: {"metadata": {"cellId": self.cell}}})()
for cell, source in json.loads(sys.argv[1]):
    shell.kernel.cell = cell
    shell.run_cell(source, store_history=True, silent=False)
runs = {run.id: json.loads((run.journal.folder / "run.json").read_bytes())["name"] for run in lossboard.active_runs}
folder = lossboard.data_folder() / "journals"
ended = {one.parent.name: json.loads(one.read_bytes()) for one in folder.glob("*/ending.json")}
print(json.dumps({name: ended.get(id, {}).get("status", "goes on") for id, name in runs.items()}), flush=True)
os._exit(0)
"""


def states(folder: Path, *cells: tuple[str, str]) -> dict[str, str]:
    """How each run stands after these cells, each an id and its source, were run one after the other."""
    environment = {"LOSSBOARD_DIR": str(folder), "LOSSBOARD_URL": "http://127.0.0.1:9", "IPYTHONDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SHELL, json.dumps(cells)],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return told


def begin(name: str) -> str:
    return f"import lossboard\n{name} = lossboard.run({name!r})\n{name}.log(loss=1)\n"


def test_a_run_goes_on_after_its_cell(tmp_path: Path) -> None:
    assert states(tmp_path, ("a", begin("first")), ("b", "first.log(loss=2)\n1 / 0")) == {"first": "goes on"}


@pytest.mark.parametrize(("raised", "status"), [("1 / 0", "failed"), ("raise KeyboardInterrupt", "stopped")])
def test_a_cell_that_fails_ends_the_runs_it_began(tmp_path: Path, raised: str, status: str) -> None:
    cells = [("a", begin("first")), ("b", begin("second") + raised)]
    assert states(tmp_path, *cells) == {"first": "goes on", "second": status}


def test_a_cell_that_is_run_again_ends_its_earlier_run_also_when_it_was_edited(tmp_path: Path) -> None:
    cells = [("a", begin("first") + begin("second")), ("b", begin("other")), ("a", begin("third"))]
    expected = {"first": "finished", "second": "finished", "third": "goes on", "other": "goes on"}
    assert states(tmp_path, *cells) == expected
