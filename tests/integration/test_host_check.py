"""Another website in the same browser can neither start runs nor read them, whatever it tries."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from httpx2.websockets import WebSocketUpgradeError
from playwright.sync_api import Browser, Page, sync_playwright

from app.middleware.host_check import is_loopback, name_in
from tests.harness.boards import PATIENCE, BoardProcess

PLACES = ["/", "/main.js", "/docs", "/openapi.json", "/lossboard.py", "/api/runs", "/api/health", "/api/events"]
PLACES += ["/visdom/env/lossboard", "/visdom/static/js/main.js", "/visdom/health", "/no/such/place"]


def ask(board: BoardProcess, path: str, method: str = "GET", content: str = "", **headers: str) -> httpx2.Response:
    """Ask with these headers, and read no more of the answer than there is at once: an event stream has no end."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with board.client.stream(method, path, headers=named, content=content) as answer:
        if "event-stream" not in answer.headers.get("content-type", ""):
            answer.read()
    assert not [name for name in answer.headers if name.startswith("access-control")]
    return answer


def reason(answer: httpx2.Response) -> tuple[list[str], str]:
    (first,) = answer.json()["detail"]
    assert set(first) == {"loc", "msg", "type"}
    return first["loc"], first["msg"]


def runs(board: BoardProcess) -> int:
    total: int = board.get("/api/runs")["total"]
    return total


def connect(board: BoardProcess, **headers: str) -> int:
    """Open Visdom's websocket with these headers; the status of the answer."""
    address = board.url.replace("http", "ws", 1) + "/visdom/socket"
    try:
        with board.client.websocket(address, headers=headers) as socket:
            return 101 if socket.receive_text(timeout=PATIENCE) else 0
    except WebSocketUpgradeError as refused:
        return refused.response.status_code


@pytest.mark.parametrize("path", PLACES)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "192.0.2.7", "0.0.0.0"]
)
def test_a_name_that_was_made_to_point_here(board: BoardProcess, path: str, host: str) -> None:
    answer = ask(board, path, host=host)
    assert answer.status_code == 421
    place, words = reason(answer)
    assert place == ["header", "host"]
    assert board.url in words
    assert "LOSSBOARD_ALLOWED_HOSTS" in words


@pytest.mark.parametrize("host", ["a b", "@127.0.0.1", "127.0.0.1@evil.example", "[::1", "localhost:99999999", "/", ""])
def test_what_is_no_host_at_all(board: BoardProcess, host: str) -> None:
    assert ask(board, "/api/runs", host=host).status_code == 400


def test_two_hosts_are_none(board: BoardProcess) -> None:
    address = httpx2.URL(board.url)
    with socket.create_connection((address.host, address.port or 80)) as line:
        line.sendall(b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")
    with socket.create_connection((address.host, address.port or 80)) as line:
        line.sendall(b"GET /api/runs HTTP/1.0\r\n\r\n")
        assert line.recv(100).startswith(b"HTTP/1.1 400")


def test_a_websocket_under_another_name_or_from_another_page(board: BoardProcess) -> None:
    board.wait_for_visdom()
    assert connect(board) == 101
    assert connect(board, origin=board.url) == 101
    assert connect(board, host="evil.example") == 421
    assert connect(board, host="evil.example", origin="http://evil.example") == 421
    for origin in foreign_origins(board):
        assert connect(board, origin=origin) == 403


@pytest.mark.parametrize("path", PLACES)
def test_a_page_from_elsewhere(board: BoardProcess, path: str) -> None:
    for origin in foreign_origins(board):
        answer = ask(board, path, origin=origin)
        assert answer.status_code == 403
        place, words = reason(answer)
        assert place == ["header", "origin"]
        assert board.url in words


def foreign_origins(board: BoardProcess) -> list[str]:
    port = board.url.rpartition(":")[2]
    others = ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", f"http://localhost:{port}"]
    return [*others, f"{board.url}.evil.example", "file://", "chrome-extension://abc", f"ftp://127.0.0.1:{port}", ""]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_a_post_that_needs_no_preflight_starts_nothing(board: BoardProcess, kind: str) -> None:
    before = runs(board)
    for body in ('{"method": "gd"}', '{"method":"gd","name":"=x"}'):
        for headers in (
            {"origin": "http://evil.example"},
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"},
        ):
            answer = ask(board, "/api/runs", "POST", body, content_type=kind, **headers)
            assert answer.status_code == 403
        if kind != "application/json":  # and were its Origin missing, the body would still not be read
            answer = ask(board, "/api/runs", "POST", body, content_type=kind)
            assert answer.status_code == 422
            assert "application/json" in reason(answer)[1]
    assert runs(board) == before


def test_a_preflight_is_refused(board: BoardProcess) -> None:
    asked = {"origin": "http://evil.example", "access_control_request_method": "POST"}
    assert ask(board, "/api/runs", "OPTIONS", **asked).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])  # the latter: another port of this machine
def test_only_a_link_leads_here_from_elsewhere(board: BoardProcess, site: str) -> None:
    for mode, dest in [("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe")]:
        for path in ("/", "/api/runs", "/visdom/env/lossboard", "/api/events"):
            answer = ask(board, path, sec_fetch_site=site, sec_fetch_mode=mode, sec_fetch_dest=dest)
            assert answer.status_code == 403
            assert board.url in reason(answer)[1]
    link = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert ask(board, "/", **link).status_code == 200
    posted = ask(board, "/api/runs", "POST", '{"method": "gd"}', content_type="application/json", **link)
    assert posted.status_code == 403


