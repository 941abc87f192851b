"""The same run several times over, through the real API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness.boards import BoardProcess, wait_for


def race(board: BoardProcess, **body: Any) -> dict[str, Any]:
    answer = board.client.post("/api/races", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def stop(board: BoardProcess, made: dict[str, Any]) -> None:
    for run in made["runs"]:
        board.client.post(f"/api/runs/{run['id']}/stop")


def test_learning_rates_are_ranked(board: BoardProcess) -> None:
    rates = [0.01, 0.4, 0.1, 0.05, 0.2]
    made = race(board, method="gd", params={"lr": 1, "epochs": 200}, vary={"lr": rates})
    assert made["group"] == f"race {made['runs'][0]['number']}"
    assert [run["params"]["lr"] for run in made["runs"]] == rates
    assert [run["name"] for run in made["runs"]] == [f"lr {rate}" for rate in rates]
    assert [run["varied"] for run in made["runs"]] == [{"lr": rate} for rate in rates]
    assert {run["group"] for run in made["runs"]} == {made["group"]}
    assert len({run["colour"] for run in made["runs"]}) == 5
    for run in made["runs"]:
        board.wait_until(run["id"])
    ranking = board.get(f"/api/races/{made['group']}")
    # Each update multiplies w's distance to 2 by 1 - 28/3 lr, and the loss by the square of that.
    assert [(place["value"], place["steps_to_1_percent"]) for place in ranking] == [
        (0.1, 1), (0.05, 4), (0.2, 17), (0.01, 24), (0.4, None),
    ]  # fmt: skip
    assert [place["status"] for place in ranking] == ["finished"] * 4 + ["diverged"]
    first = ranking[0]
    assert first["final_loss"] == board.get(f"/api/runs/{first['run']}")["last"]["loss"]


def test_methods_are_raced(board: BoardProcess) -> None:
    made = race(board, vary={"method": ["gd", "sgd"]}, name="two", params={"lr": 0.02}, group="a/b race")
    assert [run["method"] for run in made["runs"]] == ["gd", "sgd"]
    assert [run["name"] for run in made["runs"]] == ["two, Gradient descent", "two, Stochastic gradient descent"]
    for run in made["runs"]:
        board.wait_until(run["id"])
    assert {place["value"] for place in board.get("/api/races/a/b race")} == {"gd", "sgd"}
    again = board.client.post("/api/races", json={"vary": {"method": ["gd", "sgd"]}, "group": "a/b race"})
    assert again.status_code == 409
    assert again.json()["detail"][0]["loc"] == ["body", "group"]
    assert board.client.get("/api/races/nonesuch").status_code == 404


def test_methods_are_ranked_by_their_work(board: BoardProcess) -> None:
    """By hand: gd multiplies the distance to 2 by 1 - 28/3 · 0.05 = 0.5333, and the cost by its square; sgd takes the
    samples in turn; a sweep finds 1 % of its first cost, that of w = 0, at w = 1.8, its nineteenth candidate."""
    params = {"lr": 0.05, "order": "sequential", "batch_size": 3}
    made = race(board, vary={"method": ["gd", "minibatch", "sgd", "sweep", "torch"]}, params=params)
    for run in made["runs"]:
        board.wait_until(run["id"])
    places = {place["value"]: place for place in board.get(f"/api/races/{made['group']}")}
    work = {name: (place["evaluations_to_1_percent"], place["steps_to_1_percent"]) for name, place in places.items()}
    assert work["gd"] == work["minibatch"] == (12, 4)
    assert work["sgd"] == (3, 3)
    assert work["sweep"] == (57, 18)
    torch = places["torch"]
    assert torch["final_mse"] < torch["final_loss"] / 2.9  # its loss is a sum, and from before its last update


def test_what_exploded_is_diverged_and_last(board: BoardProcess) -> None:
    made = race(board, method="gd", params={"epochs": 60}, vary={"lr": [0.3, 0.0001]})
    lost, slow = (board.wait_until(run["id"]) for run in made["runs"])
    assert (lost["status"], lost["exploded"], slow["status"], slow["exploded"]) == ("diverged", True, "finished", False)
    assert "each step overshoots the minimum and lands 1.8 times as far away" in lost["why"]
    assert lost["result"]["final_mse"] == pytest.approx(14 / 3 * 1.8**120)
    assert [place["value"] for place in board.get(f"/api/races/{made['group']}")] == [0.0001, 0.3]


def test_a_sweep_is_ranked_by_its_best_candidate(board: BoardProcess) -> None:
    made = race(board, vary={"method": ["gd", "sweep"]})
    ended = {run["method"]: board.wait_until(run["id"]) for run in made["runs"]}
    losses = {place["run"]: place["final_loss"] for place in board.get(f"/api/races/{made['group']}")}
    assert ended["sweep"]["last"]["loss"] > 18  # of its last candidate
    assert losses == {ended["sweep"]["id"]: 0.0, ended["gd"]["id"]: ended["gd"]["last"]["loss"]}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"method": "gd", "vary": {"lr": [0.1, 0.2, -1]}}, ["vary", "lr", 2]),
        ({"method": "gd", "vary": {"lr": [0.1, "0.2"]}}, ["vary", "lr", 1]),
        ({"method": "minibatch", "vary": {"batch_size": [1, 2, 3, 4]}}, ["vary", "batch_size", 3]),
        ({"method": "gd", "vary": {"order": ["random", "sequential"]}}, ["vary", "order"]),
        ({"method": "gd", "params": {"epochs": 0}, "vary": {"lr": [0.1, 0.2]}}, ["params", "epochs"]),
        ({"method": "gd", "params": {"epoch": 1}, "vary": {"lr": [0.1, 0.2]}}, ["params", "epoch"]),
        ({"vary": {"method": ["gd", "magic"]}}, ["vary", "method", 1]),
        ({"vary": {"method": ["gd", "external"]}}, ["vary", "method", 1]),
        ({"vary": {"method": ["sgd", ["gd"]]}}, ["vary", "method", 1]),
        ({"vary": {"method": ["sgd", "gd"]}, "params": {"hidden": 2}}, ["params", "hidden"]),
        ({"method": "gd", "vary": {"method": ["gd", "sgd"]}}, ["method"]),
        ({"method": "magic", "vary": {"lr": [0.1, 0.2]}}, ["method"]),
        ({"method": "external", "vary": {"lr": [0.1, 0.2]}}, ["method"]),
        ({"vary": {"lr": [0.1, 0.2]}}, ["method"]),
        ({"method": "gd", "vary": {"lr": [0.1]}}, ["vary", "lr"]),
        ({"method": "gd", "vary": {"lr": [0.1] * 51}}, ["vary", "lr"]),
        ({"method": "gd", "vary": {"lr": 0.1}}, ["vary", "lr"]),
        ({"method": "gd", "vary": {}}, ["vary"]),
        ({"method": "gd", "vary": {"lr": [0.1, 0.2], "w0": [1, 2]}}, ["vary"]),
        ({"method": "gd"}, ["vary"]),
    ],
)
def test_a_race_is_refused_as_a_whole(board: BoardProcess, body: dict[str, Any], field: list[Any]) -> None:
    before = board.get("/api/runs")["total"]
    answer = board.client.post("/api/races", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", *field]
    assert board.get("/api/runs")["total"] == before


def test_slowed_runs_go_side_by_side(board: BoardProcess) -> None:
    params = {"steps_per_second": 25, "epochs": 1000}
    made = race(board, method="gd", params=params, vary={"lr": [0.01, 0.02, 0.03, 0.04, 0.05]})
    for run in made["runs"]:
        board.wait_until(run["id"], "running")

    def progress() -> list[int]:
        return [run["step"] or 0 for run in board.get("/api/runs", group=made["group"])["items"]]

    begun = progress()

    def abreast() -> bool:
        """A worker that was held up catches up, and each may have begun a little later than the one before."""
        taken = [now - then for now, then in zip(progress(), begun, strict=True)]
        return min(taken) >= 25 and max(taken) - min(taken) <= 15

    wait_for(abreast, "five runs that keep pace with each other")
    ranking = board.get(f"/api/races/{made['group']}")
    assert {place["status"] for place in ranking} == {"running"}
    stop(board, made)
