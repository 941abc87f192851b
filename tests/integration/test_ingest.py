"""Points arrive once, in order, to the last bit, whoever sends them how often."""

from __future__ import annotations

import array
import csv
import io
import json
import math
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import lossboard
from lossboard_extras.reading import load
from tests.harness.boards import BoardProcess


@pytest.fixture
def external(board: BoardProcess) -> str:
    run: dict[str, Any] = board.client.post("/api/runs", json={"method": "external", "name": "by hand"}).json()
    assert run["status"] == "running"
    return f"/api/runs/{run['id']}"


def columns(seq: int, losses: list[float]) -> dict[str, Any]:
    return {"seq": seq, "step": list(range(seq, seq + len(losses))), "metrics": {"loss": losses}}


def test_a_resend_changes_nothing_and_a_gap_is_refused(board: BoardProcess, external: str) -> None:
    def post(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        answer = board.client.post(f"{external}/points", json=body)
        return answer.status_code, answer.json()

    assert post(columns(0, [5, 4, 3]))[1]["accepted"] == 3
    assert post(columns(0, [9, 9, 9]))[1]["accepted"] == 3
    assert post(columns(2, [9, 2, 1]))[1]["accepted"] == 5  # its first record is known, the others are new
    assert post(columns(0, []))[1] == {
        "accepted": 5,
        "control": {"stop": False, "pause": False, "hold": "", "steps": 0, "params": {}, "asked": {}, "revision": 0},
        "missing": [],
        "blocks": [],
    }
    status, refusal = post(columns(7, [0]))
    assert (status, refusal["wanted"]) == (409, 5)
    assert "from 5" in refusal["detail"][0]["msg"]
    assert board.get(f"{external}/points")["metrics"]["loss"] == [5, 4, 3, 2, 1]


def test_the_same_batch_from_many_at_once_is_stored_once(board: BoardProcess, external: str) -> None:
    body = columns(0, [float(i) for i in range(500)])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: board.client.post(f"{external}/points", json=body), range(8)))
    assert {answer.json()["accepted"] for answer in answers} == {500}
    assert board.get(f"{external}/points")["metrics"]["loss"] == body["metrics"]["loss"]


def test_the_clients_binary_form_keeps_every_bit(board: BoardProcess, external: str) -> None:
    odd = [math.nan, math.inf, -0.0, 5e-324, lossboard.MISSING]
    rows = array.array("d")
    for step, value in enumerate(odd):
        rows.extend([step or -0.0, value, 1 / 3])
    body = json.dumps({"seq": 0, "metrics": ["loss", "w"]}).encode() + b"\n" + rows.tobytes()
    headers = {"Content-Type": lossboard.CONTENT_TYPE}
    assert board.client.post(f"{external}/points", content=body, headers=headers).json()["accepted"] == 5
    points = board.get(f"{external}/points")
    metrics = points["metrics"]
    assert (points["step"], math.copysign(1, points["step"][0])) == ([0, 1, 2, 3, 4], 1)
    assert metrics["w"] == [1 / 3] * 5
    assert metrics["loss"] == ["NaN", "Infinity", -0.0, 5e-324, None]
    assert math.copysign(1, metrics["loss"][2]) == -1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no first line"),
        (b'{"seq": 0}\n', "first line must be JSON like"),
        (b"[" * 50_000 + b"\n", "first line must be JSON like"),
        (b'{"seq": -1, "metrics": []}\n', "seq must be a whole number"),
        (b'{"seq": true, "metrics": []}\n', "seq must be a whole number"),
        (b'{"seq": 0, "metrics": "loss"}\n', "metrics must be a list of names"),
        (b'{"seq": 0, "metrics": ["a", "a"]}\n', "one metric twice"),
        (b'{"seq": 0, "metrics": ["loss"]}\n' + b"\0" * 15, "cut"),
        (b'{"seq": 0, "metrics": ["loss"]}\n' + array.array("d", [math.nan, 1]).tobytes(), "finite"),
    ],
)
def test_a_broken_binary_body_is_refused_whole(board: BoardProcess, external: str, body: bytes, words: str) -> None:
    answer = board.client.post(f"{external}/points", content=body, headers={"Content-Type": lossboard.CONTENT_TYPE})
    assert answer.status_code == 422
    assert words in answer.json()["detail"][0]["msg"]
    assert board.get(f"{external}/points")["total"] == 0


def test_metrics_that_come_and_go(board: BoardProcess, external: str) -> None:
    board.client.post(f"{external}/points", json=columns(0, [3.0]))
    board.client.post(f"{external}/points", json={"seq": 1, "step": [10, 20], "metrics": {"acc": [0.5, None]}})
    points = board.get(f"{external}/points")
    assert points["step"] == [0, 10, 20]
    assert points["metrics"] == {"loss": [3.0, None, None], "acc": [None, 0.5, None]}
    assert board.get(f"{external}/points", from_step=10)["step"] == [10, 20]
    run = board.get(external)
    assert run["last"] == {"loss": 3.0, "acc": 0.5}
    table = board.client.get(f"{external}/points.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.splitlines() == ["step,loss,acc", "0,3.0,", "10,,0.5", "20,,"]


def test_any_name_of_a_metric_is_one_field_of_the_csv(board: BoardProcess, external: str) -> None:
    names = ["a", 'b,"c', "d\ne", "f\rg"]
    board.client.post(f"{external}/points", json={"seq": 0, "step": [0], "metrics": {name: [0.5] for name in names}})
    text = board.client.get(f"{external}/points.csv").text
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["step", *names], ["0", *["0.5"] * 4]]


