"""Changed parameters ride with the points that were made with them: each once, and none after its points."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossboard
from app.runs import journals
from app.runs.journal_reader import read_journal
from app.workers.executor import Job
from app.workers.reporter import WorkerRun
from tests.harness.boards import BoardProcess, running, wait_for
from tests.harness.fake_board import FakeBoard
from trainers import METHODS
from trainers.problem import TEXTBOOK

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    return tmp_path


def worker_run(url: str, folder: Path) -> WorkerRun:
    return WorkerRun(Job("0" * 32, "gd", {}, url, str(folder)))


# --- the order, on a board that the test makes answer -----------------------------------------------------------------


def test_a_change_is_sent_until_it_is_acknowledged_and_then_no_more(fake: FakeBoard, folder: Path) -> None:
    fake.answers = [(503, {}), (500, {}), (503, {})]
    run = worker_run(fake.url, folder)
    run.report_change(3, {"lr": 0.2})
    wait_for(lambda: run.journal.acknowledged_changes == 1)
    change = {"step": 3, "params": {"lr": 0.2}, "number": 0}
    sent = [one for _, one in fake.changes]
    assert sent == [change] * len(sent)
    assert len(sent) > 1  # the first post may have been a heartbeat before it
    run.report_change(4, {"lr": 0.3})
    assert run.finish()
    assert [one for _, one in fake.changes] == [*sent, {"step": 4, "params": {"lr": 0.3}, "number": 1}]


def test_a_change_comes_no_later_than_the_first_point_that_was_made_with_it(fake: FakeBoard, folder: Path) -> None:
    run = worker_run(fake.url, folder)
    for step in range(0, 3000, 100):
        run.report_change(step, {"lr": step})
        run.log_table(("loss",), np.stack([np.arange(step, step + 100), np.zeros(100)], axis=1))
        time.sleep(0.01)
    assert run.finish()
    assert [change["step"] for _, change in fake.changes] == list(range(0, 3000, 100))
    assert all(seq <= change["step"] for seq, change in fake.changes)  # a run of its own counts records as steps


def test_a_script_keeps_a_change_before_its_parameters_have_it(fake: FakeBoard, folder: Path) -> None:
    found: list[Any] = []

    class Params(dict[str, Any]):
        def update(self, *args: Any, **kwargs: Any) -> None:
            found.append(read_journal(folder / "journals" / run.id).changes)
            super().update(*args, **kwargs)

    run = lossboard.run("script", params={"lr": 0.1}, url=fake.url)
    run.params = Params(run.params)
    run.log(loss=1)
    run.log(loss=2)
    fake.params = {"lr": 0.5}
    wait_for(lambda: run.params["lr"] == 0.5)
    assert found == [[{"step": 2, "params": {"lr": 0.5}, "number": 0}]]
    run.log(loss=3)
    fake.params = {"lr": 0.5, "momentum": 0.9}  # told again, with another one
    wait_for(lambda: "momentum" in run.params)
    assert run.finish()
    assert [change for _, change in fake.changes] == [
        {"step": 2, "params": {"lr": 0.5}, "number": 0},
        {"step": 3, "params": {"momentum": 0.9}, "number": 1},
    ]


def test_what_a_script_sets_itself_is_no_change(fake: FakeBoard, folder: Path) -> None:
    fake.params = {"lr": 0.5}
    run = lossboard.run("script", params={"lr": 0.1}, url=fake.url)
    wait_for(lambda: run.params["lr"] == 0.5)
    run.params["lr"] = 0.25  # a schedule of its own
    fake.params = {"lr": 0.5, "momentum": 0.9}
    wait_for(lambda: run.params.get("momentum") == 0.9)
    assert run.params["lr"] == 0.25
    assert run.finish()
    assert [change["params"] for _, change in fake.changes] == [{"lr": 0.5}, {"momentum": 0.9}]


# --- real boards, real kills ------------------------------------------------------------------------------------------


def test_a_worker_killed_before_it_has_posted_leaves_no_point_without_its_change(
    board: BoardProcess, tmp_path: Path
) -> None:
    made = board.client.post("/api/runs", json={"method": "external", "params": {"lr": 0.1}}).json()["id"]
    script = f"""
    import os, signal
    import numpy as np
    from app.workers.executor import Job
    from app.workers.reporter import WorkerRun
    run = WorkerRun(Job({made!r}, "gd", {{}}, "http://127.0.0.1:9", {str(tmp_path)!r}))
    run.log_table(("loss",), np.array([[0.0, 5.0], [1.0, 4.0]]))
    run.report_change(2, {{"lr": 0.2}})
    run.log_table(("loss",), np.array([[2.0, 3.0]]))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = {"LOSSBOARD_DIR": str(tmp_path), "PATH": "", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment, check=False, timeout=120)
    for _ in range(2):  # the second time there is nothing left
        assert [sent.refusal for sent in journals.sync(tmp_path, board.url) if sent.refusal] == []
        run = board.get(f"/api/runs/{made}")
        assert run["changes"] == [{"step": 2, "params": {"lr": 0.2}}]
        assert board.get(f"/api/runs/{made}/points")["metrics"]["loss"] == [5, 4, 3]
    assert list((tmp_path / "journals").iterdir()) == []


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.2])
def test_a_killed_worker_has_no_point_whose_change_is_not_recorded(board: BoardProcess, seconds: float) -> None:
    """Every point is what the trainer makes with the changes that are recorded, to the last bit."""
    made = board.run("gd", epochs=1_000_000, steps_per_second=400, lr=1e-4)["id"]
    wait_for(lambda: (board.get(f"/api/runs/{made}")["step"] or 0) > 50, "some points")
    journal = board.folder / "journals" / made
    assert board.client.patch(f"/api/runs/{made}", json={"params": {"lr": 0.03}}).status_code == 200
    wait_for((journal / "changes.jsonl").exists, "the worker's taking the change")
    time.sleep(seconds)
    for process in running("app.workers.fork_server", board.children()):
        if any(str(journal) in opened.path for opened in process.open_files()):
            process.kill()
    run = board.wait_until(made)
    assert (run["status"], "killed by signal 9" in run["error"]) == ("failed", True)
    assert [change["params"] for change in run["changes"]] == [{"lr": 0.03}]
    logged = board.get(f"/api/runs/{made}/points", max_points=100_000)["metrics"]["w"]
    assert logged == recalculated(run["changes"][0]["step"], len(logged))


