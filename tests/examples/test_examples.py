"""The examples, run as they are but short: what they log is on a board, and in its windows."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.boards import PATIENCE, BoardProcess, wait_for

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LIBRARIES = ("accelerate", "ipykernel", "lightning", "nbclient", "sklearn", "tensorboard", "transformers")
MISSING = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"group integrations: {', '.join(MISSING)} not installed")

# Those with a loop of their own, in one process: to import the libraries takes longer than to train.
SCRIPTS = {
    "digits_torch": "--epochs 2",
    "digits_sklearn": "--epochs 5",
    "characters": "--steps 30",
    "digits_lightning": "--epochs 2",
    "sums_transformers": "--steps 40",
}
ONE_AFTER_THE_OTHER = """
import runpy, shlex, sys
for line in sys.argv[1:]:
    sys.argv = shlex.split(line)
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Workplace:
    """Runs programs in a folder of their own; they report to the board."""

    def __init__(self, folder: Path, board: BoardProcess) -> None:
        self.folder = folder
        self.board = board
        self.environment = {**os.environ, "LOSSBOARD_URL": board.url, "LOSSBOARD_DIR": str(folder / "data")}
        self.environment |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(folder)}

    def run(self, *command: str | Path) -> None:
        """Run a program to its end."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,  # for all scripts
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @contextlib.contextmanager
    def going_on(self, *arguments: str) -> Iterator[None]:
        """Have a command of Lossboard run meanwhile."""
        command = [sys.executable, "-m", "lossboard", *arguments]
        with subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL) as process:
            try:
                yield
            finally:
                process.terminate()

    def runs(self, **wanted: Any) -> list[dict[str, Any]]:
        """The board's runs that are described like this."""
        return [run for run in self.board.get("/api/runs")["items"] if wanted.items() <= run.items()]

    def windows(self, run: dict[str, Any]) -> list[str]:
        """The titles of the windows of a run's metrics."""
        return sorted(self.board.get("/api/board/metrics", run=run["id"])["shown"])

    def metric(self, run: dict[str, Any], name: str) -> list[float]:
        """The values of a metric, without the points that lack it."""
        values = self.board.get(f"/api/runs/{run['id']}/points")["metrics"][name]
        return [value for value in values if value is not None]


@pytest.fixture(scope="module")
def workplace(shared_board: BoardProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    yield Workplace(tmp_path_factory.mktemp("examples"), shared_board)
    shared_board.clear()


@pytest.fixture(scope="module")
def trained(workplace: Workplace) -> Workplace:
    """The workplace, when the scripts have been run."""
    lines = [f"{shlex.quote(str(EXAMPLES / name))}.py {arguments}" for name, arguments in SCRIPTS.items()]
    workplace.run(sys.executable, "-c", ONE_AFTER_THE_OTHER, *lines)
    return workplace


@pytest.mark.parametrize(
    ("described", "loss", "windows"),
    [
        ({"name": "digits", "tags": ["torch"]}, "train/loss", ["accuracy", "epoch", "loss", "lr"]),
        ({"name": "digits", "tags": ["scikit-learn"]}, "loss/val", ["accuracy", "loss"]),
        ({"name": "characters"}, "train/loss", ["grad_norm", "loss", "lr"]),
        ({"name": "digits", "tags": ["lightning"]}, "train_loss", ["acc", "epoch", "loss"]),
        ({"name": "sums"}, "loss", ["epoch", "grad_norm", "learning_rate", "loss"]),
    ],
    ids=SCRIPTS,
)
def test_a_script_learns_and_its_metrics_have_windows(
    trained: Workplace, described: dict[str, Any], loss: str, windows: list[str]
) -> None:
    [run] = trained.runs(**described)
    assert run["status"] == "finished"
    assert run["params"]
    assert set(windows) <= set(trained.windows(run))
    losses = trained.metric(run, loss)
    assert losses[-1] < losses[0]


def test_what_the_transformer_writes_is_kept(trained: Workplace) -> None:
    [run] = trained.runs(name="characters")
    [sample] = trained.board.get(f"/api/runs/{run['id']}/media")["names"]
    assert (sample["name"], sample["kind"], sample["kept"]) == ("sample", "text", 1)


def test_a_script_that_logs_to_tensorboard_is_shown_unchanged(workplace: Workplace) -> None:
    (workplace.folder / "runs").mkdir()
    with workplace.going_on("watch", "runs", "--group", "watched"):
        script = [sys.executable, EXAMPLES / "summary_writer.py", "--steps", "30"]
        workplace.run(sys.executable, "-m", "lossboard", "run", "--group", "captured", "--", *script)
        wait_for(lambda: [run for run in workplace.runs(group="watched") if run["step"] == 29], "the watched run")
    for group in ("captured", "watched"):
        [run] = workplace.runs(group=group, name="lr=0.1")
        assert workplace.windows(run) == ["loss", "lr"]
        losses = workplace.metric(run, "Loss/train")
        assert len(losses) == 30
        assert losses[-1] < losses[0]


def test_a_notebook_is_shown_and_links_to_its_run(workplace: Workplace) -> None:
    executed = workplace.folder / "executed.ipynb"
    program = "from nbclient.cli import main; main()"
    workplace.run(sys.executable, "-c", program, EXAMPLES / "notebook.ipynb", f"--output={executed.with_suffix('')}")
    [run] = workplace.runs(name="notebook")
    assert (run["status"], workplace.windows(run)) == ("finished", ["accuracy", "loss"])
    *_, training, reading = json.loads(executed.read_text())["cells"]
    assert run["id"] in "".join(training["outputs"][-1]["data"]["text/html"])
    least = min(workplace.metric(run, "loss"))
    assert float(reading["outputs"][-1]["data"]["text/plain"][0]) == pytest.approx(least)
