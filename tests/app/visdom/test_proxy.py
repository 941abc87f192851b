"""The proxy before a real Visdom, over real HTTP and websockets."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import psutil
import pytest
from httpx2.websockets import AsyncWebSocketSession, WebSocketDisconnect, WebSocketUpgradeError
from starlette.applications import Starlette

from app.visdom.connection import VisdomConnection
from app.visdom.proxy import MAX_COMPARED, visdom_routes
from app.visdom.supervisor import ExternalVisdom, VisdomServer
from tests.app.visdom.conftest import eventually, post_window, serving, socket_of
from tests.harness.boards import PATIENCE

pytestmark = pytest.mark.anyio

LINE = [{"type": "scatter", "y": [1, 2]}]


@pytest.fixture(scope="module")
async def board(visdom: VisdomServer) -> AsyncIterator[str]:
    """The address of an app that shows a Visdom with one window, "w" in env "main"."""
    await post_window(VisdomConnection(visdom), "main", "w", LINE)
    async with serving(Starlette(routes=visdom_routes(visdom))) as address:
        yield address


@pytest.fixture(scope="module")
async def browser(board: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=board, timeout=PATIENCE, trust_env=False) as client:
        yield client


async def receive(page: AsyncWebSocketSession, command: str) -> dict[str, Any]:
    """The next message that is this command."""
    while True:
        message: dict[str, Any] = json.loads(await page.receive_text(timeout=PATIENCE))
        if message["command"] == command:
            return message


async def show(browser: httpx2.AsyncClient, page: AsyncWebSocketSession, env: str) -> str:
    """Do as Visdom's page does: ask for an env over HTTP, to come over the websocket."""
    session = str((await receive(page, "register"))["data"])
    answer = await browser.post(f"/visdom/env/{env}", content=json.dumps({"sid": session}))
    assert answer.status_code == 200
    return session


# --- pages and files


@pytest.mark.parametrize(
    ("path", "root"),
    [("/visdom", "./"), ("/visdom/", "../"), ("/visdom/env/main", "../../"), ("/visdom/compare/main", "../../")],
)
async def test_shows_the_page(browser: httpx2.AsyncClient, path: str, root: str) -> None:
    page = await browser.get(path)
    assert page.status_code == 200
    assert "<title>visdom</title>" in page.text
    first, last = f'"{root}gathered_windows.js"', f'"{root}plot_guard.js"'
    assert page.text.index(first) < page.text.index("jquery")  # ours runs first
    assert page.text.index("js/main.js") < page.text.index(last) < page.text.index("</head>")
    assert f"{root}visdom/static/js/main.js" in page.text
    assert not re.search(r"(src|href)=\"?/", page.text)  # below any path
    assert page.headers["content-type"] == "text/html; charset=UTF-8"
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("beside", ["/visdom/", "/visdom/env/main", "/visdom/compare/main"])
async def test_the_icon_that_the_page_names_is_the_boards(browser: httpx2.AsyncClient, beside: str) -> None:
    named = re.search(r'<link rel="[^"]*icon"[^>]* href="([^"]+)"', (await browser.get(beside)).text)
    assert named
    answer = await browser.get(urljoin(beside, named[1]))
    assert answer.status_code == 307
    assert urljoin(urljoin(beside, named[1]), answer.headers["location"]) == "/favicon.svg"


