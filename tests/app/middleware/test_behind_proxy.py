"""What is believed of a proxy's headers, and what a request is like once it was read."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.middleware.behind_proxy import BehindProxy
from app.settings import Settings

pytestmark = pytest.mark.anyio

PROXY = ("127.0.0.1", 5000)
HTTPS = {"x-forwarded-proto": "https", "x-forwarded-host": "example.com", "x-forwarded-for": "9.9.9.9"}


class Passed:
    """A board's app that remembers what came through to it, and what was answered before."""

    def __init__(self, **settings: str) -> None:
        self.scope: Scope = {}
        self.answer: list[Message] = []
        self._app = BehindProxy(self._take, Settings.model_validate(settings))

    async def _take(self, scope: Scope, _receive: Receive, _send: Send) -> None:
        self.scope = scope

    async def ask(self, path: str, peer: tuple[str, int] | None = PROXY, **more: Any) -> Scope:
        """Send a request with these headers; what came through, empty if it was answered."""
        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in more.pop("headers", {}).items()]
        scope = {
            "type": more.pop("kind", "http"),
            "scheme": more.pop("scheme", "http"),
            "path": path,
            "raw_path": path.encode(),
            "query_string": more.pop("query", b""),
            "headers": [(b"host", b"127.0.0.1:8000"), *headers],
            "client": peer,
        }

        async def receive() -> Message:
            return {}

        async def send(message: Message) -> None:
            self.answer.append(message)

        await self._app(scope, receive, send)
        return self.scope


def host_of(scope: Scope) -> bytes:
    return dict(scope["headers"])[b"host"]


@pytest.mark.parametrize(("path", "prefix"), [("/board/api/runs", "/board"), ("/api/runs", "")])
async def test_a_proxy_may_keep_the_path_or_take_it_off(path: str, prefix: str) -> None:
    scope = await Passed(root_path="/board/").ask(path)
    assert (scope["path"], scope["raw_path"], scope["state"]["prefix"]) == ("/api/runs", b"/api/runs", prefix)


async def test_a_path_that_only_begins_alike_is_another() -> None:
    assert (await Passed(root_path="/board").ask("/boards"))["path"] == "/boards"


async def test_the_path_without_its_last_slash_leads_to_the_page() -> None:
    board = Passed(root_path="/board")
    assert not await board.ask("/board", query=b"token=x")
    assert dict(board.answer[0]["headers"])[b"location"] == b"/board/?token=x"


async def test_headers_of_a_trusted_proxy_are_believed() -> None:
    board = Passed(trusted_proxy="127.0.0.1, 10.0.0.0/8")
    scope = await board.ask("/user/ann/api/runs", headers={**HTTPS, "x-forwarded-prefix": "/user/ann"})
    assert (scope["scheme"], host_of(scope), scope["client"]) == ("https", b"example.com", ("9.9.9.9", 0))
    assert (scope["path"], scope["state"]["prefix"]) == ("/api/runs", "/user/ann")
    scope = await board.ask("/visdom/socket", kind="websocket", scheme="ws", headers=HTTPS)
    assert scope["scheme"] == "wss"


@pytest.mark.parametrize("settings", [{}, {"trusted_proxy": "10.0.0.1"}, {"root_path": "/board"}])
async def test_headers_of_others_are_not(settings: dict[str, str]) -> None:
    scope = await Passed(**settings).ask("/api/runs", headers={**HTTPS, "x-forwarded-prefix": "/evil"})
    assert (scope["scheme"], host_of(scope), scope["client"]) == ("http", b"127.0.0.1:8000", PROXY)
    assert scope["state"]["prefix"] == ""


async def test_who_comes_through_the_unix_socket_is_a_proxy() -> None:
    scope = await Passed().ask("/api/runs", peer=None, headers=HTTPS)
    assert (scope["scheme"], scope["client"]) == ("https", ("9.9.9.9", 0))


async def test_what_a_client_wrote_before_the_proxy_is_not_believed() -> None:
    told = {"x-forwarded-for": "1.1.1.1, 9.9.9.9, 10.0.0.2", "x-forwarded-proto": "https, http"}
    scope = await Passed(trusted_proxy="127.0.0.1,10.0.0.0/8").ask("/", headers=told)
    assert (scope["client"], scope["scheme"]) == (("9.9.9.9", 0), "http")


@pytest.mark.parametrize("prefix", ["evil", "//evil.com", "/a/../b", "/a b", "/<script>", "/a?b", "/a\\b", '/"'])
async def test_a_prefix_that_is_no_path_is_left_out(prefix: str) -> None:
    scope = await Passed(trusted_proxy="127.0.0.1").ask("/api/runs", headers={"x-forwarded-prefix": prefix})
    assert (scope["path"], scope["state"]["prefix"]) == ("/api/runs", "")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("root_path", "board", "begins with a slash"),
        ("root_path", "//evil.com", "begins with a slash"),
        ("trusted_proxy", "proxy.local", "no address of a proxy"),
    ],
)
def test_settings_that_are_wrong_say_what_to_send(setting: str, value: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.model_validate({setting: value})
