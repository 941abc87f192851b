"""How runs end where their script does, and what copies of them do."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import lossboard

ROOT = Path(__file__).parents[2]
AWAY = "http://127.0.0.1:9"


def run_script(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """A script without a board, whose runs wait for one for a tenth of a second at their end."""
    script = f"import lossboard, sys\nlossboard._FINISH_TIMEOUT_S = 0.1\n{textwrap.dedent(body)}"
    environment = {**os.environ, "LOSSBOARD_DIR": str(folder), "LOSSBOARD_URL": AWAY, "PYTHONPATH": str(ROOT)}
    (folder / "script.py").write_text(script)
    return subprocess.run(
        [sys.executable, folder / "script.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def endings(folder: Path) -> list[tuple[str, str | None]]:
    """Status and error of each run that said how it ended, sorted."""
    told: list[dict[str, Any]] = [json.loads(path.read_bytes()) for path in folder.rglob("ending.json")]
    return sorted((one["status"], one["error"]) for one in told)


@pytest.mark.parametrize(
    ("leave", "ending"),
    [
        ("sys.exit(1)", ("failed", "SystemExit: 1")),
        ("sys.exit('out of memory')", ("failed", "SystemExit: out of memory")),
        ("sys.exit(0)", ("finished", None)),
        ("sys.exit()", ("finished", None)),
        ("exit(1)", ("failed", "SystemExit: 1")),
        ("quit()", ("finished", None)),
        ("pass", ("finished", None)),
        ("raise KeyError('x')", ("failed", "KeyError: 'x'")),
        ("raise KeyboardInterrupt", ("stopped", None)),
        ("try:\n    sys.exit(1)\nexcept SystemExit:\n    run.log(loss=2)", ("finished", None)),
    ],
)
def test_how_a_script_ends_is_how_its_run_ends(tmp_path: Path, leave: str, ending: tuple[str, str | None]) -> None:
    run_script(tmp_path, f"run = lossboard.run()\nrun.log(loss=1)\n{leave}")
    assert endings(tmp_path) == [ending]


def test_all_runs_of_a_script_have_one_wait(tmp_path: Path) -> None:
    body = "lossboard._FINISH_TIMEOUT_S = 1\nruns = [lossboard.run() for _ in range(5)]\nruns[0].finish()"
    began = time.monotonic()
    run_script(tmp_path, body)
    took = time.monotonic() - began
    assert len(endings(tmp_path)) == 5
    assert took < 4  # a second each would be more than five


def test_copies_report_nothing_and_say_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    run = lossboard.run("held", params={"lr": 0.1}, url=AWAY)
    for copied in (copy.deepcopy(run), copy.copy(run), pickle.loads(pickle.dumps(run))):  # noqa: S301
        assert (copied.id, copied.params, copied.should_stop) == (run.id, {"lr": 0.1}, False)
        with pytest.warns(UserWarning, match="this is a copy of the run"):
            copied.log(loss=99.0)
        copied.log(loss=99.0)  # a second warning would be an error here
        copied.wait_while_paused()
        assert not copied.finish()
    assert run.journal.taken == 0
    run.log(loss=1.0)
    assert run.journal.taken == 1
    run.sender.done.set()
    run.sender.join()
    run.silence("the test is over")


def test_processes_that_are_spawned_have_copies(tmp_path: Path) -> None:
    done = run_script(
        tmp_path,
        """
        import multiprocessing
        def child(held):
            held.log(loss=99.0)
        if __name__ == "__main__":
            run = lossboard.run("held")
            for how in ("spawn", "forkserver"):
                process = multiprocessing.get_context(how).Process(target=child, args=(run,))
                process.start()
                process.join()
                print(process.exitcode)
            print(run.journal.taken)
        """,
    )
    assert done.stdout == "0\n0\n0\n", done.stderr
    assert done.stderr.count("this is a copy of the run") == 2


def test_a_cell_that_is_run_again_ends_its_earlier_run(tmp_path: Path) -> None:
    """The first time the cell is interrupted, the second time it is not, the third time another cell fails before."""
    done = run_script(
        tmp_path,
        """
        import code
        notebook = code.InteractiveInterpreter({"times": []})
        cell = "import lossboard\\nrun = lossboard.run('cell')\\nrun.log(loss=1)\\ntimes.append(run)\\n"
        cell += "if len(times) == 1: raise KeyboardInterrupt\\n"
        for source in (cell, cell, "1 / 0", cell):
            try:
                notebook.runsource(source, f"<cell {len(source)}>", "exec")
            except KeyboardInterrupt:
                notebook.showtraceback()
        print([run._silent for run in notebook.locals["times"]], "windows" in notebook.locals["times"][0]._repr_html_())
        """,
    )
    assert done.stdout == "['this run has finished', 'this run has finished', ''] False\n", done.stderr
    assert [status for status, _ in endings(tmp_path)][1:] == ["finished", "stopped"]
