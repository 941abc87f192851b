"""The page that asks a browser for its token."""

from __future__ import annotations

import pytest

from app.middleware.sign_in import WORDS
from app.middleware.slowing import MAX_WRONG
from tests.app.middleware.conftest import LockedBoard, leads_to

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
WORDS_EN = WORDS["en"]


@pytest.fixture
def fresh(tmp_path_factory: pytest.TempPathFactory) -> LockedBoard:
    """A board to which nobody has sent a wrong token yet."""
    return LockedBoard(tmp_path_factory.mktemp("fresh"))


@pytest.mark.parametrize("path", ["/", "/docs", "/visdom/env/lossboard", "/no/such/page"])
async def test_a_browser_gets_the_page(locked: LockedBoard, path: str) -> None:
    answer = await locked.client.get(f"{path}?step=3&token=", headers=BROWSER)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-store"
    assert "script" not in answer.text
    assert "style=" not in answer.text
    assert f'name="next" value="{path}?step=3"' in answer.text
    assert "alert" not in answer.text


@pytest.mark.parametrize("path", ["/api/runs", "/api/events", "/api/new"])
async def test_who_calls_the_api_gets_json(locked: LockedBoard, path: str) -> None:
    answer = await locked.client.get(path, headers=BROWSER)
    assert answer.status_code == 401
    assert answer.json()["detail"][0]["type"] == "unauthorized"


async def test_a_right_token_leads_to_where_the_browser_was(locked: LockedBoard) -> None:
    form = {"token": f" {locked.token('read')}\n", "next": "/docs?a=b"}
    answer = await locked.client.post("/api/sign-in", data=form)
    assert (answer.status_code, leads_to(answer)) == (303, "/docs?a=b")
    assert answer.headers["set-cookie"].startswith(f"lossboard-8000={locked.token('read')};")
    assert (await locked.client.get("/docs")).text == "inside: read"


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\\evil.example", "http://evil.example", "evil", "", "/a\nb", "javascript:alert(1)"]
)
async def test_it_leads_to_this_board_only(locked: LockedBoard, address: str) -> None:
    answer = await locked.client.post("/api/sign-in", data={"token": locked.token("owner"), "next": address})
    assert leads_to(answer) == "/"


async def test_what_is_asked_for_cannot_change_the_page(locked: LockedBoard) -> None:
    answer = await locked.client.get('/x"><script>alert(1)</script>?a="><script>', headers=BROWSER)
    assert answer.status_code == 401
    assert "<script" not in answer.text


@pytest.mark.parametrize("sent", [b"token=wrong", b"", b"token=", b"\xff=\xff", b"token=" + b"x" * 50_000])
async def test_a_wrong_token_is_asked_for_again(fresh: LockedBoard, sent: bytes) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await fresh.client.post("/api/sign-in", content=sent, headers=kind)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert ("alert" in answer.text) == (b"token=w" in sent or b"xxx" in sent)
    assert "xxx" not in answer.text


async def test_the_address_of_the_form_leads_to_the_page(locked: LockedBoard) -> None:
    answer = await locked.client.get("/api/sign-in")
    assert (answer.status_code, leads_to(answer)) == (303, "/")


async def test_a_token_that_shows_nothing_is_told_so(locked: LockedBoard) -> None:
    answer = await locked.client.post("/api/sign-in", data={"token": locked.token("report")})
    assert answer.status_code == 403
    assert WORDS_EN.report in answer.text
    assert "set-cookie" not in answer.headers


async def test_who_tries_many_waits(fresh: LockedBoard) -> None:
    for number in range(MAX_WRONG):
        assert (await fresh.client.post("/api/sign-in", data={"token": str(number)})).status_code == 401
    answer = await fresh.client.post("/api/sign-in", data={"token": "one more"})
    assert answer.status_code == 429
    assert WORDS_EN.slow in answer.text
    api = await fresh.ask("GET", "/api/runs", "and another")
    assert api.status_code == 429
    assert 0 < int(api.headers["retry-after"]) <= 60
    assert api.json()["detail"][0]["type"] == "too_many_requests"
    assert (await fresh.ask("GET", "/api/health", "and another")).status_code == 200
    assert (await fresh.ask("GET", "/api/runs", fresh.token("read"))).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("de", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh;q=0.3, en;q=0.7", "en"),
        ("zh;q=nonsense, en;q=0.5", "zh"),
    ],
)
async def test_it_speaks_the_readers_language(locked: LockedBoard, accepted: str, language: str) -> None:
    page = (await locked.client.get("/", headers={**BROWSER, "accept-language": accepted})).text
    assert f'<html lang="{language}">' in page
    assert WORDS[language].where in page


async def test_without_the_lock_there_is_no_such_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    board = LockedBoard(tmp_path_factory.mktemp("off"), token="off")
    assert (await board.client.post("/api/sign-in", data={"token": "x"})).text == "inside: owner"
    answer = await board.client.get("/?token=old&a=b")
    assert (answer.status_code, leads_to(answer)) == (303, "/?a=b")
    assert "set-cookie" not in answer.headers
