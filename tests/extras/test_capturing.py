"""`lossboard run`: what a program logs elsewhere is shown, and the program is as it was.

The libraries are small ones that have the same modules, classes and functions as the real ones.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import lossboard
from app.api.client import packed_extras
from app.runs import journals
from lossboard_extras.launching import end, ending_of
from tests.extras.test_package import oldest_python
from tests.harness.boards import BoardProcess, wait_for

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    **dict.fromkeys(["torch/__init__.py", "torch/utils/__init__.py", "torch/optim/__init__.py"], ""),
    "torch/utils/tensorboard/__init__.py": "from .writer import SummaryWriter",
    "torch/utils/tensorboard/writer.py": """
        class SummaryWriter:
            def __init__(self, log_dir):
                self.log_dir = log_dir
            def add_scalar(self, tag, scalar_value, global_step=None):
                return f"{tag} is in {self.log_dir}"
            def add_scalars(self, main_tag, values, global_step=None):
                for name, value in values.items():
                    self.add_scalar(f"{main_tag}_{name}", value, global_step)
            def close(self):
                pass
        """,
    "torch/optim/optimizer.py": """
        BEFORE, AFTER = [], []
        register_optimizer_step_pre_hook, register_optimizer_step_post_hook = BEFORE.append, AFTER.append
        class SGD:
            def __init__(self):
                self.param_groups = [{"lr": 0.1}]
            def step(self):
                for hook in BEFORE:
                    hook(self, (), {})
                self.used = self.param_groups[0]["lr"]
                for hook in AFTER:
                    hook(self, (), {})
        """,
    **dict.fromkeys(
        ["lightning/__init__.py", "lightning/fabric/__init__.py", "lightning/fabric/loggers/__init__.py"], ""
    ),
    "lightning/fabric/loggers/tensorboard.py": """
        from torch.utils.tensorboard import SummaryWriter
        class TensorBoardLogger:
            experiment = SummaryWriter("logs/version_0")
            def log_hyperparams(self, params):
                self.experiment.add_scalar("hp_metric", -1, 0)  # before the hyperparameters, which it writes itself
        """,
    "wandb/__init__.py": """
        class Run:
            name, project, config = "eager-fox-1", "foxes", {"lr": 0.1}
            def log(self, data, step=None, commit=None):
                return "logged"
            def finish(self):
                pass
        def init(**options):
            global run
            run = Run()
            return run
        def log(*args):
            raise RuntimeError("call wandb.init() first")
        """,
}


class Program:
    """Runs programs beside the libraries, each with a data folder of its own."""

    def __init__(self, folder: Path, board: BoardProcess, libraries: dict[str, str]) -> None:
        self.folder = folder
        self.board = board
        for name, text in libraries.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def command(self, *options: str) -> list[str]:
        """As `python -m lossboard run`, which starts faster than the command of an installed Lossboard."""
        main = "import sys; from lossboard_extras.command import main; sys.exit(main())"
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); {main}"
        return [sys.executable, "-c", program, "run", "--url", self.board.url, *options]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LOSSBOARD_DIR": str(self.folder / "data"), "PYTHONPATH": str(self.folder)}

    def run(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; then send what it left behind, as the next board does."""
        self.write("program.py", text)
        command = [*self.command(*options), "--", sys.executable, "program.py"]
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        for sent in journals.sync(self.folder / "data", self.board.url):
            assert sent.refusal is None, sent
        return done

    def runs(self) -> list[dict[str, Any]]:
        return list(self.board.get("/api/runs")["items"])

    def points(self, run_id: str) -> dict[str, Any]:
        return dict(self.board.get(f"/api/runs/{run_id}/points"))


@pytest.fixture
def program(tmp_path: Path, board: BoardProcess) -> Program:
    return Program(tmp_path, board, LIBRARIES)


