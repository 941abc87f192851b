"""What a board has, read back: by scripts, and by the commands ls, show, rm and export."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

import lossboard
from app.cli import commands
from lossboard_extras.api import Api
from lossboard_extras.event_file import EventFile
from lossboard_extras.reading import load, runs
from tests.harness.boards import BoardProcess
from tests.harness.event_files import read_points
from tests.harness.stranger import Stranger

FIRST = {"seq": 0, "step": [0, 1, 2.5], "metrics": {"loss": [0.1, "NaN", 1e300], "acc": [None, 1, 2]}}
SECOND = {"seq": 0, "step": [7], "metrics": {"lr": [3e-4], "loss": [2]}}


@pytest.fixture
def two(board: BoardProcess, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Two runs of the same name on the board that commands and scripts find."""
    monkeypatch.setenv("LOSSBOARD_URL", board.url)
    made = []
    for params, points in (({"lr": 0.1}, FIRST), ({"lr": 0.2}, SECOND)):
        about = {"method": "external", "name": "mine", "group": "ours", "params": params}
        made.append(board.client.post("/api/runs", json=about).json())
        path = f"/api/runs/{made[-1]['id']}"
        assert board.client.post(f"{path}/points", json=points).status_code == 200
        assert board.client.post(f"{path}/finish", json={"status": "finished"}).status_code == 200
    return made


def command(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(commands, list(arguments), **options)


def test_runs_are_found_by_group_status_and_search(two: list[dict[str, Any]]) -> None:
    assert [run["id"] for run in runs()] == [two[1]["id"], two[0]["id"]]
    assert [run["params"] for run in runs(group="ours", search="lr<0.15")] == [{"lr": 0.1}]
    assert runs(status="failed") == []


def test_the_points_of_a_run_are_lists_without_pandas(two: list[dict[str, Any]], without_pandas: None) -> None:
    columns = load(two[0])
    assert repr(columns) == repr({"step": [0.0, 1.0, 2.5], "loss": [0.1, float("nan"), 1e300], "acc": [None, 1.0, 2.0]})
    assert load(two[1]["id"][:8]) == load(str(two[1]["number"])) == {"step": [7], "lr": [3e-4], "loss": [2]}


@pytest.fixture
def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)