async def test_serves_the_pages_files(browser: httpx2.AsyncClient) -> None:
    asset = await browser.get("/visdom/static/js/jquery.min.js", params={"v": "1"})
    assert asset.text == "var asset = 'jquery';"
    assert asset.headers["content-type"] == "text/javascript"
    assert "immutable" in asset.headers["cache-control"]
    script = await browser.get("/visdom/static/js/main.js")
    assert int(script.headers["content-length"]) == len(script.content) > 1_000_000
    assert script.headers["cache-control"] == "no-cache"
    again = await browser.get("/visdom/static/js/main.js", headers={"If-None-Match": script.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = await browser.get("/visdom/static/js/main.js", headers={"Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, script.content[:10])
    head = await browser.head("/visdom/static/js/main.js")
    assert (head.status_code, head.content) == (200, b"")
    assert ".navbar { top: 0 }" in (await browser.get("/visdom/user/style.css")).text
    assert (await browser.get("/visdom/health")).json() == {"status": "ok"}
    assert (await browser.get("/visdom/static/js/missing.js", params={"v": "1"})).status_code == 404


@pytest.mark.parametrize("name", ["%00", "x" * 300, "x/" * 3000])
async def test_a_name_that_no_file_can_have(browser: httpx2.AsyncClient, name: str) -> None:
    request = browser.build_request("GET", "/visdom", extensions={"target": f"/visdom/static/{name}".encode()})
    assert (await browser.send(request)).status_code == 404


async def test_an_env_without_windows_is_waited_for(browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/visdom/env/not%20yet")
    assert page.status_code == 404
    assert "Nothing has been drawn here yet." in page.text
    assert '<meta http-equiv="refresh" content="1">' in page.text


async def test_a_page_whose_request_failed_is_sent_back(browser: httpx2.AsyncClient) -> None:
    came_from = f"{str(browser.base_url).rstrip(chr(47))}/visdom/env/a%20b?x=1"
    page = await browser.get("/visdom/error/500", headers={"Referer": came_from})
    assert '<meta http-equiv="refresh" content="1; url=/visdom/env/a%20b?x=1">' in page.text
    elsewhere = {"Referer": 'https://evil.example/"><script>alert(1)</script>'}
    page = await browser.get("/visdom/error/500", headers=elsewhere)
    assert '<meta http-equiv="refresh" content="1; url=../">' in page.text


@pytest.mark.parametrize(
    "question",
    [b"", b"no JSON", b"[]", b"null", b'{"sid": ["a"]}', b'{"sid": {}}', b"[" * 50_000, b"\xff", b" " * 70_000],
)
@pytest.mark.parametrize("path", ["/visdom/env/main", "/visdom/compare/main+other"])
async def test_a_question_that_is_none_is_refused(browser: httpx2.AsyncClient, path: str, question: bytes) -> None:
    answer = await browser.post(path, content=question)
    assert answer.status_code == 400
    assert "websocket session" in answer.json()["detail"]


async def test_the_page_asks_before_it_has_a_session(browser: httpx2.AsyncClient, visdom: VisdomServer) -> None:
    for path in ("/visdom/env/main", "/visdom/compare/main+other"):
        assert (await browser.post(path, content=b'{"sid": null}')).status_code == 200
    await browser.post("/visdom/env/intruder", content=b'{"sid": null, "eid": "intruder"}')
    assert "intruder" not in await VisdomConnection(visdom).post("/env_state", b"{}")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_so_many_envs_are_compared_and_no_more(browser: httpx2.AsyncClient, method: str) -> None:
    def path(envs: int) -> str:
        return "/visdom/compare/" + "+".join(["main"] * envs)

    assert (await browser.request(method, path(MAX_COMPARED), content=b'{"sid": null}')).status_code == 200
    refused = await browser.request(method, path(MAX_COMPARED + 1), content=b'{"sid": null}')
    assert (refused.status_code, refused.json()["detail"]) == (400, "Compare at most 20 envs at once.")


# --- what is closed


@pytest.mark.parametrize(
    "path",
    [
        *("events", "update", "close", "delete_env", "save", "upload_env", "fork_env", "experiments/log", "win_data"),
        *("win_exists", "env_state", "windows", "socket_wrap", "vis_socket_wrap", "", "anything", "%65vents"),
        "static/js/main.js",
        *("env/../events", "env/%2e%2e/events", "env/..%2fevents", "env/main/../../events"),
    ],
)
async def test_what_writes_is_closed(board: str, browser: httpx2.AsyncClient, visdom: VisdomServer, path: str) -> None:
    window = {"eid": "stranger", "win": "w", "data": LINE, "layout": {}, "sid": "a"}
    request = browser.build_request(
        "POST", board, json=window, extensions={"target": f"/visdom/{path}".encode()}, headers=visdom.headers
    )
    answer = await browser.send(request)
    assert answer.status_code == 403
    assert "only shows windows" in answer.json()["detail"]
    assert "stranger" not in await VisdomConnection(visdom).post("/env_state", b"{}")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_closed(browser: httpx2.AsyncClient, method: str) -> None:
    assert (await browser.request(method, "/visdom/env/main")).status_code == 403


@pytest.mark.parametrize("path", ["socket_wrap", "save", "env/a/b", "vis_socket", "static/"])
async def test_other_pages_are_closed(browser: httpx2.AsyncClient, path: str) -> None:
    assert (await browser.get(f"/visdom/{path}")).status_code in {403, 404}


@pytest.mark.parametrize("path", ["/visdom/vis_socket", "/visdom/anything", "/visdom/env/main"])
async def test_other_websockets_are_closed(browser: httpx2.AsyncClient, path: str) -> None:
    with pytest.raises(WebSocketUpgradeError) as refused:
        async with socket_of(browser, path):
            pass
    assert refused.value.response.status_code == 403


async def test_files_outside_the_assets_are_closed(board: str, browser: httpx2.AsyncClient) -> None:
    for path in ("../VERSION", "%2e%2e/VERSION", "..%2fVERSION", "../../../../../../etc/passwd"):
        request = browser.build_request("GET", board, extensions={"target": f"/visdom/static/{path}".encode()})
        assert (await browser.send(request)).status_code in {403, 404}


# --- the websocket


async def test_a_page_sees_what_is_posted(browser: httpx2.AsyncClient, visdom: VisdomServer) -> None:
    async with socket_of(browser, headers={"Origin": str(browser.base_url).rstrip("/")}) as page:
        await show(browser, page, "main")
        assert (await receive(page, "window"))["content"]["data"] == LINE
        await receive(page, "layout")
        await post_window(VisdomConnection(visdom), "main", "new", LINE, {"title": "Ünïcode ✓"})
        window = await receive(page, "window")
        assert (window["id"], window["eid"], window["content"]["layout"]["title"]) == ("new", "main", "Ünïcode ✓")


async def test_a_page_of_another_site_is_refused(browser: httpx2.AsyncClient) -> None:
    with pytest.raises(WebSocketUpgradeError) as refused:
        async with socket_of(browser, headers={"Origin": "https://evil.example"}):
            pass
    assert refused.value.response.status_code == 403


async def test_a_big_window_arrives(browser: httpx2.AsyncClient, visdom: VisdomServer) -> None:
    text = "x" * 20_000_000
    async with socket_of(browser) as page:
        await show(browser, page, "big")
        await post_window(VisdomConnection(visdom), "big", "w", [{"type": "text", "content": text}])
        assert (await receive(page, "window"))["content"] == text
    await VisdomConnection(visdom).delete_env("big")


async def test_a_slow_browser_gets_the_last_picture(browser: httpx2.AsyncClient, visdom: VisdomServer) -> None:
    connection = VisdomConnection(visdom)
    async with socket_of(browser) as page:
        await show(browser, page, "slow")
        await receive(page, "layout")
        for n in range(50):
            await post_window(connection, "slow", "w", [{"type": "text", "content": f"{n} " + "x" * 1_000_000}])
        seen = []
        while "49" not in seen:
            seen.append((await receive(page, "window"))["content"].split()[0])
    assert len(seen) < 25  # what the sockets hold, and the last
    await connection.delete_env("slow")


async def test_a_page_survives_a_new_visdom(assets: Path, tmp_path: Path) -> None:
    visdom = VisdomServer(assets=assets, folder=tmp_path)
    await visdom.start()
    async with (
        serving(Starlette(routes=visdom_routes(visdom))) as address,
        httpx2.AsyncClient(base_url=address, timeout=PATIENCE, trust_env=False) as browser,
    ):
        assert await visdom.wait_until_up(PATIENCE), visdom.error
        async with socket_of(browser) as page:
            first = await show(browser, page, "main")
            assert visdom.pid is not None
            psutil.Process(visdom.pid).kill()
            second = await show(browser, page, "main")
            assert second != first
            await post_window(VisdomConnection(visdom), "main", "rebuilt", LINE)
            assert (await receive(page, "window"))["id"] == "rebuilt"
        await visdom.stop()


# --- no Visdom


@pytest.fixture
async def lonely(assets: Path, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser at an app whose Visdom cannot be started."""
    visdom = VisdomServer(assets=assets, folder=tmp_path, python="/no/<python>")
    await visdom.start()
    await eventually(lambda: visdom.error)
    async with (
        serving(Starlette(routes=visdom_routes(visdom))) as address,
        httpx2.AsyncClient(base_url=address, timeout=PATIENCE, trust_env=False) as browser,
    ):
        yield browser
    await visdom.stop()


@pytest.mark.parametrize("path", ["/visdom", "/visdom/", "/visdom/env/main"])
async def test_without_visdom_pages_wait(lonely: httpx2.AsyncClient, path: str) -> None:
    page = await lonely.get(path)
    assert page.status_code == 503
    assert "Visdom cannot be started: " in page.text
    assert "/no/&lt;python&gt;" in page.text
    assert '<meta http-equiv="refresh" content="1">' in page.text
    assert "color-scheme" in page.text
    assert page.headers["cache-control"] == "no-store"


async def test_without_visdom_the_rest_is_refused(lonely: httpx2.AsyncClient) -> None:
    for answer in (
        await lonely.get("/visdom/static/js/main.js"),
        await lonely.get("/visdom/health"),
        await lonely.post("/visdom/env/main", content=b'{"sid": "a"}'),
    ):
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("Visdom cannot be started: ")


async def test_without_visdom_websockets_are_told_to_try_again(lonely: httpx2.AsyncClient) -> None:
    async with socket_of(lonely) as page:
        with pytest.raises(WebSocketDisconnect) as closed:
            await page.receive(timeout=PATIENCE)
    assert closed.value.code == 1013


async def test_before_the_start_pages_wait_and_websockets_are_held(assets: Path, tmp_path: Path) -> None:
    visdom = VisdomServer(assets=assets, folder=tmp_path)
    async with (
        serving(Starlette(routes=visdom_routes(visdom))) as address,
        httpx2.AsyncClient(base_url=address, trust_env=False, timeout=PATIENCE) as browser,
    ):
        page = await browser.get("/visdom/env/main")
        assert (page.status_code, "Visdom is starting…" in page.text) == (503, True)
        starting = asyncio.create_task(visdom.start())
        async with socket_of(browser) as page:
            await show(browser, page, "main")
        await starting
        await visdom.stop()


async def test_a_visdom_under_another_path_is_sent_to() -> None:
    visdom = ExternalVisdom("http://elsewhere:8097")
    async with (
        serving(Starlette(routes=visdom_routes(visdom))) as address,
        httpx2.AsyncClient(base_url=address, timeout=PATIENCE, trust_env=False) as browser,
    ):
        for path in ("", "/", "/env/a%20b?x=1"):
            answer = await browser.get("/visdom" + path)
            assert (answer.status_code, answer.headers["location"]) == (307, "http://elsewhere:8097" + path)
        assert (await browser.post("/visdom/env/main")).status_code == 403
    await visdom.stop()
