"""What theory says of a learning rate, asked over the API, and why runs did what they did."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.boards import BoardProcess


def ask(board: BoardProcess, method: str, **body: Any) -> Any:
    answer = board.client.post(f"/api/methods/{method}/stability", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_textbooks_limit(board: BoardProcess) -> None:
    found = ask(board, "gd")
    assert found["curvature"] == pytest.approx(28 / 3)
    assert found["lr_limit"] == pytest.approx(3 / 14)
    assert found["lr_best"] == pytest.approx(3 / 28)
    assert [zone["name"] for zone in found["zones"]] == ["slow", "good", "oscillating", "diverging"]
    assert found["zones"][0]["from"] == 0
    assert found["zones"][-1]["to"] is None
    assert ask(board, "gd", data={"x": [2, 4, 6], "y": [1, 2, 3]})["lr_limit"] == pytest.approx(3 / 56)


def test_where_there_is_no_limit_it_is_null(board: BoardProcess) -> None:
    for method, params in (("sgd", {}), ("torch", {"optimizer": "adam"}), ("backprop", {}), ("sweep", {})):
        found = ask(board, method, params=params)
        assert (found["lr_limit"], found["lr_best"], found["zones"]) == (None, None, [])
        assert found["note"]


def test_the_rates_that_matter_follow_the_data(board: BoardProcess) -> None:
    data = {"x": [1000, 2000, 3000], "y": [1, 2, 3]}
    assert ask(board, "gd", data=data)["lr_scale"] == ask(board, "gd", data=data)["lr_limit"]
    assert ask(board, "sgd", data=data)["lr_scale"] == pytest.approx(1 / 3000**2)  # each draw is stable below it
    for scale in (1, 1000):  # the steeper the cost where the run begins, the smaller
        data["x"] = [scale * x for x in (1, 2, 3)]
        found = ask(board, "backprop", data=data)
        assert found["lr_scale"] == pytest.approx(2 / found["curvature"])
    for method, params in (("torch", {"optimizer": "adam"}), ("sweep", {})):
        assert ask(board, method, params=params, data=data)["lr_scale"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"params": {"lr": -1}},
        {"params": {"lr": "0.1"}},
        {"params": {"learning_rate": 1}},
        {"params": {"batch_size": 4}},
        {"data": {"x": [1, 2], "y": [1]}},
        {"data": {"x": [], "y": []}},
        {"data": {"x": [1e300], "y": [1]}},
        {"nonsense": 1},
    ],
)
def test_it_refuses_what_a_run_would_be_refused_for(board: BoardProcess, body: dict[str, Any]) -> None:
    asked = board.client.post("/api/methods/minibatch/stability", json=body)
    started = board.client.post("/api/runs", json={"method": "minibatch", **body})
    assert asked.status_code == started.status_code == 422
    assert asked.json() == started.json()


@pytest.mark.parametrize("name", ["nonesuch", "external", "x" * 300])
def test_an_unknown_method(board: BoardProcess, name: str) -> None:
    answer = board.client.post(f"/api/methods/{name}/stability", json={})
    assert answer.status_code == 404
    assert "send one of sweep, gd" in answer.json()["detail"][0]["msg"]


def test_a_run_says_why(board: BoardProcess) -> None:
    diverged = board.wait_until(board.run("gd", lr=0.3, epochs=1000)["id"])
    assert diverged["why"] == (
        "lr 0.3 is above 2/λ = 0.214: each step overshoots the minimum and lands 1.8 times as far away."
    )
    oscillating = board.run("gd", lr=0.2)
    assert "between 1/λ = 0.107 and 2/λ = 0.214" in oscillating["why"]  # it is known before the first step
    assert board.run("gd", lr=0.05)["why"] is None
    seen = board.wait_until(board.run("backprop", lr=2.0)["id"])
    assert (seen["status"], f"after {seen['step'] + 1} updates" in seen["why"]) == ("diverged", True)


def test_lessons(board: BoardProcess) -> None:
    lessons = board.get("/api/lessons")
    assert [lesson["name"] for lesson in lessons] == ["sweep", "three-rates", "limit", "noise", "graph"]
    assert lessons[2]["setup"]["vary"]["lr"] == pytest.approx([0.21, 3 / 14, 0.22])
    graph = lessons[-1]["setup"]
    answer = board.client.post("/api/runs", json={"method": graph["method"], "params": graph["params"]})
    assert answer.status_code == 201
