"""How a token comes in, and how who has none is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2
import pytest
from starlette.types import Message, Receive, Scope, Send

from app.middleware import door
from app.middleware.slowing import Slowing
from app.middleware.tokens import Tokens, make, read
from tests.app.middleware.conftest import LockedBoard, leads_to

pytestmark = pytest.mark.anyio


async def never() -> Message:
    """What a client sends that says nothing more."""
    await asyncio.Event().wait()
    return {}


def reason(answer: httpx2.Response) -> str:
    """The sentence of a refusal, in the shape that every refusal has."""
    (first,) = answer.json()["detail"]
    assert set(first) == {"loc", "msg", "type"}
    assert first["loc"] == ["header", "authorization"]
    words: str = first["msg"]
    return words


async def test_a_refusal_says_what_to_send(locked: LockedBoard) -> None:
    none, wrong = await locked.ask("GET", "/api/runs"), await locked.ask("GET", "/api/runs", "wrong-one")
    assert (none.status_code, wrong.status_code) == (401, 401)
    assert "Authorization: Bearer TOKEN" in reason(none)
    assert "LOSSBOARD_TOKEN" in reason(none)
    assert "no token of this board" in reason(wrong)
    assert "wrong-one" not in wrong.text
    assert none.headers["www-authenticate"] == "Bearer"
    assert none.headers["x-content-type-options"] == "nosniff"
    for right in ("read", "report", "worker"):
        answer = await locked.ask("DELETE", "/api/runs/1", locked.token(right))
        assert answer.status_code == 403
        assert locked.token(right) not in answer.text
        assert reason(answer)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER"])
async def test_a_header(locked: LockedBoard, kind: str) -> None:
    answer = await locked.client.get("/api/runs", headers={"Authorization": f"{kind} {locked.token('read')}"})
    assert answer.text == "inside: read"


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer", "Bearer x{}", "Token {}"])
async def test_no_header(locked: LockedBoard, header: str) -> None:
    sent = header.format(locked.token("owner"))
    assert (await locked.client.get("/api/runs", headers={"Authorization": sent})).status_code == 401


async def test_a_link_becomes_a_cookie(locked: LockedBoard) -> None:
    answer = await locked.client.get("/", params={"lesson": "limit & more", "token": locked.token("read")})
    assert answer.status_code == 303
    assert leads_to(answer) == "/?lesson=limit+%26+more"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    cookie, *flags = answer.headers["set-cookie"].split("; ")
    assert cookie == f"lossboard-8000={locked.token('read')}"
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= {*flags}
    assert "Secure" not in flags
    assert (await locked.client.get("/api/runs")).text == "inside: read"  # the client keeps cookies, as browsers do
    assert (await locked.client.patch("/api/board")).status_code == 403


async def test_over_tls_the_cookie_is_for_tls_only(locked: LockedBoard) -> None:
    answer = await locked.client.get("https://127.0.0.1:8000/", params={"token": locked.token("owner")})
    assert "Secure" in answer.headers["set-cookie"].split("; ")


async def test_boards_beside_each_other_have_cookies_of_their_own(locked: LockedBoard) -> None:
    token = locked.token("owner")
    tunnel = await locked.client.get("http://localhost:9000/", params={"token": token})
    assert tunnel.headers["set-cookie"].startswith(f"lossboard-9000={token};")
    proxy = await locked.client.get("http://localhost/", params={"token": token})
    assert proxy.headers["set-cookie"].startswith(f"lossboard-8000={token};")
    locked.client.cookies.clear()
    for cookies, expected in [
        (f"lossboard-9000={token}", 401),
        (f"lossboard-9000=x; lossboard-8000={token}", 200),
        (f"lossboard-8000={token}x", 401),
        (f"xlossboard-8000={token}", 401),
        (f'lossboard-8000="{token}"', 401),
    ]:
        assert (await locked.client.get("/api/runs", headers={"Cookie": cookies})).status_code == expected


async def test_a_wrong_link_leaves_no_cookie_and_takes_none(locked: LockedBoard) -> None:
    for token in ("wrong", locked.token("report")):
        answer = await locked.client.get("/", params={"token": token})
        assert (answer.status_code, leads_to(answer)) == (303, "/")
        assert "set-cookie" not in answer.headers
    assert (await locked.client.get("/")).status_code == 401


@pytest.mark.parametrize("path", ["/api/runs", "/docs", "/main.js", "/lossboard.py", "/visdom"])
async def test_only_the_page_takes_a_token_from_its_address(locked: LockedBoard, path: str) -> None:
    assert (await locked.client.get(path, params={"token": locked.token("owner")})).status_code == 401
    assert (await locked.client.post("/", params={"token": locked.token("owner")})).status_code == 401


async def test_a_header_goes_before_a_cookie(locked: LockedBoard) -> None:
    cookie = f"lossboard-8000={locked.token('owner')}"
    answer = await locked.ask("GET", "/api/runs", locked.token("read"), Cookie=cookie)
    assert answer.text == "inside: read"


async def test_a_renewed_token_ends_what_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "CHECK_S", 0.01)
    tokens = Tokens(tmp_path)
    tokens.open()
    ended = []

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "opened"})
            await asyncio.Event().wait()
        finally:
            ended.append(scope["type"])

    for kind, path, closing in [
        ("websocket", "/visdom/socket", {"type": "websocket.close", "code": 1008}),
        ("http", "/api/events", {"type": "http.response.body", "body": b""}),
    ]:
        bearer = (b"authorization", f"Bearer {read(tmp_path)['read']}".encode())
        sent: asyncio.Queue[Message] = asyncio.Queue()
        scope = {"type": kind, "method": "GET", "path": path, "query_string": b"", "headers": [bearer]}
        if kind == "websocket":
            del scope["method"]
        serving = asyncio.create_task(door.Door(endless, tokens, 8000, Slowing())(scope, never, sent.put))
        assert await sent.get() == {"type": "opened"}
        make(tmp_path, new="report")
        await asyncio.sleep(0.05)
        assert not serving.done()  # it was another one
        make(tmp_path, new="read")
        await serving
        assert sent.get_nowait() == closing
    assert ended == ["websocket", "http"]


async def test_an_ended_token_ends_its_cookie(locked: LockedBoard) -> None:
    await locked.client.get("/", params={"token": locked.token("owner")})
    assert (await locked.client.get("/api/runs")).status_code == 200
    make(locked.folder, new="owner")
    assert (await locked.client.get("/api/runs")).status_code == 401