def test_whoever_belongs_here_passes(board: BoardProcess) -> None:
    port = board.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "LOCALHOST", "localhost.", "[::1]:8000", "127.0.0.2:1"):
        assert ask(board, "/api/runs", host=host).status_code == 200  # a tunnel may have another port
        for scheme in ("http", "https"):  # a proxy may add the s
            own = {"host": host, "origin": f"{scheme}://{host}", "sec_fetch_site": "same-origin"}
            assert ask(board, "/api/runs", **own).status_code == 200
            stopped = ask(board, "/api/runs/none/stop", "POST", **own)
            assert stopped.status_code == 404
            assert ask(board, "/api/events", **own).status_code == 200
    assert ask(board, "/", sec_fetch_site="none", sec_fetch_mode="navigate").status_code == 200


def test_a_board_for_others_says_that_it_has_no_lock(new_board: Callable[..., BoardProcess]) -> None:
    board = new_board(LOSSBOARD_ALLOWED_HOSTS="board.example, Second.Example", LOSSBOARD_HOST="0.0.0.0")
    board = board.start("--visdom-url", "http://visdom.example:8097/elsewhere")
    assert board.process.stdout is not None
    said = board.process.stdout.readline()
    assert "0.0.0.0" in said
    assert "no lock" in said
    own = socket.gethostname()
    for host in ("board.example", "second.example:80", "192.0.2.7", "[2001:db8::1]:8000", "0.0.0.0:1", own):
        assert ask(board, "/api/runs", host=host).status_code == 200
        assert ask(board, "/api/runs", host=host, origin=f"http://{host}").status_code == 200
    for host in ("evil.example", "board.example.evil.example", "1.2.3.4.evil.example"):
        assert ask(board, "/api/runs", host=host).status_code == 421
    assert "frame-src 'self' http://visdom.example:8097" in ask(board, "/").headers["content-security-policy"]
    assert board.wait_until(board.run()["id"])["status"] == "finished"


def test_a_board_on_ipv6(new_board: Callable[..., BoardProcess]) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    board = new_board().start("--host", "::1")
    assert board.url.startswith("http://[::1]:")
    assert ask(board, "/api/runs", origin=board.url).status_code == 200
    assert ask(board, "/api/runs", origin="http://[::2]").status_code == 403
    assert ask(board, "/api/runs", host="evil.example").status_code == 421
    assert board.wait_until(board.run()["id"])["status"] == "finished"


def test_names_are_read_as_browsers_write_them() -> None:
    assert [name_in(host) for host in ("localhost:8000", "[::1]:8000", "A.Example.", "a b", "")] == [
        "localhost",
        "::1",
        "a.example",
        None,
        None,
    ]
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.9.9.9", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.7", "board.example", "")))


# --- and a real browser -----------------------------------------------------------------------------------------------

EVIL = Path(__file__).with_name("evil.html").read_text(encoding="utf-8")


class EvilSite(http.server.BaseHTTPRequestHandler):
    """A website whose page tries everything against the board named in its address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(EVIL.encode())

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def evil_site() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), EvilSite) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, for which evil.example is this machine."""
    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome", playwright.chromium.executable_path)
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None:
            give_up = pytest.fail if os.environ.get("LOSSBOARD_TEST_BROWSER") == "required" else pytest.skip
            give_up("no Chromium was found")
        rules = "--host-resolver-rules=MAP *.example 127.0.0.1"
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", rules])
        yield launched
        launched.close()


def attack(page: Page, site: str, board: str) -> dict[str, str]:
    """Have the evil page at ``site`` do its worst; what came of each try."""
    page.goto(f"{site}/?{board}")
    page.wait_for_function("window.results", timeout=20_000)
    results: dict[str, str] = page.evaluate("window.results")
    shown = page.frame("framed")
    results["frame"] = "read" if shown is not None and shown.query_selector("#runs") else "nothing"
    return results


def test_a_real_browser_on_an_evil_page(board: BoardProcess) -> None:
    board.wait_for_visdom()
    before, port = runs(board), board.url.rpartition(":")[2]
    with evil_site() as evil, chromium() as browser:
        page = browser.new_page()
        for site in (f"http://evil.example:{evil}", f"http://localhost:{evil}", f"http://127.0.0.1:{evil}"):
            results = attack(page, site, board.url)
            assert set(results.values()) == {"nothing"}, (site, results)
            assert len(results) == 12
        # DNS rebinding: the evil name now leads to the board itself
        answer = page.goto(f"http://evil.example:{port}/api/runs")
        assert answer is not None
        assert answer.status == 421
        assert runs(board) == before
        own_pages_break_no_rule(browser, board)
    assert runs(board) == before + 1  # the one that the board's own page started


def own_pages_break_no_rule(browser: Browser, board: BoardProcess) -> None:
    """Under their policies, the board's page, its Visdom and its /docs work without a complaint."""
    for name in ("127.0.0.1", "localhost"):
        page, said = browser.new_page(), list[str]()
        page.on("console", lambda message, said=said: said.append(message.text) if message.type == "error" else None)
        page.goto(board.url.replace("127.0.0.1", name))
        page.frame_locator("#frame").locator(".window").first.wait_for()
        if name == "localhost":
            with page.expect_response(lambda answer: answer.status == 201):
                page.click("#start")
        else:
            page.goto(f"{board.url}/docs")
            page.get_by_text("/api/health").first.click()
        assert [text for text in said if "Content Security Policy" in text or "403" in text] == [], json.dumps(said)
        page.close()