def test_a_writer_is_shown_and_works_as_before(program: Program) -> None:
    done = program.run(
        """
        from torch.utils.tensorboard import SummaryWriter
        writer, other = SummaryWriter("runs/one"), SummaryWriter("runs/two")
        for step in range(3):
            print(writer.add_scalar("loss", step / 2, step))
        other.add_scalars("acc", {"train": 1.0, "val": 0.5}, global_step=7)  # which calls add_scalar() itself
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "loss is in runs/one\n" * 3, "")
    one, other = sorted(program.runs(), key=lambda run: str(run["name"]))
    assert [(run["name"], run["group"], run["status"]) for run in (one, other)] == [
        ("one", "runs", "finished"),
        ("two", "runs", "finished"),
    ]
    assert program.points(one["id"])["metrics"] == {"loss": [0, 0.5, 1]}
    assert program.points(other["id"])["step"] == [7]
    assert program.points(other["id"])["metrics"] == {"acc/train": [1], "acc/val": [0.5]}


def test_hyperparameters_of_lightning_are_those_of_the_run(program: Program) -> None:
    done = program.run(
        """
        from argparse import Namespace
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger
        TensorBoardLogger().log_hyperparams(Namespace(lr=0.1, model={"width": 32}))
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    [run] = program.runs()
    assert (run["name"], run["params"], run["last"]) == (
        "version_0",
        {"lr": 0.1, "model": {"width": 32}},
        {"hp_metric": -1},
    )


def test_wandb_is_shown_with_its_config_and_steps(program: Program) -> None:
    done = program.run(
        """
        import wandb
        run = wandb.init(project="foxes")
        print(wandb.log({"loss": 1.0, "val": {"acc": 0.5}}))
        run.log({"loss": 2.0}, commit=False)
        run.log({"lr": 3.0})
        run.log({"loss": 4.0}, step=10)
        wandb.finish()
        """
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "logged\n", "")
    [run] = program.runs()
    assert (run["name"], run["group"], run["params"], run["status"]) == (
        "eager-fox-1",
        "foxes",
        {"lr": 0.1},
        "finished",
    )
    points = program.points(run["id"])
    assert points["step"] == [0, 1, 1, 10]
    assert points["metrics"]["loss"] == [1, 2, None, 4]


def test_a_program_that_only_looks_whether_a_library_is_there_is_not_changed(program: Program) -> None:
    program.write("sitecustomize.py", "import sys\nOWN = sys.own = 'its own sitecustomize'")
    done = program.run(
        """
        import importlib.util, sys
        spec = importlib.util.find_spec("wandb")
        print(spec.origin == spec.loader.path, "wandb" in sys.modules)
        print(sys.own, sys.modules["sitecustomize"].OWN)
        print([name for name in sys.modules if name.startswith("lossboard")])
        """
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True False", "its own sitecustomize its own sitecustomize", "[]"]
    assert program.runs() == []


def test_processes_that_the_program_spawns_are_captured(program: Program) -> None:
    done = program.run(
        """
        import multiprocessing
        def train(rank):
            from torch.utils.tensorboard import SummaryWriter
            SummaryWriter(f"runs/{rank}").add_scalar("loss", rank, 0)
        if __name__ == "__main__":
            for rank in (1, 2):
                process = multiprocessing.get_context("spawn").Process(target=train, args=(rank,))
                process.start()
                process.join()
        """,
        "--group",
        "ranks",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [(run["name"], run["group"], run["last"]) for run in program.runs()] == [
        ("2", "ranks", {"loss": 2}),
        ("1", "ranks", {"loss": 1}),
    ]


@pytest.mark.parametrize(
    ("last", "code", "status", "error"),
    [
        ("sys.exit(3)", 3, "failed", "SystemExit: 3"),
        ("os._exit(3)", 3, "failed", "The program ended with exit code 3."),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "failed", "The program ended with signal SIGKILL."),
        ("raise KeyboardInterrupt", 130, "stopped", None),
    ],
)
def test_the_run_ends_as_the_program_does(program: Program, last: str, code: int, status: str, error: Any) -> None:
    done = program.run(
        f"""
        import os, signal, sys
        from torch.utils.tensorboard import SummaryWriter
        writer = SummaryWriter("exp")
        for step in range(100):
            writer.add_scalar("loss", step, step)
        {last}
        """
    )
    assert done.returncode == code
    [run] = program.runs()
    assert (run["status"], run["error"], run["step"]) == (status, error, 99)


def test_a_run_is_held_changed_and_stopped_at_a_step_of_the_optimizer(program: Program) -> None:
    program.write(
        "program.py",
        """
        import itertools, time
        from torch.optim import optimizer
        from torch.utils.tensorboard import SummaryWriter
        writer, sgd = SummaryWriter("exp"), optimizer.SGD()
        for step in itertools.count():
            sgd.step()
            writer.add_scalar("used", sgd.used, step)
            writer.add_scalar("scheduled", sgd.param_groups[0]["lr"], step)
            time.sleep(0.001)
        """,
    )
    command = [*program.command(), sys.executable, "program.py"]
    process = subprocess.Popen(command, env=program.environment, cwd=program.folder, stderr=subprocess.PIPE)
    [run] = wait_for(program.runs, "the run")
    path = f"/api/runs/{run['id']}"
    wait_for(lambda: program.board.get(path)["params"] == {"lr": 0.1}, "the learning rate")
    assert program.board.client.patch(path, json={"params": {"lr": 0.5}}).status_code == 200
    wait_for(
        lambda: program.board.get(path)["last"] == {"used": 0.5, "scheduled": 0.1, "lr": 0.5}, "another learning rate"
    )
    assert program.board.client.post(f"{path}/pause").status_code == 202
    wait_for(lambda: program.board.get(path)["status"] == "paused", "the pause")

    def stands_still() -> bool:
        before = program.board.get(path)["step"]
        return (
            wait_for(lambda: program.board.get(path)["step"] is not None) and program.board.get(path)["step"] == before
        )

    wait_for(stands_still, "that it is held")
    assert program.board.client.post(f"{path}/stop").status_code == 202
    _, errors = process.communicate()
    assert process.returncode != 0
    assert b"KeyboardInterrupt: stopped on the board" in errors
    assert program.board.wait_until(run["id"], "stopped")["status"] == "stopped"


def test_a_program_that_is_not_there_is_a_sentence(program: Program) -> None:
    command = program.command("--", "no-such-program")
    done = subprocess.run(command, env=program.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (127, "lossboard: there is no program 'no-such-program'\n")
    command = program.command("--", str(ROOT / "lossboard.py"))
    done = subprocess.run(command, env=program.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 126
    assert "name an interpreter before a script" in done.stderr


def test_ctrl_c_is_the_programs(program: Program) -> None:
    program.write(
        "program.py",
        """
        import sys, time
        try:
            print("ready", flush=True)
            time.sleep(120)
        except KeyboardInterrupt:
            print("saved", flush=True)
            sys.exit(5)
        """,
    )
    command = [*program.command(), "--", sys.executable, "program.py"]
    process = subprocess.Popen(
        command, env=program.environment, cwd=program.folder, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.killpg(process.pid, signal.SIGINT)
    assert (process.communicate()[0], process.returncode) == ("saved\n", 5)


@pytest.mark.parametrize(
    ("code", "status"), [(0, "finished"), (-2, "stopped"), (-15, "stopped"), (-9, "failed"), (1, "failed")]
)
def test_an_ending_follows_from_the_exit_code(code: int, status: str) -> None:
    assert ending_of(code)["status"] == status


def test_only_a_journal_that_nobody_holds_is_told_how_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    folder = tmp_path / "journals" / "a"
    assert not end("a", 1)
    folder.mkdir(parents=True)
    with lossboard.hold(folder):
        assert not end("a", 1)
    assert end("a", 1)
    assert end("a", 0)  # it has been told
    assert json.loads((folder / "ending.json").read_text())["status"] == "failed"


def test_the_oldest_python_needs_the_file_and_the_archive_only(tmp_path: Path, board: BoardProcess) -> None:
    python = oldest_python()
    program = Program(tmp_path, board, LIBRARIES)
    shutil.copy(ROOT / "lossboard.py", tmp_path)
    (tmp_path / "lossboard_extras.zip").write_bytes(packed_extras())
    program.write("program.py", "import wandb\nrun = wandb.init()\nrun.log({'loss': 0.5})")
    command = [python, "-m", "lossboard", "run", "--url", board.url, "--", python, "program.py"]
    done = subprocess.run(command, env=program.environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [(run["name"], run["last"], run["status"]) for run in program.runs()] == [
        ("eager-fox-1", {"loss": 0.5}, "finished")
    ]


def test_the_libraries_themselves_are_captured(tmp_path: Path, board: BoardProcess) -> None:
    pytest.importorskip("tensorboardX")
    pytest.importorskip("wandb")
    program = Program(tmp_path, board, {})
    done = program.run(
        """
        import numpy, tensorboardX, wandb
        writer = tensorboardX.SummaryWriter("runs/small")
        writer.add_scalars("acc", {"train": 1.0}, 3)
        writer.add_histogram("weights", [1.0, 2.0], 3)
        writer.close()
        with wandb.init(project="foxes", name="vixen", mode="disabled", config={"lr": 0.1}) as run:
            image = wandb.Image(numpy.zeros((8, 8, 3), numpy.uint8))
            run.log({"loss": 0.5, "drawn": image, "several": [image, image], "told": wandb.Table(columns=["a"])})
            wandb.log({"loss": 0.25, "weights": wandb.Histogram([1.0, 2.0, 2.0])})
        """
    )
    assert done.returncode == 0, done.stderr
    small, vixen = sorted(program.runs(), key=lambda run: str(run["name"]))
    assert (small["name"], small["group"], small["last"]) == ("small", "runs", {"acc/train": 1})
    assert (vixen["name"], vixen["group"], vixen["params"]) == ("vixen", "foxes", {"lr": 0.1})
    assert program.points(vixen["id"])["metrics"] == {"loss": [0.5, 0.25]}
    media = board.get(f"/api/runs/{vixen['id']}/media")["names"]
    assert [(one["name"], one["kind"]) for one in media] == [
        ("drawn", "image"),
        ("several/0", "image"),
        ("several/1", "image"),
        ("weights", "histogram"),
    ]
    assert "a value of 'told' was not logged" in done.stderr
    assert {run["status"] for run in (small, vixen)} == {"finished"}
