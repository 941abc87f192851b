"""The page behind a real nginx: below a path that it takes off or keeps, over TLS, through a Unix socket."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page, expect

from app.middleware.tokens import link, read
from tests.harness.boards import BoardProcess
from tests.harness.nginx import KEPT, STRIPPED, Nginx, nginx


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardProcess]:
    """A board that asks for a token, behind a proxy that it trusts."""
    sockets = tempfile.TemporaryDirectory()  # the path of a socket has at most 100 characters
    board = BoardProcess(tmp_path_factory.mktemp("board"), LOSSBOARD_TOKEN="auto")
    with sockets as folder:
        board.start("--root-path", KEPT, "--trusted-proxy", "127.0.0.1", "--uds", f"{folder}/board.sock")
        board.client.headers["Authorization"] = f"Bearer {read(board.folder)['owner']}"
        board.socket = Path(folder, "board.sock")  # type: ignore[attr-defined]
        yield board
        board.stop()


@pytest.fixture(scope="module")
def proxy(board: BoardProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """An nginx before it: what comes below STRIPPED over TCP, what comes below KEPT through the socket."""
    path = board.socket  # type: ignore[attr-defined]
    with nginx(tmp_path_factory.mktemp("nginx"), board.url, f"http://unix:{path}") as found:
        yield found


@pytest.mark.parametrize(("path", "tls"), [(STRIPPED, True), (KEPT, False)], ids=["taken off, https", "kept, http"])
def test_a_person_signs_in_starts_a_run_and_sees_it(
    board: BoardProcess, proxy: Nginx, new_page: Callable[..., Page], path: str, tls: bool
) -> None:
    url = proxy.url(path, tls=tls)
    page = new_page(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    page.goto(f"{url}/docs")
    page.get_by_label("Token").fill(read(board.folder)["owner"])
    page.get_by_role("button").click()
    expect(page.get_by_text("/api/health").first).to_be_visible()  # the API's page, with its schema
    page.goto(f"{url}/")
    expect(page.locator("main[data-ready]")).to_be_attached()
    name = f"run {path} {tls}"
    page.fill("#name", name)
    page.click("#start")
    expect(page.locator("#runs .name").first).to_have_text(name)
    expect(page.locator("#runs .status").first).to_contain_text("Finished")  # an event told it
    expect(page.frame_locator("#frame").locator(".window").first).to_be_visible()
    (cookie,) = page.context.cookies()
    assert cookie["secure"] == tls
    assert cookie["path"] == ("/" if path == STRIPPED else KEPT)
    assert page.url == f"{url}/"


def test_a_link_with_a_token_leads_to_the_page_below_the_path(board: BoardProcess, proxy: Nginx) -> None:
    for path in (STRIPPED, KEPT):
        answer = httpx2.get(link(proxy.url(path), read(board.folder)["read"]), trust_env=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == "./"
    answer = httpx2.get(proxy.url(KEPT), trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{KEPT}/")


def test_who_is_behind_a_proxy_needs_a_token(board: BoardProcess, proxy: Nginx) -> None:
    assert httpx2.get(f"{board.url}/api/runs", trust_env=False).status_code == 401
    for path in (STRIPPED, KEPT):
        assert httpx2.get(proxy.url(f"{path}/api/runs"), trust_env=False).status_code == 401


def test_a_script_reports_through_the_proxy(board: BoardProcess, proxy: Nginx) -> None:
    for path in (STRIPPED, KEPT):
        with httpx2.Client(
            headers={"Authorization": f"Bearer {read(board.folder)['report']}"}, trust_env=False
        ) as client:
            made = client.post(proxy.url(f"{path}/api/runs"), json={"method": "external", "name": "script"})
            assert made.status_code == 201