def test_a_metric_named_like_a_formula_is_none_in_the_csv(board: BoardProcess, external: str) -> None:
    names = ["=HYPERLINK(1)", "-loss", "@x", "'=y", "a"]
    board.client.post(f"{external}/points", json={"seq": 0, "step": [0], "metrics": {name: [-0.5] for name in names}})
    text = board.client.get(f"{external}/points.csv").text
    cells = ["'=HYPERLINK(1)", "'-loss", "'@x", "''=y", "a"]
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["step", *cells], ["0", *["-0.5"] * 5]]
    assert [*load(external.rpartition("/")[2], url=board.url)] == ["step", *names]


def test_a_thinned_curve_keeps_its_spike_and_its_ends(board: BoardProcess, external: str) -> None:
    losses = [float(i % 7) for i in range(50_000)]
    losses[31_415] = 1e6
    board.client.post(f"{external}/points", json=columns(0, losses))
    points = board.get(f"{external}/points", max_points=200)
    assert len(points["step"]) <= 200
    assert (points["total"], points["downsampled"]) == (50_000, True)
    assert (points["step"][0], points["step"][-1]) == (0, 49_999)
    assert points["metrics"]["loss"][points["step"].index(31_415)] == 1e6
    assert len(board.get(f"{external}/points", max_points=50_000)["step"]) == 50_000


def test_an_external_run_brings_its_own_id(board: BoardProcess) -> None:
    run_id = uuid.uuid4().hex
    body = {"method": "external", "id": run_id, "name": "script", "params": {"lr": 0.1, "note": "mine"}}
    first, second = (board.client.post("/api/runs", json=body) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"] == run_id
    assert board.client.delete(f"/api/runs/{run_id}").status_code == 204
    assert board.client.post("/api/runs", json=body).status_code == 410
    assert board.client.post(f"/api/runs/{run_id}/points", json=columns(0, [1])).status_code == 410


def test_a_run_that_has_ended_takes_no_more_points(board: BoardProcess, external: str) -> None:
    board.client.post(f"{external}/points", json=columns(0, [1.0]))
    ended = board.client.post(f"{external}/finish", json={"status": "finished", "result": {"accuracy": 0.9}}).json()
    assert (ended["status"], ended["result"]) == ("finished", {"accuracy": 0.9})
    again = board.client.post(f"{external}/finish", json={"status": "failed", "error": "late"}).json()
    assert (again["status"], again["error"]) == ("finished", None)
    answer = board.client.post(f"{external}/points", json=columns(1, [2.0]))
    assert answer.status_code == 409
    assert "has ended" in answer.json()["detail"][0]["msg"]
    assert board.client.post("/api/runs/nonesuch/points", json=columns(0, [1])).status_code == 404


def binary(seq: int, losses: list[float]) -> bytes:
    """As the client sends it: a step of 0 is -0.0."""
    rows = array.array("d", [value for at, loss in enumerate(losses, seq) for value in (at or -0.0, loss)])
    return json.dumps({"seq": seq, "metrics": ["loss"]}).encode() + b"\n" + rows.tobytes()


BINARY = {"Content-Type": lossboard.CONTENT_TYPE}


def test_two_writers_of_the_same_numbers(board: BoardProcess, external: str) -> None:
    """Whoever comes first is believed, record by record; nothing is mixed within one."""
    bodies = [binary(0, [float(writer)] * 1000) for writer in range(6)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(lambda body: board.client.post(f"{external}/points", content=body, headers=BINARY), bodies)
        )
    assert {answer.json()["accepted"] for answer in answers} == {1000}
    points = board.get(f"{external}/points")
    assert points["total"] == 1000
    assert len(set(points["metrics"]["loss"])) == 1


def test_a_batch_cut_in_half(board: BoardProcess, external: str) -> None:
    whole = binary(0, [float(i) for i in range(100)])
    head = whole.index(b"\n") + 1
    cut = board.client.post(f"{external}/points", content=whole[: head + 50 * 16 + 8], headers=BINARY)
    assert (cut.status_code, board.get(f"{external}/points")["total"]) == (422, 0)
    half = board.client.post(f"{external}/points", content=whole[: head + 50 * 16], headers=BINARY)
    assert half.json()["accepted"] == 50
    unwritten = whole[: head + 70 * 16] + bytes(16) + whole[head + 71 * 16 :]
    assert board.client.post(f"{external}/points", content=unwritten, headers=BINARY).json()["accepted"] == 70
    assert board.client.post(f"{external}/points", content=whole, headers=BINARY).json()["accepted"] == 100
    assert board.get(f"{external}/points")["metrics"]["loss"] == list(range(100))


def test_batches_out_of_order(board: BoardProcess, external: str) -> None:
    """Each is refused until those before it have come; the answer says which are wanted."""
    pieces = {seq: binary(seq, [float(seq + i) for i in range(10)]) for seq in range(0, 100, 10)}
    waiting, wanted = sorted(pieces, key=lambda seq: seq * 7 % 100), 0
    for seq in [*waiting, *waiting, *sorted(pieces)]:
        answer = board.client.post(f"{external}/points", content=pieces[seq], headers=BINARY)
        if seq > wanted:
            assert (answer.status_code, answer.json()["wanted"]) == (409, wanted)
        else:
            wanted = max(wanted, seq + 10)
            assert answer.json()["accepted"] == wanted
    assert board.get(f"{external}/points")["metrics"]["loss"] == list(range(100))
