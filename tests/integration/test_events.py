"""The event stream tells what changed, steadily, to everyone who listens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx2

from tests.harness.boards import BoardProcess, wait_for


def events(stream: httpx2.Response) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in stream.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_a_listener_sees_a_run_from_start_to_end(board: BoardProcess) -> None:
    with board.client.stream("GET", "/api/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream)
        first = dict(next(told) for _ in range(3))
        assert set(first) == {"visdom", "board", "viewers"}
        assert first["visdom"]["url"] == "/visdom/env/lossboard"
        began = time.monotonic()
        made = board.run("gd", epochs=40, steps_per_second=20)
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["status"] != "finished":
            name, data = next(told)
            if name == "runs":
                seen += [run for run in data if run["id"] == made["id"]]
        steps = [run["step"] for run in seen if run["step"] is not None]
        assert steps == sorted(steps)
        assert 4 <= len(seen) <= 4 * (time.monotonic() - began) + 2  # no more than four a second, and the end
        assert seen[-1]["last"]["loss"] > 0
        board.client.delete(f"/api/runs/{made['id']}")
        assert next(data for name, data in told if name == "removed") == {"ids": [made["id"]]}


def test_many_changes_are_told_at_most_four_times_a_second(board: BoardProcess) -> None:
    with board.client.stream("GET", "/api/events") as stream:
        told = events(stream)
        began, heard = time.monotonic(), 0
        unfinished = {board.run("gd", epochs=30, steps_per_second=20)["id"] for _ in range(4)}
        while unfinished:
            name, data = next(told)
            if name == "runs":
                heard += 1
                unfinished -= {run["id"] for run in data if run["status"] == "finished"}
        assert heard <= 4 * (time.monotonic() - began) + 1


def test_the_state_of_the_selected_run_is_told_with_its_windows(board: BoardProcess) -> None:
    board.wait_for_visdom()
    run = board.wait_until(board.run("gd", epochs=5)["id"])
    points = board.get(f"/api/runs/{run['id']}/points")["metrics"]
    board.client.patch("/api/board", json={"run": run["id"], "at": 2})
    with board.client.stream("GET", "/api/events") as stream:
        told = events(stream)

        def state(position: int | None) -> dict[str, Any] | None:
            states = (data for name, data in told if name == "state")
            return next(one for one in states if (one and one["position"]) == position)

        assert state(3) == {
            "run": run["id"],
            "position": 3,
            "step": 2,
            "first": 0,
            "updates": 5,
            "values": {"w": points["w"][2], "cost": points["loss"][3], "gradient": points["grad"][3]},
            "loss_of": None,
            "next": {"w": points["w"][3]},
        }
        board.client.patch("/api/board", json={"at": None})
        last = state(5)
        assert last
        assert (last["step"], last["next"], last["values"]["w"]) == (4, None, points["w"][4])
        board.client.patch("/api/board", json={"run": None})
        assert state(None) is None


def test_axes_belong_to_the_board(board: BoardProcess) -> None:
    answer = board.client.patch("/api/board", json={"axes": {"loss": "log", "step": "linear"}})
    assert answer.json()["axes"] == {"step": "linear", "loss": "log", "w": "linear", "cost": "linear"}
    board.client.patch("/api/board", json={"axes": {"cost": "log"}})
    with board.client.stream("GET", "/api/events") as stream:
        axes = next(data for name, data in events(stream) if name == "board")["axes"]
    assert (axes["loss"], axes["cost"]) == ("log", "log")
    board.client.patch("/api/board", json={"axes": {"loss": "linear", "cost": "linear"}})
    assert board.get("/api/board")["axes"] == {"step": "linear", "loss": "linear", "w": "linear", "cost": "linear"}


def test_the_chosen_run_and_step_belong_to_the_board(board: BoardProcess) -> None:
    run, other = board.run(epochs=5)["id"], board.run(epochs=5)["id"]
    chosen = board.client.patch("/api/board", json={"run": run, "at": 3}).json()
    assert (chosen["run"], chosen["at"]) == (run, 3)
    assert board.client.patch("/api/board", json={"x": "step"}).json()["at"] == 3
    assert board.client.patch("/api/board", json={"run": other}).json()["at"] is None  # a step of another run
    assert board.client.patch("/api/board", json={"run": "0" * 32}).status_code == 404
    assert board.client.patch("/api/board", json={"run": "x"}).status_code == 422
    assert board.client.patch("/api/board", json={"at": "NaN"}).status_code == 422
    assert board.get("/api/board")["run"] == other
    board.client.delete(f"/api/runs/{other}")
    assert board.get("/api/board")["run"] is None


def test_what_the_windows_show_belongs_to_the_board(board: BoardProcess) -> None:
    patch = {"x": "time", "smoothing": 100, "detail": {"from_step": 10, "to_step": 20}}
    axes = board.get("/api/board")["axes"]
    lists: dict[str, Any] = {name: [] for name in ("hidden", "added", "chosen", "shown")}
    metrics = {"pinned": [], "hidden": [], "order": []}
    rest = {
        "axes": axes,
        "run": None,
        "at": None,
        "sample": 0,
        "metrics": metrics,
        **lists,
        "windows": [],
        "more_metrics": 0,
    }
    assert {**patch, **rest} == board.client.patch("/api/board", json=patch).json()
    for wrong, field in (
        ({"x": "mood"}, "x"),
        ({"smoothing": -1}, "smoothing"),
        ({"smoothing": 1.5}, "smoothing"),
        ({"detail": {"from_step": 2, "to_step": 1}}, "detail"),
        ({"detail": {"from_step": "NaN", "to_step": 1}}, "detail"),
        ({"zoom": 1}, "zoom"),
    ):
        answer = board.client.patch("/api/board", json=wrong)
        assert (answer.status_code, answer.json()["detail"][0]["loc"][:2]) == (422, ["body", field])
    assert board.client.patch("/api/board", json={"detail": None}).json()["smoothing"] == 100
    assert board.client.patch("/api/board", json={"x": "step", "smoothing": 0}).json()["detail"] is None


def test_how_many_look_is_told_to_everyone(board: BoardProcess) -> None:
    def hear(told: Iterator[tuple[str, Any]], count: int) -> None:
        """Return once this count is told: the stream of the test before may just be ending."""
        next(data for name, data in told if (name, data) == ("viewers", {"count": count}))

    with board.client.stream("GET", "/api/events") as one:
        told = events(one)
        hear(told, 1)
        with board.client.stream("GET", "/api/events") as other:
            told_to_other = events(other)  # kept: without it, the stream would end
            hear(told_to_other, 2)
            hear(told, 2)
        hear(told, 1)


# --- which runs the shared windows show -------------------------------------------------------------------------------


def test_runs_are_hidden_and_added_for_everyone(board: BoardProcess) -> None:
    old = board.run(epochs=3, data={"x": [1.0], "y": [3.0]})["id"]
    board.wait_until(old)
    one, two = (board.wait_until(board.run(epochs=3)["id"])["id"] for _ in range(2))
    wait_for(lambda: board.get("/api/board")["shown"] == [one, two], "the runs on the same data as the newest")
    view = board.client.patch("/api/board", json={"hidden": [two, two], "added": [old, one]}).json()
    # each once, and not those that are shown anyway
    assert (view["hidden"], view["added"], view["shown"]) == ([two], [old], [old, one])
    with board.client.stream("GET", "/api/events") as stream:
        assert next(data for name, data in events(stream) if name == "board") == view
    assert board.client.patch("/api/board", json={"x": "step"}).json() == view


def test_chosen_runs_and_windows_of_metrics_are_everyones(board: BoardProcess) -> None:
    one, two, _ = (board.wait_until(board.run(epochs=3)["id"])["id"] for _ in range(3))
    view = board.client.patch("/api/board", json={"chosen": [two, one, two]}).json()
    assert (view["chosen"], view["shown"]) == ([two, one], [one, two])
    metrics = {"pinned": ["grad"], "hidden": ["w"], "order": []}
    assert board.client.patch("/api/board", json={"metrics": metrics}).json()["metrics"] == metrics
    assert board.get("/api/board")["metrics"] == metrics
    many = {"pinned": [f"m{number}" for number in range(25)]}
    answer = board.client.patch("/api/board", json={"metrics": many})
    assert answer.json()["detail"][0]["msg"].startswith("At most 24 metrics can be pinned")
    answer = board.client.patch("/api/board", json={"x": "metric:"})
    assert answer.json()["detail"][0]["msg"].startswith("It is step, epoch, time or metric:NAME")
    assert board.client.patch("/api/board", json={"x": "metric:grad"}).json()["x"] == "metric:grad"
    assert board.get("/api/board/metrics") == {"shown": ["grad", "loss"], "others": ["w"]}
    assert (board.get("/api/board")["windows"], board.get("/api/board")["more_metrics"]) == (["grad", "loss"], 1)
    script = board.client.post("/api/runs", json={"method": "external", "name": "mine"}).json()["id"]
    points = {"seq": 0, "step": [0], "metrics": {"val_acc": [1], "grad": [2], "w": [3]}}
    board.client.post(f"/api/runs/{script}/points", json=points)
    assert board.get("/api/board/metrics", run=script) == {"shown": ["grad", "acc"], "others": ["w"]}
    board.client.delete(f"/api/runs/{script}")
    board.client.patch("/api/board", json={"chosen": [], "metrics": {}})
    assert len(board.get("/api/board")["shown"]) == 3


def test_of_hidden_and_added_runs_deleted_ones_drop_out_and_unknown_ones_are_refused(board: BoardProcess) -> None:
    one, two, three = (board.wait_until(board.run(epochs=3)["id"])["id"] for _ in range(3))
    script = board.client.post("/api/runs", json={"method": "external", "name": "mine"}).json()["id"]
    wait_for(lambda: board.get("/api/board")["shown"] == [script], "the script's run")
    board.client.patch("/api/board", json={"hidden": [one, script], "added": [two, three], "run": two})
    board.client.delete(f"/api/runs/{one}")
    board.client.delete(f"/api/runs/{two}")
    view = board.get("/api/board")
    assert (view["hidden"], view["added"], view["run"]) == ([script], [three], None)
    view = board.client.patch("/api/board", json={"hidden": [one], "added": [two, three]}).json()
    assert (view["hidden"], view["added"]) == ([], [three])
    for field in ("hidden", "added", "chosen"):
        answer = board.client.patch("/api/board", json={field: ["0" * 32]})
        assert (answer.status_code, "no run" in answer.text) == (404, True), answer.text
        assert board.client.patch("/api/board", json={field: ["x"]}).status_code == 422
    for field, words in (
        ("hidden", "At most 1000 runs can be hidden"),
        ("added", "At most 50 runs can be added"),
        ("chosen", "At most 50 runs can be chosen"),
    ):
        answer = board.client.patch("/api/board", json={field: [f"{number:032x}" for number in range(1001)]})
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["msg"].startswith(words)
    assert board.get("/api/board") == view
