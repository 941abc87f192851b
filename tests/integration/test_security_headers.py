"""Every response tells browsers what no other site may do with it, and what may run in it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest
from httpx2.websockets import WebSocketUpgradeError

from app.main import create_app
from app.settings import Settings
from tests.harness.boards import BoardProcess

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
STATIC = ["/", "/main.js", "/base.css", "/favicon.svg", "/docs-assets/swagger-ui-bundle.js", "/no/such/place"]
VISDOM = ["/visdom/static/js/plotly-plotly.min.js", "/visdom/static/no.js", "/visdom/no/such/place", "/visdoms"]


def paths(run_id: str = "none") -> set[str]:
    """All paths of the board's routes, those of its mounts, and some of no route."""
    app = create_app(Settings(data_dir=Path("nowhere")))
    named = {str(route.path) for route in app.routes if getattr(route, "path", None)} | set(app.openapi()["paths"])
    filled = {path.replace("{run_id}", run_id).replace("{number}", "0") for path in named}
    found = {re.sub(r"\{\w+(:path)?\}", "main", path) for path in filled} | {*STATIC, *VISDOM}
    assert len(found) > 50
    return found


def check(answer: httpx2.Response) -> None:
    """The headers that every response has, whatever it is."""
    said = f"{answer.request.method} {answer.request.url}: {answer.status_code} {dict(answer.headers)}"
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"], said
    assert answer.headers["x-frame-options"] == "SAMEORIGIN", said
    assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer"), said
    assert answer.headers["cross-origin-resource-policy"] == "same-origin", said
    (policy,) = answer.headers.get_list("content-security-policy")
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    scripts = rules.get("script-src", rules["default-src"])
    assert "unsafe" not in scripts, said
    assert "http" not in scripts, said
    assert "data:" not in scripts, said
    assert "sandbox" in rules or rules["frame-ancestors"] == "'self'", said


def ask(client: httpx2.Client, method: str, path: str, **headers: str) -> httpx2.Response:
    """The answer, of which no more is read than there is at once: an event stream has no end."""
    with client.stream(method, path, headers=headers) as answer:
        return answer


@pytest.mark.parametrize("method", METHODS)
def test_every_route_and_every_refusal(board: BoardProcess, method: str) -> None:
    board.wait_for_visdom()
    run = board.wait_until(board.run("gd", epochs=2)["id"])
    for path in paths(run["id"] if method == "GET" else "none"):
        check(ask(board.client, method, path))
        check(ask(board.client, method, path, host="evil.example"))
        check(ask(board.client, method, path, origin="http://evil.example"))


def test_what_is_too_large_and_what_is_no_json(board: BoardProcess) -> None:
    for body in (b"no JSON", b"[" * 10_000, b'{"method": "gd", "no": 1}'):
        check(board.client.post("/api/runs", content=body, headers={"content-type": "application/json"}))
    check(ask(board.client, "POST", "/api/runs", content_length="1000000000000"))


def test_visdoms_page_and_what_stands_for_it(board: BoardProcess) -> None:
    board.wait_for_visdom()
    for path in ("/visdom/env/main", "/visdom/compare/main"):
        page = board.client.get(path)
        assert page.status_code == 200
        check(page)
        assert "script-src 'self' 'sha256-" in page.headers["content-security-policy"]
    for path in ("/visdom/env/nothing", "/visdom/error/500"):
        waiting = board.client.get(path)
        assert "<style>" in waiting.text
        assert "style-src 'unsafe-inline'" in waiting.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/visdom/vis_socket", "/visdom/env/main", "/no/such/place", "/api/events"])
def test_a_websocket_that_is_none(board: BoardProcess, path: str) -> None:
    address = board.url.replace("http", "ws") + path
    with pytest.raises(WebSocketUpgradeError) as refused, board.client.websocket(address):
        pass
    assert refused.value.response.status_code == 403
    check(refused.value.response)


@pytest.mark.parametrize("header", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
def test_a_websocket_of_another_site(board: BoardProcess, header: dict[str, str]) -> None:
    address = board.url.replace("http", "ws") + "/visdom/socket"
    with pytest.raises(WebSocketUpgradeError) as refused, board.client.websocket(address, headers=header):
        pass
    assert refused.value.response.status_code in {403, 421}
    check(refused.value.response)


@pytest.mark.anyio
async def test_a_board_that_has_not_started_and_one_that_fails(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, token="off"))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        waiting = await client.get("/visdom/env/main")
        assert (waiting.status_code, "Visdom is starting…" in waiting.text) == (503, True)
        check(waiting)
        failed = await client.get("/api/runs")  # of which there are none before its start
        assert failed.status_code == 500
        check(failed)


@pytest.mark.anyio
async def test_a_board_that_asks_for_a_token(tmp_path: Path) -> None:
    app = create_app(Settings(data_dir=tmp_path, token="on"))
    app.state.tokens.open()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost") as client:
        refused = await client.get("/api/runs")
        assert refused.status_code == 401
        check(refused)
        check(await client.get("/?token=none"))