def test_the_points_of_a_run_are_a_data_frame_with_pandas(
    two: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pandas = types.ModuleType("pandas")
    pandas.DataFrame = lambda columns: ("frame", columns)  # type: ignore[attr-defined]
    pandas.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    kind, columns = load(two[0])
    assert kind == "frame"
    assert repr(columns["acc"]) == "[nan, 1.0, 2.0]"


def test_a_run_that_cannot_be_told_is_a_sentence(two: list[dict[str, Any]]) -> None:
    with pytest.raises(LookupError, match=r"'mine' is 2 runs: \w{8} \(number \d+\), \w{8} \(number \d+\); send an id"):
        load("mine")
    with pytest.raises(LookupError, match="there is no run 'yours'"):
        load("yours")


@pytest.mark.parametrize(
    ("login", "sent"), [("ada:s%20e@", "Basic YWRhOnMgZQ=="), ("ada@", "Basic YWRhOg=="), ("", None)]
)
def test_user_and_password_of_an_address_are_sent(login: str, sent: str | None) -> None:
    with Stranger(lambda _: {"items": []}) as proxy:
        list(Api(proxy.url.replace("//", f"//{login}") + "/under").runs())
    assert proxy.asked == [("GET", "/under/api/runs?limit=1000&offset=0", sent)]


def test_ls_prints_a_line_a_run_where_it_is_piped(two: list[dict[str, Any]]) -> None:
    done = command("ls")
    assert done.stdout.splitlines() == [
        "id\tnumber\tname\tgroup\tstatus\tstep\tlast",
        f"{two[1]['id'][:8]}\t{two[1]['number']}\tmine\tours\tfinished\t7\tlr=0.0003 loss=2",
        f"{two[0]['id'][:8]}\t{two[0]['number']}\tmine\tours\tfinished\t2.5\tloss=1e+300 acc=2",
    ]
    assert len(command("ls", "lr<0.15").stdout.splitlines()) == 2
    assert len(command("ls", "--limit", "1").stdout.splitlines()) == 2
    assert len(command("ls", "--group", "theirs").stdout.splitlines()) == 1


def test_show_prints_what_a_board_has_of_a_run(two: list[dict[str, Any]]) -> None:
    assert json.loads(command("show", two[0]["id"]).stdout)["params"] == {"lr": 0.1}


def test_rm_deletes_what_was_confirmed(two: list[dict[str, Any]], board: BoardProcess) -> None:
    run_id = two[0]["id"]
    asked = command("rm", run_id)
    assert (asked.exit_code, asked.stderr) == (
        1,
        f"lossboard: rm asks before it deletes mine ({run_id[:8]}); without a terminal, send --yes with it.\n",
    )
    assert command("rm", run_id, "--yes").stdout == f"mine ({run_id}) is deleted.\n"
    assert [run["id"] for run in board.get("/api/runs")["items"]] == [two[1]["id"]]


def test_export_writes_one_table_of_several_runs(two: list[dict[str, Any]], tmp_path: Path) -> None:
    first, second = (run["id"] for run in two)
    table = "\n".join(
        [
            "run,step,loss,acc,lr",
            f"mine ({first[:8]}),0,0.1,,",
            f"mine ({first[:8]}),1,nan,1.0,",
            f"mine ({first[:8]}),2.5,1e+300,2.0,",
            f"mine ({second[:8]}),7,2.0,,0.0003",
            "",
        ]
    )
    assert command("export", first, second).stdout == table
    path = tmp_path / "table.csv"
    assert command("export", first, second, "--csv", str(path)).stdout == f"2 runs are in {path}\n"
    assert path.read_text() == table


def test_a_run_named_like_a_formula_is_none_in_the_table(board: BoardProcess, two: list[dict[str, Any]]) -> None:
    board.client.patch(f"/api/runs/{two[1]['id']}", json={"name": "=1+1"})
    assert command("export", two[1]["id"]).stdout == "run,step,lr,loss\n'=1+1,7,0.0003,2.0\n"


@pytest.fixture
def exported(two: list[dict[str, Any]], tmp_path: Path) -> Path:
    """The event file of the first run."""
    done = command("export", two[0]["id"], "--tensorboard", str(tmp_path))
    [path] = tmp_path.glob("mine-*/events.out.tfevents.*")
    assert done.stdout == f"mine is in {path}\n"
    assert "is there already" in command("export", two[0]["id"], "--tensorboard", str(tmp_path)).stderr
    return path


def test_an_event_file_of_a_run_has_all_of_its_points(exported: Path) -> None:
    file = EventFile(exported)
    points = read_points(file)
    assert [step for step, _, _ in points] == [0, 1, 2]
    assert repr([values for _, _, values in points]) == repr(
        [
            {"loss": 0.10000000149011612},
            {"loss": float("nan"), "acc": 1.0},
            {"loss": float("inf"), "acc": 2.0},  # a float32
        ]
    )
    times = [wall_time for _, wall_time, _ in points]
    assert times == sorted(times)
    assert (file.damage, file.offset) == ("", exported.stat().st_size)


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_the_event_file_of_a_run(exported: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = accumulators.EventAccumulator(str(exported))
    accumulator.Reload()
    assert [(event.step, event.value) for event in accumulator.Scalars("acc")] == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "nothing"), "there is no run 'nothing'"),
        (("ls", "--url", "x"), "url: 'x' is no address of a board; send something like http://127.0.0.1:8000"),
        (("ls", "--url", "http://127.0.0.1:9"), "No board answers at http://127.0.0.1:9"),
        (("export", "a", "--csv", "a", "--tensorboard", "b"), "Name one of --csv and --tensorboard."),
        (("ls", "--status", "happy"), "422"),
    ],
)
def test_what_is_wrong_is_a_sentence(two: list[dict[str, Any]], arguments: tuple[str, ...], sentence: str) -> None:
    done = command(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"lossboard: {sentence}")


def test_import_brings_what_was_exported(
    exported: Path, board: BoardProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path / "data"))
    name = exported.parent.name
    for _ in range(2):  # the second time, it is there
        assert command("import", str(exported.parent)).stdout == f"{name}: 3 points are at {board.url}.\n"
    assert [run["name"] for run in board.get("/api/runs", limit=1)["items"]] == [name]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert command("import", str(empty)).stdout == f"There are no event files in {empty}.\n"


def test_scripts_find_what_reads_in_the_client(two: list[dict[str, Any]]) -> None:
    reader: Callable[..., Any] = lossboard.runs
    assert [run["id"] for run in reader(search="lr>0.15")] == [two[1]["id"]]
