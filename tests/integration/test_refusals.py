"""Bad input is a 4xx that names the field and says what to send instead."""

from __future__ import annotations

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

import lossboard
from tests.harness.boards import BoardProcess, wait_for
from tests.harness.calls import external, send, words_of


@pytest.fixture(scope="module")
def board(strict_board: BoardProcess) -> BoardProcess:
    return strict_board


def json_routes(board: BoardProcess) -> list[tuple[str, str]]:
    """Everything that takes JSON, for one external run."""
    paths = board.get("/openapi.json")["paths"]
    run = external(board)
    routes = [
        (verb.upper(), path.replace("{run_id}", run))
        for path, operations in paths.items()
        for verb, operation in operations.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    assert len(routes) >= 5
    return routes


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
        ('{"w0": 1e101}', "w0", "1e100"),
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
        ({"method": "gd", "live": {"lr": [0, 1]}}, ["live"], "leave live out"),
        ({"method": "external", "live": {"lr": [1, 0]}}, ["live", "lr"], "smaller one first"),
        ({"method": "external", "live": {"lr": [0, "Infinity"]}}, ["live", "lr", 1], "finite"),
        ({"method": "external", "live": ["lr"]}, ["live"], "object"),
        ({"method": "gd", "tags": [""]}, ["tags", 0], "at least 1 character"),
        ({"method": "gd", "tags": [str(number) for number in range(51)]}, ["tags"], "at most 50"),
        ({"method": "gd", "notes": "x" * 10_001}, ["notes"], "at most 10000"),
        ({"method": "gd", "colour": "red"}, ["colour"], "not permitted"),
        ({"method": "gd", "data": {"x": [1, 2], "y": [1]}}, ["data"], "x has 2 values and y has 1"),
        ({"method": "gd", "data": {"x": [], "y": []}}, ["data", "x"], "at least 1"),
        ({"method": "gd", "data": {"x": [1], "y": ["NaN"]}}, ["data", "y", 0], "number"),
        ({"method": "gd", "data": {"x": [1], "y": [1e101]}}, ["data", "y", 0], "1e100"),
        ({"method": "gd", "data": {"x": [True], "y": [1]}}, ["data", "x", 0], "number"),
        ({"method": "gd", "data": None}, ["data"], "object"),
    ],
)
def test_a_bad_body(board: BoardProcess, body: dict[str, Any], field: list[str | int], words: str) -> None:
    status, place, text = refused(board, body)
    assert status == 422
    assert place == ["body", *field]
    assert words in text


BROKEN = {
    **{
        body: body
        for body in ("", "{", "[]", "null", '"gd"', "1", "NaN", "\x00", '{"method": "gd"} trailing', "{'a': 1}")
    },
    "nested lists": "[" * 20_000,
    "nested lists, closed": "[" * 20_000 + "]" * 20_000,
    "nested objects": '{"method":' * 20_000 + "1" + "}" * 20_000,
    "nested in a field": '{"method": "gd", "name": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "no UTF-8": b'{"method": "\xff\xfe", "name": "\xc3"}',
    "a long whole number": "1" + "0" * 5000,
    "many unknown fields": json.dumps({f"field {number}": number for number in range(10_000)}),
    "a long unknown field": json.dumps({"x" * 1_000_000: 1}),
    "an unknown field of half a character": '{"\\ud800": 1}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
def test_no_route_takes_what_is_broken(board: BoardProcess, body: str | bytes) -> None:
    for verb, path in json_routes(board):
        words_of(send(board, verb, path, body))


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "text/json"]
)
def test_json_has_to_be_called_json(board: BoardProcess, kind: str) -> None:
    for verb, path in json_routes(board):
        body = (
            '{"method": "external", "name": "no", "seq": 0, "step": [], "metrics": {}, "status": "failed", "axes": {}}'
        )
        assert "application/json" in words_of(send(board, verb, path, body, kind))


def test_of_a_field_sent_twice_the_last_counts(board: BoardProcess) -> None:
    answer = send(board, "POST", "/api/runs", '{"method": "magic", "name": "a", "name": "b", "method": "external"}')
    assert answer.json()["name"] == "b"


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


# --- numbers and names of any size ------------------------------------------------------------------------------------

