"""Media over HTTP: in, listed, and out again as what cannot run as a page."""

from __future__ import annotations

import json
import struct
from typing import Any

from app.api.media import CONTENT_TYPE
from tests.harness.boards import BoardProcess
from tests.harness.calls import external

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 2, 1, 8, 2, 0, 0, 0, 0)
HEAD = {"session": "a" * 32, "number": 0, "name": "val/sample", "kind": "image", "step": 5, "time": 1.5}


def post(board: BoardProcess, run: str, content: bytes = PNG, *, as_type: str = CONTENT_TYPE, **changed: Any) -> Any:
    """Send one medium."""
    body = json.dumps(HEAD | changed).encode() + b"\n" + content
    return board.client.post(f"/api/runs/{run}/media", content=body, headers={"Content-Type": as_type})


def test_an_image_comes_back_as_it_was_sent(board: BoardProcess) -> None:
    run = external(board)
    assert post(board, run).json() == {"accepted": 1}
    assert post(board, run, b"<script>", number=1, name="text", kind="text").json() == {"accepted": 2}
    listed = board.get(f"/api/runs/{run}/media", name="val/sample")
    assert [(one["name"], one["kind"], one["logged"], one["kept"]) for one in listed["names"]] == [
        ("val/sample", "image", 1, 1),
        ("text", "text", 1, 1),
    ]
    (item,) = listed["items"]
    assert (item["step"], item["size"], item["logged_at"]) == (5.0, len(PNG), "1970-01-01T00:00:01.500000Z")
    answer = board.client.get(f"/api/runs/{run}/media/{item['number']}")
    assert (answer.content, answer.headers["content-type"]) == (PNG, "image/png")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox")


def test_media_that_are_refused(board: BoardProcess) -> None:
    run = external(board)
    for changed, place, words in [
        ({"name": ""}, ["name"], "at least 1"),
        ({"kind": "video"}, ["kind"], "'audio'"),
        ({"session": "../x"}, ["session"], "pattern"),
        ({"number": -1}, ["number"], "greater than or equal to 0"),
        ({"step": "NaN"}, ["step"], "number"),
        ({"time": -1}, ["time"], "greater than or equal to 0"),
        ({"size": 5}, ["size"], "not permitted"),
    ]:
        (reason,) = post(board, run, **changed).json()["detail"]
        assert reason["loc"] == ["body", *place]
        assert words in reason["msg"]
    (reason,) = post(board, run, b"no image").json()["detail"]
    assert (reason["loc"], reason["msg"]) == (["body", "content"], "Send an image as PNG.")
    assert post(board, run, as_type="text/plain").status_code == 415
    assert post(board, run, number=3).json()["wanted"] == 0
    assert post(board, board.run("gd", epochs=1)["id"]).status_code == 422
    assert post(board, "nonesuch").status_code == 404
    assert board.get(f"/api/runs/{run}/media") == {"names": [], "items": []}
    assert board.client.get(f"/api/runs/{run}/media/7").status_code == 404
    headers = {"Content-Type": CONTENT_TYPE}
    assert board.client.post(f"/api/runs/{run}/media", content=b"{}", headers=headers).status_code == 422