def recalculated(changed_at: int, steps: int) -> list[float]:
    """The parameter w of the run above, whose learning rate was changed at a step."""
    method = METHODS["gd"]
    params = method.params.model_validate({"lr": 1e-4, "epochs": 1_000_000})
    trainer = method.train(TEXTBOOK, params)
    points = list(itertools.islice(trainer, min(changed_at, steps)))
    params.lr = 0.03
    points += itertools.islice(trainer, steps - len(points))
    return [point[0] for point in points]


# --- what a board takes -----------------------------------------------------------------------------------------------


@pytest.fixture
def external(board: BoardProcess) -> str:
    made = board.client.post("/api/runs", json={"method": "external", "params": {"lr": 0.1}}).json()["id"]
    return f"/api/runs/{made}"


def post(board: BoardProcess, run: str, seq: int, steps: list[int], *changes: dict[str, Any]) -> Any:
    batch = {"seq": seq, "step": steps, "metrics": {"loss": [1.0] * len(steps)}, "changes": changes}
    return board.client.post(f"{run}/points", json=batch)


def change(step: float, lr: float, **more: Any) -> dict[str, Any]:
    return {"step": step, "params": {"lr": lr}, **more}


def head(metrics: list[str], *changes: dict[str, Any]) -> bytes:
    """The first line of a post in the plain binary form."""
    return json.dumps({"seq": 0, "metrics": metrics, "changes": changes}).encode() + b"\n"


def test_changes_come_in_json(board: BoardProcess, external: str) -> None:
    for _ in range(2):
        assert post(board, external, 0, [0, 1, 2], change(1, 0.2)).json()["accepted"] == 3
        assert board.get(external)["changes"] == [change(1, 0.2)]


def test_changes_come_in_the_binary_form_as_well(board: BoardProcess, external: str) -> None:
    body = head(["loss"], change(0, 0.2, number=0)) + np.array([-0.0, 7.0]).tobytes()
    for _ in range(2):
        answer = board.client.post(
            f"{external}/points", content=body, headers={"Content-Type": lossboard.CONTENT_TYPE}
        ).json()
        assert answer["accepted"] == 1
    assert board.get(external)["changes"] == [change(0, 0.2)]
    assert board.get(f"{external}/points")["metrics"]["loss"] == [7]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"step": "1", "params": {"lr": 1}}, "step"),
        ({"step": 1, "params": {}}, "params"),
        ({"step": 1, "params": {"lr": "high"}}, "params"),
        ({"step": 1, "params": {"lr": 1}, "number": -1}, "number"),
        ({"params": {"lr": 1}}, "step"),
    ],
)
@pytest.mark.parametrize("binary", [False, True])
def test_a_wrong_change_is_refused_by_name(
    board: BoardProcess, external: str, wrong: dict[str, Any], field: str, binary: bool
) -> None:
    if binary:
        body = head([], wrong)
        answer = board.client.post(f"{external}/points", content=body, headers={"Content-Type": lossboard.CONTENT_TYPE})
    else:
        answer = post(board, external, 0, [], wrong)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][:4] == ["body", "changes", 0, field]


def test_posts_without_changes_are_as_before(board: BoardProcess, external: str) -> None:
    batch = {"seq": 0, "step": [0], "metrics": {"loss": [1.0]}}
    assert board.client.post(f"{external}/points", json=batch).json()["accepted"] == 1
    assert board.client.patch(external, json={"params": {"lr": 0.5}}).status_code == 200
    for _ in range(2):  # asked for, and not confirmed
        answer = board.client.post(f"{external}/points", json={"seq": 1, "step": [], "metrics": {}}).json()
        assert answer["control"]["params"] == {"lr": 0.5}
        assert board.get(external)["changes"] == []