NUMBER_PLACES = [
    *(f'{{"method": "gd", "params": {{"{name}": %s}}}}' for name in ("lr", "epochs", "w0", "steps_per_second")),
    '{"method": "minibatch", "params": {"batch_size": %s}}',
    '{"method": "sweep", "params": {"w_step": %s}}',
    '{"method": "gd", "data": {"x": [%s], "y": [1]}}',
    '{"method": "gd", "data": {"x": [1], "y": [%s]}}',
]
POINT_PLACES = [
    '{"seq": %s, "step": [], "metrics": {}}',
    '{"seq": 0, "step": [%s], "metrics": {"loss": [1]}}',
    '{"seq": 0, "step": [0], "metrics": {"loss": [%s]}}',
]


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 400, "1" + "0" * 5000, "-1e400"], ids=len)
def test_a_number_that_no_float_holds(board: BoardProcess, number: str) -> None:
    for body in NUMBER_PLACES:
        words_of(send(board, "POST", "/api/runs", body % number))
    run = external(board)
    for body in POINT_PLACES[:2] if number == "-1e400" else POINT_PLACES:  # a loss may be infinite
        words_of(send(board, "POST", f"/api/runs/{run}/points", body % number))
    for path in (
        "/api/runs?limit=",
        "/api/runs?offset=",
        *(f"/api/runs/{run}/points?{q}=" for q in ("max_points", "from_step")),
    ):
        words_of(board.client.get(path + number))
    if number != "-1e400":
        words_of(send(board, "POST", f"/api/runs/{run}/finish", f'{{"status": "failed", "result": {{"a": {number}}}}}'))


@pytest.mark.parametrize("number", [2**53 + 2, 2**63 - 1, 2**63, 2**64, 2**70, 1e308])
def test_a_number_beyond_what_a_browser_can_count(board: BoardProcess, number: float) -> None:
    run = external(board)
    for body in POINT_PLACES[:2]:
        words_of(send(board, "POST", f"/api/runs/{run}/points", body % number))
    record = json.dumps({"seq": 0, "metrics": []}).encode() + b"\n" + struct.pack("<d", number)
    words_of(send(board, "POST", f"/api/runs/{run}/points", record, lossboard.CONTENT_TYPE))
    if isinstance(number, int):
        head = json.dumps({"seq": number, "metrics": []}).encode() + b"\n"
        words_of(send(board, "POST", f"/api/runs/{run}/points", head, lossboard.CONTENT_TYPE))
    words_of(board.client.get(f"/api/runs?offset={number}"))
    assert board.get(f"/api/runs/{run}")["step"] is None


def test_a_step_far_in_the_future_is_waited_for(board: BoardProcess) -> None:
    run = board.run(steps_per_second=1e-300)
    wait_for(lambda: board.get(f"/api/runs/{run['id']}")["step"] == 0, "the first step")
    board.client.post(f"/api/runs/{run['id']}/stop")
    assert board.wait_until(run["id"])["status"] == "stopped"


TEXTS = ["\x00", "a\x00b", "\n", " ", "\U0001f600", "\u202e evil", "<b>bold</b>", "'; DROP TABLE runs;--", '",\r\n=1+1']


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_odd_text_comes_back_as_it_was_sent(board: BoardProcess, text: str) -> None:
    body = {"method": "external", "name": text, "group": text, "params": {text: text}}
    run = board.client.post("/api/runs", json=body).json()
    assert (run["name"], run["group"], run["params"]) == (text, text, {text: text})
    path = f"/api/runs/{run['id']}"
    assert board.get("/api/runs", group=text)["items"][0]["id"] == run["id"]
    assert board.client.patch(path, json={"name": text * 2}).json()["name"] == text * 2
    columns = {"seq": 0, "step": [0], "metrics": {text: [1.0]}}
    assert board.client.post(f"{path}/points", json=columns).status_code == 200
    assert board.get(f"{path}/points")["metrics"] == {text: [1.0]}
    assert board.client.get(f"{path}/points.csv").text.startswith("step,")
    board.wait_for_visdom()
    assert board.client.get(f"{path}/visdom").status_code == 307
    ended = board.client.post(f"{path}/finish", json={"status": "failed", "error": text, "result": {text: text}}).json()
    assert (ended["error"], ended["result"]) == (text, {text: text})


