"""lossboard.py as a training script uses it: in a process of its own, against a real board or none."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lossboard
from tests.harness.boards import PATIENCE, BoardProcess, wait_for

ROOT = Path(__file__).parents[2]


def run_script(
    body: str, url: str, *, folder: str = tempfile.mkdtemp(), timeout: float = PATIENCE
) -> subprocess.CompletedProcess[str]:
    """A script that has the client beside it and nothing else of ours."""
    return subprocess.run(
        [sys.executable, "-c", "import lossboard\n" + textwrap.dedent(body)],
        env={"LOSSBOARD_URL": url, "LOSSBOARD_DIR": folder, "PATH": "", "PYTHONPATH": str(ROOT)},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def newest(board: BoardProcess) -> dict:
    return board.get("/api/runs", limit=1)["items"][0]


def test_a_script_reports_its_run(board: BoardProcess) -> None:
    done = run_script(
        """
        with lossboard.run("digits", params={"lr": 0.1}) as run:
            for i in range(1000):
                run.log(loss=1 / (i + 1), w=i)
            print(run.id, run.url, run.should_stop, run.params["lr"])
        """,
        board.url,
    )
    assert done.stderr == ""
    run = newest(board)
    assert done.stdout.split() == [run["id"], f"{board.url}/api/runs/{run['id']}", "False", "0.1"]
    assert (run["name"], run["status"], run["step"]) == ("digits", "finished", 999)
    points = board.get(f"/api/runs/{run['id']}/points")
    assert points["metrics"]["loss"] == [1 / (i + 1) for i in range(1000)]
    assert points["step"] == list(range(1000))


def test_steps_of_its_own_and_metrics_that_come_and_go(board: BoardProcess) -> None:
    run_script(
        """
        run = lossboard.run("odd")
        run.log(step=10, loss=1.0)
        run.log(acc=0.5)
        run.log(loss=float("nan"))
        run.finish(result={"best": float("inf")})
        """,
        board.url,
    )
    run = newest(board)
    points = board.get(f"/api/runs/{run['id']}/points")
    assert points["step"] == [10, 11, 12]
    assert points["metrics"] == {"loss": [1.0, None, "NaN"], "acc": [None, 0.5, None]}
    assert run["result"] == {"best": "Infinity"}


def test_an_exception_makes_the_run_failed(board: BoardProcess) -> None:
    done = run_script('with lossboard.run("broken") as run:\n    run.log(loss=1)\n    1 / 0', board.url)
    assert "ZeroDivisionError" in done.stderr
    run = newest(board)
    assert (run["status"], run["error"], run["step"]) == ("failed", "ZeroDivisionError: division by zero", 0)


def test_a_script_that_forgets_to_finish(board: BoardProcess) -> None:
    run_script('lossboard.run("forgetful").log(loss=1)', board.url)
    assert (newest(board)["status"], newest(board)["step"]) == ("finished", 0)
    run_script('lossboard.run("crashing").log(loss=1)\nraise KeyError("x")', board.url)
    assert (newest(board)["name"], newest(board)["status"]) == ("crashing", "failed")


def test_stop_reaches_the_script(board: BoardProcess) -> None:
    run = lossboard.run("stoppable", url=board.url)
    wait_for(lambda: board.client.get(f"/api/runs/{run.id}").status_code == 200)
    assert not run.should_stop
    board.client.post(f"/api/runs/{run.id}/stop")
    wait_for(lambda: run.should_stop)
    assert run.finish()
    assert board.get(f"/api/runs/{run.id}")["status"] == "stopped"


def test_a_deleted_run_stops_quietly(board: BoardProcess) -> None:
    run = lossboard.run("deleted", url=board.url)
    wait_for(lambda: board.client.get(f"/api/runs/{run.id}").status_code == 200)
    board.client.delete(f"/api/runs/{run.id}")
    wait_for(lambda: run.should_stop)
    run.log(loss=1)
    assert not run.finish()


def test_what_cannot_be_logged_is_warned_of_once_and_never_raises(board: BoardProcess) -> None:
    run = lossboard.run("clumsy", url=board.url)
    with pytest.warns(UserWarning, match="a value of 'loss' was not logged"):
        run.log(loss="much")  # type: ignore[arg-type]
    run.log(loss="much")  # type: ignore[arg-type]  # a second warning would be an error here
    run.log(loss=2)
    assert run.finish()
    assert board.get(f"/api/runs/{run.id}/points")["metrics"] == {"loss": [2.0]}


def test_a_board_that_is_away_costs_the_script_nothing_and_loses_nothing(
    new_board: Callable[..., BoardProcess],
) -> None:
    board = new_board().start()
    run = lossboard.run("patient", url=board.url)
    run.log(loss=1)
    wait_for(lambda: board.client.get(f"/api/runs/{run.id}").status_code == 200)
    port = board.url.rpartition(":")[2]
    board.stop()
    for i in range(500):
        run.log(loss=i)
    board.start("--port", port)
    assert run.finish()
    points = board.get(f"/api/runs/{run.id}/points")
    assert points["metrics"]["loss"] == [1.0, *map(float, range(500))]


def test_no_board_at_all(tmp_path: Path) -> None:
    done = run_script(
        """
        lossboard._FINISH_TIMEOUT_S = 0.3
        run = lossboard.run("alone")
        run.log(loss=1)
        print(run.finish(), run.finish())
        """,
        "http://127.0.0.1:9",
    )
    assert done.returncode == 0
    assert done.stdout == "False False\n"
    assert "no board answered at http://127.0.0.1:9" in done.stderr


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"send something like http://127\.0\.0\.1:8000"):
        lossboard.run(url="localhost:8000")


def test_the_board_serves_the_client(board: BoardProcess) -> None:
    assert board.client.get("/lossboard.py").content == (ROOT / "lossboard.py").read_bytes()


def test_names_and_steps_that_no_board_takes_spoil_nothing_else(board: BoardProcess) -> None:
    done = run_script(
        """
        run = lossboard.run("odd names")
        run.log(loss=0.0)
        run.log(step=float("nan"), loss=1.0)
        run.log(step=1e300, loss=2.0)
        run.log(**{"": 1.0})
        run.log(**{"x" * 201: 1.0})
        run.log(**{chr(0xD800): 1.0})
        run.log(**{f"m{i}": 1.0 for i in range(1001)})
        run.log(loss=3.0)
        run.log(step=-1, loss=4.0)
        run.log(loss=5.0)
        assert run.finish()
        """,
        board.url,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("UserWarning") == 5  # of steps, of three names, and that there are too many
    points = board.get(f"/api/runs/{newest(board)['id']}/points")
    assert points["step"] == [0, 1, 2, 3, 4, -1, 0]
    assert points["metrics"]["loss"] == [0, 1, 2, None, 3, 4, 5]
    assert list(points["metrics"]) == ["loss", *(f"m{i}" for i in range(999))]


@pytest.mark.parametrize("result", ["{'preds': [1, 2, 3]}", "{'n': 2**60}", "[1, 2]"])
def test_a_result_that_no_board_takes_does_not_keep_the_run_from_ending(board: BoardProcess, result: str) -> None:
    done = run_script(
        f"""
        run = lossboard.run("odd result")
        run.log(loss=1)
        print(run.finish("diverged", result={result}, error="x" * 20_000), run.finish())
        """,
        board.url,
    )
    assert done.stdout == "True True\n"
    assert done.stderr.count("UserWarning") == 1
    assert "the board refused a part of this run, and took the rest: 422" in done.stderr
    run = newest(board)
    assert (run["status"], run["result"], run["error"], run["step"]) == ("diverged", {}, "x" * 10_000, 0)


def test_an_ending_that_there_is_not_is_named_at_once(board: BoardProcess) -> None:
    run = lossboard.run("done", url=board.url)
    with pytest.raises(ValueError, match="status: 'done' is none; send finished, failed, stopped or diverged"):
        run.finish("done")
    assert run.finish()
    assert board.get(f"/api/runs/{run.id}")["status"] == "finished"


@pytest.mark.parametrize(
    ("given", "shown"), [("''", "run"), ("None", "run"), ("'x' * 201", "x" * 200), ("chr(0xD800)", "?")]
)
def test_every_name_is_shown_somehow(board: BoardProcess, given: str, shown: str) -> None:
    assert run_script(f"assert lossboard.run({given}).finish()", board.url).stderr == ""
    assert newest(board)["name"] == shown


def test_params_that_no_board_takes_do_not_hide_the_run(board: BoardProcess) -> None:
    done = run_script('assert lossboard.run("odd", params={"text": "x" * 200_000}).finish()', board.url)
    assert done.stderr.count("UserWarning") == 1
    assert (newest(board)["status"], newest(board)["params"]) == ("finished", {})


def test_numbers_of_other_libraries_are_numbers(board: BoardProcess) -> None:
    run = lossboard.run("numpy", params={"lr": np.float32(0.5), "n": np.int64(3), "path": Path("x")}, url=board.url)
    assert run.finish(result={"acc": np.float32(0.25), "size": np.array(7)})
    shown = board.get(f"/api/runs/{run.id}")
    assert shown["params"] == {"lr": 0.5, "n": 3, "path": "x"}
    assert shown["result"] == {"acc": 0.25, "size": 7}


def test_metrics_come_in_a_dictionary_too_and_a_point_without_any_is_not_stored(board: BoardProcess) -> None:
    done = run_script(
        """
        run = lossboard.run("the dictionary as it is")
        run.log({"loss": 1.0})
        run.log(loss=2.0)
        run.log({"loss": 1.0})
        run.log({"loss": 1.0}, acc=1.0)
        run.log()
        run.log(step=9)
        run.log(5, **{"loss": 3.0, "self": 4.0})
        assert run.finish()
        run.log(loss=4.0)
        run.log(loss=5.0)
        """,
        board.url,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no metrics; send log(loss=...) or log({'loss': ...})") == 1
    assert done.stderr.count("this run has finished") == 1
    assert done.stderr.count("UserWarning") == 2
    points = board.get(f"/api/runs/{newest(board)['id']}/points")
    assert points["step"] == [0, 1, 2, 3, 5]
    assert points["metrics"] == {
        "loss": [1, 2, 1, 1, 3],
        "acc": [None, None, None, 1, None],
        "self": [None, None, None, None, 4],
    }


def test_a_bad_name_spoils_no_other_metric(board: BoardProcess) -> None:
    run = lossboard.run("names", url=board.url)
    with pytest.warns(UserWarning, match="the name of a metric has 1 to 200 characters"):
        run.log(loss=1.0, **{"x" * 201: 2.0})
    run.log(loss=3.0, **{"": 2.0})
    assert run.finish()
    assert board.get(f"/api/runs/{run.id}/points")["metrics"] == {"loss": [1, 3]}


@pytest.mark.parametrize(
    ("leave", "status"), [("sys.exit(0)", "finished"), ("sys.exit()", "finished"), ("sys.exit('no data')", "failed")]
)
def test_a_script_that_exits_within(board: BoardProcess, leave: str, status: str) -> None:
    run_script(f'import sys\nwith lossboard.run("exits") as run:\n    run.log(loss=1)\n    {leave}', board.url)
    assert newest(board)["status"] == status


def test_warnings_that_are_errors_do_not_end_a_training(board: BoardProcess) -> None:
    done = run_script(
        """
        import warnings
        warnings.simplefilter("error")
        run = lossboard.run("strict")
        run.log(loss="much")
        run.log(loss=1)
        assert run.finish()
        """,
        board.url,
    )
    assert (done.returncode, done.stderr) == (
        0,
        "lossboard: a value of 'loss' was not logged: could not convert string to float: 'much'\n",
    )
