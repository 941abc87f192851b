"""Bad input is a 4xx that names the field and says what to send instead."""

from __future__ import annotations

from typing import Any

import pytest

from tests.boards import BoardProcess


def refused(board: BoardProcess, body: dict[str, Any] | str) -> tuple[int, list[str | int], str]:
    """Status, place and text of the refusal of a POST /api/runs."""
    content = body if isinstance(body, str) else None
    answer = board.client.post(
        "/api/runs",
        json=None if content else body,
        content=content,
        headers={"Content-Type": "application/json"},
    )
    first = answer.json()["detail"][0]
    return answer.status_code, first["loc"], first["msg"]


@pytest.mark.parametrize(
    ("params", "field", "words"),
    [
        ('{"lr": null}', "lr", "number"),
        ('{"lr": "fast"}', "lr", "number"),
        ('{"lr": ""}', "lr", "number"),
        ('{"lr": true}', "lr", "number"),
        ('{"lr": 0}', "lr", "greater than 0"),
        ('{"lr": -1}', "lr", "greater than 0"),
        ('{"lr": 1001}', "lr", "1000"),
        ('{"lr": "NaN"}', "lr", "finite"),
        ('{"lr": NaN}', "lr", "finite"),
        ('{"lr": 1e400}', "lr", "finite"),
        ('{"epochs": 0}', "epochs", "greater than or equal to 1"),
        ('{"epochs": -1}', "epochs", "greater than or equal to 1"),
        ('{"epochs": 1e12}', "epochs", "10000000"),
        ('{"epochs": 2.5}', "epochs", "whole number"),
        ('{"w0": 1e101}', "w0", "1e+100"),
        ('{"steps_per_second": 0}', "steps_per_second", "greater than 0"),
        ('{"learning_rate": 0.1}', "learning_rate", "lr"),
    ],
)
def test_a_bad_parameter(board: BoardProcess, params: str, field: str, words: str) -> None:
    status, place, text = refused(board, f'{{"method": "gd", "params": {params}}}')
    assert status == 422
    assert place == ["body", "params", field]
    assert words in text


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"method": "minibatch", "params": {"batch_size": 4}}, ["params", "batch_size"], "3"),
        ({"method": "sweep", "params": {"w_stop": 1e9, "w_step": 1e-4}}, ["params", "w_step"], "candidates"),
        ({"method": "sweep", "params": {"w_stop": -1}}, ["params", "w_stop"], "w_start"),
        ({"method": "sgd", "params": {"epochs": 10_000_000}}, ["params", "epochs"], "steps"),
        ({"method": "magic"}, ["method"], "gd"),
        ({"method": ""}, ["method"], "at least 1 character"),
        ({"method": None}, ["method"], "string"),
        ({}, ["method"], "required"),
        ({"method": "gd", "name": ""}, ["name"], "at least 1 character"),
        ({"method": "gd", "name": "x" * 201}, ["name"], "at most 200"),
        ({"method": "gd", "name": None}, ["name"], "string"),
        ({"method": "gd", "id": "0" * 32}, ["id"], "external"),
        ({"method": "external", "id": "not hex"}, ["id"], "pattern"),
        ({"method": "gd", "colour": "red"}, ["colour"], "not permitted"),
        ({"method": "gd", "data": {"x": [1, 2], "y": [1]}}, ["data"], "x has 2 values and y has 1"),
        ({"method": "gd", "data": {"x": [], "y": []}}, ["data", "x"], "at least 1"),
        ({"method": "gd", "data": {"x": [1], "y": ["NaN"]}}, ["data", "y", 0], "number"),
        ({"method": "gd", "data": {"x": [1], "y": [1e101]}}, ["data", "y", 0], "1e+100"),
        ({"method": "gd", "data": {"x": [True], "y": [1]}}, ["data", "x", 0], "number"),
        ({"method": "gd", "data": None}, ["data"], "dictionary"),
    ],
)
def test_a_bad_body(board: BoardProcess, body: dict[str, Any], field: list[str | int], words: str) -> None:
    status, place, text = refused(board, body)
    assert status == 422
    assert place == ["body", *field]
    assert words in text


@pytest.mark.parametrize("body", ["", "{", "[]", "null", '"gd"', "[" * 20_000, "\x00", '{"method": "gd"} trailing'])
def test_what_is_no_json_object(board: BoardProcess, body: str) -> None:
    answer = board.client.post("/api/runs", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"][0]["msg"]


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ({"seq": -1, "step": [], "metrics": {}}, "greater than or equal to 0"),
        ({"seq": 0, "step": [0, 1], "metrics": {"loss": [1]}}, "equal length"),
        ({"seq": 0, "step": ["NaN"], "metrics": {"loss": [1]}}, "number"),
        ({"seq": 0, "step": [0], "metrics": {"loss": ["much"]}}, "Infinity"),
        ({"seq": 0, "step": [0], "metrics": {"": [1]}}, "at least 1 character"),
        ({"step": [0], "metrics": {}}, "required"),
    ],
)
def test_bad_points(board: BoardProcess, batch: dict[str, Any], words: str) -> None:
    run = board.client.post("/api/runs", json={"method": "external"}).json()
    answer = board.client.post(f"/api/runs/{run['id']}/points", json=batch)
    assert answer.status_code == 422
    assert words in answer.json()["detail"][0]["msg"]
    assert board.get(f"/api/runs/{run['id']}/points")["total"] == 0


def test_bad_queries(board: BoardProcess) -> None:
    run = board.client.post("/api/runs", json={"method": "external"}).json()
    for query in ("max_points=1", "max_points=1000001", "max_points=many", "from_step=nan"):
        answer = board.client.get(f"/api/runs/{run['id']}/points?{query}")
        assert answer.status_code == 422, query
    for query in ("limit=0", "limit=-1", "offset=-1", "offset=1e30", "status=asleep", "group="):
        assert board.client.get(f"/api/runs?{query}").status_code == 422, query
    for axes in ({"loss": "cubic"}, {"depth": "log"}, None):
        assert board.client.patch("/api/board", json={"axes": axes}).status_code == 422
