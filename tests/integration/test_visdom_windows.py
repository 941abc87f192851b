"""Windows in a real Visdom, as a browser would be shown them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.boards import BoardProcess, wait_for
from tests.harness.watcher import trace_of, watch


def test_the_windows_are_there_before_any_run_and_then_follow_it(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board().start()
    board.wait_for_visdom()
    with watch(board) as watcher:
        watcher.until(lambda windows: {"loss", "w", "cost"} <= set(windows))
        assert [window["title"] for window in watcher.windows.values()] == ["Loss", "w", "Cost curve"]
        assert "Start a run" in watcher.windows["loss"]["content"]["layout"]["annotations"][0]["text"]
        made = board.run("gd", lr=0.01, epochs=240, steps_per_second=40)
        lengths = []

        def all_shown(windows: dict[str, Any]) -> bool:
            trace = trace_of(windows["loss"], f"#{made['number']}")
            lengths.append(len(trace["x"]) if trace else 0)
            return lengths[-1] == 241  # of 240 updates, and what they led to

        watcher.until(all_shown)
        assert len(set(lengths)) > 5  # it grew while it was watched
        trace = trace_of(watcher.windows["loss"], "lr 0.01")
        assert trace is not None
        assert trace["y"][0] == pytest.approx(4.666666666666667)
        assert trace["line"]["color"] == made["colour"]
        watcher.until(lambda windows: trace_of(windows["cost"], "lr 0.01 "))
        board.client.delete(f"/api/runs/{made['id']}")
        watcher.until(lambda windows: trace_of(windows["loss"], "lr 0.01") is None)


def test_windows_are_replaced_at_most_ten_times_a_second(board: BoardProcess) -> None:
    board.wait_for_visdom()
    made = board.run("gd", epochs=1_000_000, steps_per_second=500)
    board.wait_until(made["id"], "running")
    began, shown = time.monotonic(), 0
    with watch(board) as watcher:
        while time.monotonic() - began < 1.5 or shown < 3:
            shown += watcher.next_window()["id"] == "loss"
        assert shown <= 10 * (time.monotonic() - began) + 2


def test_axes_switch_for_everyone(board: BoardProcess) -> None:
    board.wait_for_visdom()
    board.wait_until(board.run("gd")["id"])
    with watch(board) as watcher:
        board.client.patch("/api/board", json={"axes": {"loss": "log"}})
        watcher.until(
            lambda windows: (
                windows.get("loss") and windows["loss"]["content"]["layout"].get("yaxis2", {}).get("type") == "log"
            )
        )
        board.client.patch("/api/board", json={"axes": {"loss": "linear"}})
        watcher.until(lambda windows: "yaxis2" not in windows["loss"]["content"]["layout"])


def test_a_killed_visdom_is_back_with_its_windows_and_training_goes_on(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board().start()
    board.wait_for_visdom()
    done = board.wait_until(board.run("gd")["id"])
    made = board.run("gd", epochs=10_000, steps_per_second=100)
    wait_for(lambda: board.get(f"/api/runs/{made['id']}")["step"])
    board.client.get(f"/api/runs/{done['id']}/visdom")
    killed = board.visdom()
    killed.kill()
    step = board.get(f"/api/runs/{made['id']}")["step"]
    wait_for(lambda: killed.pid not in {child.pid for child in board.children()})
    board.wait_for_visdom()
    with watch(board) as watcher:
        for run in (done, made):
            name = f"#{run['number']}"
            watcher.until(lambda windows, name=name: "loss" in windows and trace_of(windows["loss"], name))
    with watch(board, done["visdom"]["env"]) as watcher:
        watcher.until(lambda windows: any(window["title"] == "loss" for window in windows.values()))
    assert board.get(f"/api/runs/{made['id']}")["step"] > step


def test_where_visdom_cannot_start_runs_still_work_and_the_board_says_why(
    new_board: Callable[..., BoardProcess],
) -> None:
    board = new_board()
    board.folder.mkdir()
    (board.folder / "visdom").write_text("no folder can be made here")
    board.start()
    state = wait_for(lambda: (s := board.get("/api/visdom"))["state"] == "down" and s)
    assert "Visdom cannot be started" in state["error"]
    run = board.wait_until(board.run("gd")["id"])
    assert run["status"] == "finished"
    answer = board.client.get(f"/api/runs/{run['id']}/visdom")
    assert answer.status_code == 503
    assert "try again" in answer.json()["detail"][0]["msg"]
    (board.folder / "visdom").unlink()
    board.wait_for_visdom()


def test_a_runs_own_env_is_built_when_it_is_opened(board: BoardProcess) -> None:
    board.wait_for_visdom()
    run = board.wait_until(board.run("torch")["id"])
    answer = board.client.get(run["visdom"]["url"])
    assert answer.status_code == 307
    assert answer.next_request is not None
    assert str(answer.next_request.url) == f"{board.url}/visdom/env/{run['visdom']['env']}"
    with watch(board, run["visdom"]["env"]) as watcher:
        watcher.until(lambda windows: len(windows) == 6)
        titles = [window["title"] for window in watcher.windows.values()]
        assert titles == ["Cost over w and b", "w", "loss", "gradient", "All samples, at w = 1.7463", run["name"]]
        assert "predict after" in watcher.windows["about"]["content"]
    assert board.client.get("/api/runs/nonesuch/visdom").status_code == 404


def test_a_networks_own_env_has_its_graph(board: BoardProcess) -> None:
    board.wait_for_visdom()
    run = board.run("backprop", epochs=100_000, steps_per_second=200)
    wait_for(lambda: board.get(f"/api/runs/{run['id']}")["step"])
    board.client.get(run["visdom"]["url"])
    with watch(board, run["visdom"]["env"]) as watcher:
        watcher.until(lambda windows: {"graph", "cost", "metric-layers"} <= set(windows))
        first = watcher.windows["graph"]["title"]
        assert first.startswith("Graph for sample 1 of 3, with the parameters after ")
        watcher.until(lambda windows: windows["graph"]["title"] != first)  # it follows the run
