"""Runs through the real API, workers, ingest and store."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.workers.executor import Job
from app.workers.worker import work
from tests.harness.boards import BoardProcess, alive, wait_for

TEXTBOOK = {"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0]}


def test_gradient_descent_as_the_textbook_prints_it(board: BoardProcess) -> None:
    made = board.run("gd", lr=0.01, epochs=100)
    assert made["status"] == "queued"
    run = board.wait_until(made["id"])
    assert run["status"] == "finished"
    assert (run["step"], run["total_steps"]) == (99, 100)
    assert run["result"] == {
        "predict_before": 4.0,
        "predict_after": pytest.approx(7.999777758621207, rel=1e-14),
        "final_mse": pytest.approx(14 / 3 * (2 - 1.9999444396553017) ** 2),
    }
    points = board.get(f"/api/runs/{run['id']}/points")
    assert points["step"] == list(range(100))
    assert points["metrics"]["loss"][0] == pytest.approx(4.666666666666667, rel=1e-15)
    assert points["metrics"]["w"][0] == pytest.approx(1.0933333333333333, rel=1e-15)
    assert points["metrics"]["w"][-1] == run["last"]["w"] == pytest.approx(1.9999444396553017, rel=1e-14)
    assert (points["total"], points["downsampled"]) == (100, False)
    assert run["created_at"] <= run["started_at"] <= run["ended_at"]
    assert board.get(f"/api/runs/{run['id']}/data") == TEXTBOOK


@pytest.mark.parametrize("method", ["sweep", "sgd", "minibatch", "autograd", "torch", "backprop"])
def test_every_other_method_finishes(board: BoardProcess, method: str) -> None:
    run = board.wait_until(board.run(method)["id"])
    assert run["status"] == "finished", run["error"]
    assert run["step"] == run["total_steps"] - 1
    assert run["result"]["predict_after"] == pytest.approx(8, abs=0.5)
    assert len(board.get(f"/api/runs/{run['id']}/points")["step"]) == run["total_steps"]


def test_a_sweep_answers_with_its_best_candidate(board: BoardProcess) -> None:
    run = board.wait_until(board.run("sweep")["id"])
    assert (run["result"]["best_w"], run["result"]["best_loss"]) == (2.0, 0.0)
    assert run["result"]["predict_after"] == 8.0


def test_divergence_keeps_the_points_up_to_there(board: BoardProcess) -> None:
    run = board.wait_until(board.run("gd", lr=0.3, epochs=1000)["id"])
    assert run["status"] == "diverged"
    points = board.get(f"/api/runs/{run['id']}/points", max_points=1000)
    assert points["step"] == list(range(run["step"] + 1))
    assert abs(points["metrics"]["w"][50]) > 1e12
    *before, last = points["metrics"]["loss"]
    assert last > 1e150
    assert max(before) <= 1e150


def test_overflow_in_pythons_arithmetic_is_a_divergence(board: BoardProcess) -> None:
    huge = {"x": [1e90, 2e90], "y": [1.0, 2.0]}
    for method in ("gd", "sgd", "minibatch", "backprop"):
        run = board.wait_until(board.run(method, data=huge, lr=1.0)["id"])
        assert run["status"] == "diverged", (method, run)
        assert run["error"] is None


def test_numbers_that_json_lacks_travel_as_strings(board: BoardProcess) -> None:
    made = board.client.post("/api/runs", json={"method": "external", "name": "odd numbers"}).json()
    batch = {
        "seq": 0,
        "step": [0, 1, 2, 3],
        "metrics": {"loss": ["NaN", "Infinity", "-Infinity", None], "w": [1, 2, 3, 4]},
    }
    assert board.client.post(f"/api/runs/{made['id']}/points", json=batch).json()["accepted"] == 4
    points = board.get(f"/api/runs/{made['id']}/points")
    assert points["metrics"]["loss"] == ["NaN", "Infinity", "-Infinity", None]
    run = board.get(f"/api/runs/{made['id']}")
    assert run["last"] == {"loss": "-Infinity", "w": 4.0}
    csv = board.client.get(f"/api/runs/{made['id']}/points.csv").text
    assert csv.splitlines() == ["step,loss,w", "0,nan,1.0", "1,inf,2.0", "2,-inf,3.0", "3,,4.0"]
    board.client.post(f"/api/runs/{made['id']}/finish", json={"status": "finished", "result": {"best": "NaN"}})
    assert board.get(f"/api/runs/{made['id']}")["result"] == {"best": "NaN"}


def test_params_and_changes_that_json_lacks_travel_as_strings(board: BoardProcess) -> None:
    def post(path: str, body: dict[str, Any]) -> Any:  # bare NaN and Infinity, as the client writes them
        return board.client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"}).json()

    params = {"clip": math.inf, "deep": [{"low": -math.inf}, [math.nan, 1, 0.1, None, True, "inf"]]}
    told = {"clip": "Infinity", "deep": [{"low": "-Infinity"}, ["NaN", 1, 0.1, None, True, "inf"]]}
    made = post("/api/runs", {"method": "external", "params": params})
    assert made["params"] == told
    path = f"/api/runs/{made['id']}"
    change = {"step": 3, "params": {"clip": math.nan}}
    assert post(f"{path}/points", {"seq": 0, "step": [], "metrics": {}, "changes": [change]})["accepted"] == 0
    again = {"params": told, "changes": [{"step": 3, "params": {"clip": "NaN"}}]}
    with board.client.stream("GET", "/api/events") as stream:
        assert board.client.patch(path, json={"name": "odd"}).json().items() >= again.items()
        (event,) = next(json.loads(line[5:]) for line in stream.iter_lines() if line.startswith('data: [{"id"'))
    for run in (event, board.get(path), *board.get("/api/runs")["items"]):
        assert run.items() >= again.items()


def test_a_long_run_stops_when_it_is_asked_to(board: BoardProcess) -> None:
    made = board.run("gd", epochs=10_000_000)
    board.wait_until(made["id"], "running")
    answer = board.client.post(f"/api/runs/{made['id']}/stop")
    assert answer.status_code == 202
    run = board.wait_until(made["id"])
    assert run["status"] == "stopped"
    assert board.client.post(f"/api/runs/{made['id']}/stop").json()["status"] == "stopped"
    points = board.get(f"/api/runs/{made['id']}/points")
    assert points["total"] == run["step"] + 1
    assert points["downsampled"] == (points["total"] > 2000)
    assert run["result"]["predict_after"] == pytest.approx(8)


def test_a_slowed_run_keeps_its_pace_and_stops_at_once(board: BoardProcess) -> None:
    began = time.monotonic()
    made = board.run("gd", epochs=1000, steps_per_second=20)
    wait_for(lambda: (board.get(f"/api/runs/{made['id']}")["step"] or 0) >= 10)
    assert board.client.post(f"/api/runs/{made['id']}/stop").status_code == 202
    run = board.wait_until(made["id"])
    assert run["status"] == "stopped"
    assert run["step"] <= 20 * (time.monotonic() - began)
    assert "predict_after" in run["result"]  # its worker ended by itself


def test_a_killed_worker_is_a_failed_run_and_the_others_go_on(board: BoardProcess) -> None:
    slowed = [board.run("gd", epochs=2000, steps_per_second=50) for _ in range(2)]
    for one in slowed:
        board.wait_until(one["id"], "running")
    fork_server = board.fork_server()
    wait_for(lambda: len(fork_server.children()) == 2, "the end of workers of earlier tests")
    worker = min(fork_server.children(), key=lambda process: process.create_time())
    worker.kill()
    run = board.wait_until(slowed[0]["id"])
    assert run["status"] == "failed"
    assert run["error"] == "Its worker process was killed by signal 9 before the run was done."
    step = wait_for(lambda: board.get(f"/api/runs/{slowed[1]['id']}")["step"])
    wait_for(lambda: board.get(f"/api/runs/{slowed[1]['id']}")["step"] > step)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no niceness")
def test_workers_stay_in_the_background(board: BoardProcess) -> None:
    board.wait_until(board.run("gd", epochs=1000, steps_per_second=5)["id"], "running")
    fork_server = board.fork_server()
    wait_for(lambda: len(fork_server.children()) == 1, "the end of workers of earlier tests")
    own = psutil.Process(board.process.pid).nice()
    assert {process.nice() for process in (fork_server, *fork_server.children())} == {min(own + 10, 19)}
    session = Path(f"/proc/{fork_server.pid}/autogroup")
    assert not session.exists() or session.read_text().endswith("nice 10\n")


def test_a_worker_that_finds_no_board_tells_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    with pytest.raises(SystemExit):
        work(Job("a" * 32, "gd", {}, "http://127.0.0.1:9", str(tmp_path)))
    assert not list(tmp_path.rglob("*"))


def test_a_killed_fork_server_is_replaced(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board().start()
    made = board.run("gd", epochs=2000, steps_per_second=50)
    board.wait_until(made["id"], "running")
    fork_server = board.fork_server()
    workers = fork_server.children()
    fork_server.kill()
    assert board.wait_until(made["id"])["status"] == "failed"
    wait_for(lambda: not alive(workers), "orphaned workers gone", 10)
    assert board.wait_until(board.run("gd")["id"])["status"] == "finished"


def test_a_trainer_that_cannot_run_says_why(board: BoardProcess) -> None:
    run = board.wait_until(board.run("torch", device="cuda")["id"])
    if run["status"] == "finished":
        pytest.skip("this machine has a GPU")
    assert run["status"] == "failed"
    assert "cpu" in run["error"]
    assert "Traceback" not in run["error"]


def test_rename_list_filter_and_delete(board: BoardProcess) -> None:
    body = {"method": "gd", "name": "mine", "group": "a group"}
    made = [board.client.post("/api/runs", json=body).json() for _ in range(3)]
    assert made[0]["name"] == "mine"
    for one in made:
        board.wait_until(one["id"])
    changed = board.client.patch(f"/api/runs/{made[0]['id']}", json={"name": "<b>renamed</b> 中文"})
    assert changed.json()["name"] == "<b>renamed</b> 中文"
    page = board.get("/api/runs", group="a group", limit=2)
    assert page["total"] == 3
    assert [run["id"] for run in page["items"]] == [made[2]["id"], made[1]["id"]]
    assert board.get("/api/runs", group="a group", limit=2, offset=2)["items"][0]["name"] == "<b>renamed</b> 中文"
    assert board.client.delete(f"/api/runs/{made[0]['id']}").status_code == 204
    assert board.client.get(f"/api/runs/{made[0]['id']}").status_code == 410
    assert board.client.get(f"/api/runs/{made[0]['id']}/points").status_code == 410
    assert board.client.delete(f"/api/runs/{made[0]['id']}").status_code == 410
    assert board.get("/api/runs", group="a group")["total"] == 2
    assert board.client.get("/api/runs/nonesuch").status_code == 404


def test_runs_are_searched_sorted_and_have_their_best_values(board: BoardProcess) -> None:
    ids = []
    for lr, losses in ((0.1, [3.0, 1.0, 2.0]), (0.2, [4.0, 0.5, "NaN"]), (0.3, [5.0, 4.0, 3.0])):
        body = {"method": "external", "params": {"lr": lr}, "tags": ["found"]}
        ids.append(board.client.post("/api/runs", json=body).json()["id"])
        points = {"seq": 0, "step": [0, 1, 2], "metrics": {"val/loss": losses}}
        board.client.post(f"/api/runs/{ids[-1]}/points", json=points)
    page = board.get("/api/runs", search="tag:found lr<0.25", sort="best.val/loss")
    assert ([run["id"] for run in page["items"]], page["total"]) == ([ids[1], ids[0]], 2)
    assert page["items"][0]["best"] == {"val/loss": [0.5, 4.0]}
    columns = board.get("/api/runs/columns")
    assert "lr" in columns["params"]
    assert {"name": "val/loss", "best": "min"} in columns["metrics"]
    for query, words in (
        ({"search": "state:failed"}, "There is no state: to search by"),
        ({"sort": "loss"}, "column loss"),
    ):
        refused = board.client.get("/api/runs", params=query)
        assert refused.status_code == 422
        assert refused.json()["detail"][0]["loc"] == ["query", *query]
        assert words in refused.json()["detail"][0]["msg"]


def test_many_runs_are_stopped_deleted_and_restored_at_once(board: BoardProcess) -> None:
    ids = [board.client.post("/api/runs", json={"method": "external"}).json()["id"] for _ in range(3)]
    unknown = {"ids": [*ids, "0" * 32]}
    assert board.client.post("/api/runs/delete", json=unknown).status_code == 404
    stopped = board.client.post("/api/runs/stop", json={"ids": ids})
    assert (stopped.status_code, stopped.json()["total"]) == (202, 3)
    empty = {"seq": 0, "step": [], "metrics": {}}
    assert board.client.post(f"/api/runs/{ids[0]}/points", json=empty).json()["control"]["stop"] is True
    assert board.client.delete(f"/api/runs/{ids[0]}").status_code == 204
    deleted = board.client.post("/api/runs/delete", json={"ids": ids})
    assert deleted.json() == {"ids": ids[1:], "restorable_s": 10}
    assert board.get("/api/runs")["total"] == 0
    assert board.client.post(f"/api/runs/{ids[1]}/points", json=empty).status_code == 410
    restored = board.client.post("/api/runs/restore", json={"ids": ids}).json()["items"]
    assert [(run["id"], run["status"]) for run in restored] == [(run_id, "stopped") for run_id in ids]
    assert board.get("/api/runs")["total"] == 3


def test_what_people_note_of_a_run_is_kept(board: BoardProcess) -> None:
    noted = {"group": "a group of notes", "tags": ["baseline", "中文"], "notes": "lr too high?\nsee #3"}
    made = board.client.post("/api/runs", json={"method": "gd", "params": {"epochs": 1}} | noted).json()
    assert {name: made[name] for name in noted} == noted
    assert (made["pinned"], made["summary"], made["live"]) == (False, {}, None)
    changes = {"group": None, "tags": ["b", "b", "a"], "notes": "", "pinned": True}
    for name, value in changes.items():
        changed = board.client.patch(f"/api/runs/{made['id']}", json={name: value}).json()
    assert [changed[name] for name in changes] == [None, ["b", "a"], "", True]
    assert changed["name"] == made["name"]


def test_a_script_says_what_may_be_changed_in_it(board: BoardProcess) -> None:
    live = {"lr": [1e-5, 1], "momentum": [None, None]}
    body = {"method": "external", "params": {"lr": 0.1, "momentum": 0.9, "seed": 1}, "live": live}
    run = board.client.post("/api/runs", json=body).json()
    assert run["live"] == live
    assert board.client.patch(f"/api/runs/{run['id']}", json={"params": {"lr": 0.5}}).status_code == 200
    refused = board.client.patch(f"/api/runs/{run['id']}", json={"params": {"seed": 2}})
    assert refused.status_code == 422
    assert "lr, momentum can" in refused.json()["detail"][0]["msg"]


def test_the_worker_of_a_deleted_run_is_killed(board: BoardProcess) -> None:
    made = board.run("gd", epochs=10_000_000)
    board.wait_until(made["id"], "running")
    assert board.client.delete(f"/api/runs/{made['id']}").status_code == 204
    fork_server = board.fork_server()
    wait_for(lambda: not fork_server.children(), "the deleted run's worker gone")


def test_colours_of_the_latest_runs_differ(board: BoardProcess) -> None:
    made = [board.run("gd", epochs=1) for _ in range(8)]
    assert len({run["colour"] for run in made}) == 8


def test_every_method_is_described(board: BoardProcess) -> None:
    methods = board.get("/api/methods")
    assert [m["name"] for m in methods] == ["sweep", "gd", "sgd", "minibatch", "autograd", "torch", "backprop"]
    for method in methods:
        assert method["formula"].startswith("<math")
        assert method["update_line"] in method["source"]
        assert method["params_schema"]["properties"]["steps_per_second"]["default"] is None


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("whole_group", [False, True])
def test_a_signal_ends_everything(
    new_board: Callable[..., BoardProcess], sig: signal.Signals, *, whole_group: bool
) -> None:
    board = new_board(LOSSBOARD_PRELOAD_TORCH="true").start()
    board.wait_for_visdom()
    board.run("gd", epochs=10_000_000)
    made = board.run("gd", epochs=1000, steps_per_second=20)
    board.wait_until(made["id"], "running")
    with board.client.stream("GET", "/api/events") as stream:
        next(stream.iter_lines())
        children = board.children()
        assert len(children) >= 4  # two fork servers, two workers, Visdom
        if whole_group:
            os.killpg(board.process.pid, sig)
        else:
            board.process.send_signal(sig)
        board.process.wait(10)
    wait_for(lambda: not alive(children), "every child gone", 10)


def test_kill_9_of_the_board_ends_its_children_and_a_restart_shows_every_run(
    new_board: Callable[..., BoardProcess],
) -> None:
    board = new_board(LOSSBOARD_PRELOAD_TORCH="true").start()
    board.wait_for_visdom()
    done = board.wait_until(board.run("gd")["id"])
    made = board.run("gd", epochs=10_000, steps_per_second=100)
    queued_step = wait_for(lambda: board.get(f"/api/runs/{made['id']}")["step"])
    children = board.children()
    board.stop(signal.SIGKILL)
    wait_for(lambda: not alive(children), "every child gone", 10)
    board.start()
    assert board.get(f"/api/runs/{made['id']}")["status"] == "interrupted"
    journals = board.folder / "journals"
    wait_for(lambda: not list(journals.glob("*/*")), "the journal that it left behind, read")
    run = board.get(f"/api/runs/{made['id']}")
    assert run["step"] >= queued_step
    assert board.get(f"/api/runs/{made['id']}/points")["total"] == run["step"] + 1
    assert board.get(f"/api/runs/{done['id']}") == done