@pytest.mark.parametrize(
    "text", ['"\\ud800"', '"\\udc00\\ud800"', f'"{"x" * 100_000}"', '""'], ids=lambda text: text[:8]
)
def test_text_that_cannot_be_kept_is_refused_everywhere(board: BoardProcess, text: str) -> None:
    run = external(board)
    places = [
        ("POST", "/api/runs", f'{{"method": "{method}", "{key}": %s}}')
        for method in ("gd", "external")
        for key in ("name", "group")
    ]
    places += [("POST", "/api/runs", '{"method": "external", "tags": [%s]}')]
    places += [("POST", "/api/runs", '{"method": "external", "live": {%s: [0, 1]}}')]
    places += [("POST", "/api/runs", '{"method": %s}'), ("POST", "/api/runs", '{"method": "gd", %s: 1}')]
    places += [
        ("POST", "/api/runs", '{"method": "gd", "params": {%s: 1}}'),
        ("PATCH", f"/api/runs/{run}", '{"name": %s}'),
    ]
    places += [("POST", f"/api/runs/{run}/points", '{"seq": 0, "step": [0], "metrics": {%s: [1]}}')]
    places += [("POST", f"/api/runs/{run}/finish", '{"status": "failed", "result": {%s: 1}}')]
    if text != '""':
        places += [("POST", "/api/runs", '{"method": "external", "notes": %s}')]
        places += [("POST", "/api/runs", '{"method": "external", "params": {"a": %s}}')]
        places += [("POST", "/api/runs", '{"method": "external", "params": {%s: 1}}')]
        places += [("POST", f"/api/runs/{run}/finish", '{"status": "failed", "error": %s}')]
        places += [("POST", f"/api/runs/{run}/finish", '{"status": "failed", "result": {"a": %s}}')]
    for verb, path, body in places:
        words_of(send(board, verb, path, body.replace("%s", text)))
    binary = f'{{"seq": 0, "metrics": [{text}]}}\n'.encode() + bytes(16)
    words_of(send(board, "POST", f"/api/runs/{run}/points", binary, lossboard.CONTENT_TYPE))
    assert board.get(f"/api/runs/{run}")["status"] == "running"


def test_params_of_a_script_are_kept_small_and_shallow(board: BoardProcess) -> None:
    def nested(levels: int) -> Any:
        return {"a": nested(levels - 1)} if levels else 1

    for params, words in [
        (nested(21), "20 times"),
        (nested(300), "20 times"),
        ({"a": ["x" * 1000] * 100}, "100000 char"),
    ]:
        assert words in words_of(board.client.post("/api/runs", json={"method": "external", "params": params}))
    params = nested(19) | {"nan": "NaN", "list": [1, None, True]}
    assert board.client.post("/api/runs", json={"method": "external", "params": params}).json()["params"] == params


@pytest.mark.parametrize(
    "run_id", ["%00", "a%00", "..%2f..%2fetc", "a%2Fb", "%2e%2e", "%FF", "%ED%A0%80", "'", "%0d%0aX:%20y"]
)
def test_an_id_that_no_run_has(board: BoardProcess, run_id: str) -> None:
    for rest in ("", "/data", "/points", "/points.csv", "/visdom"):
        words_of(board.client.get(f"/api/runs/{run_id}{rest}"))
    words_of(board.client.delete(f"/api/runs/{run_id}"))
    words_of(board.client.post(f"/api/runs/{run_id}/stop"))
    words_of(board.client.patch(f"/api/runs/{run_id}", json={"name": "a"}))
    words_of(board.client.post(f"/api/runs/{run_id}/points", json={"seq": 0, "step": [], "metrics": {}}))
    words_of(board.client.post(f"/api/runs/{run_id}/finish", json={"status": "failed"}))


# --- bad timing -------------------------------------------------------------------------------------------------------


def test_a_run_that_is_deleted_while_others_speak_of_it(board: BoardProcess) -> None:
    columns = {"seq": 0, "step": list(range(100)), "metrics": {"loss": [1.0] * 100}}
    with ThreadPoolExecutor(8) as pool:
        for _ in range(40):
            path = f"/api/runs/{external(board)}"
            calls = [pool.submit(board.client.post, f"{path}/points", json=columns) for _ in range(3)]
            calls += [pool.submit(board.client.delete, path)]
            calls += [pool.submit(board.client.post, f"{path}/points", json=columns) for _ in range(2)]
            calls += [pool.submit(board.client.get, path + rest) for rest in ("", "/points", "/points.csv")]
            statuses = {call.result().status_code for call in calls}
            assert statuses <= {200, 204, 404, 409, 410}


def test_a_caller_that_leaves_in_the_middle_of_a_body(board: BoardProcess) -> None:
    address = httpx2.URL(board.url)
    for path in ("/api/runs", f"/api/runs/{external(board)}/points", "/visdom/env/x"):
        head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc.decode()}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((address.host, address.port or 80)) as line:
            line.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
            time.sleep(0.05)
