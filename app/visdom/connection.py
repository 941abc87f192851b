"""A Visdom server: whether it is up, and the one place that posts to it and checks its responses."""

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Literal
from urllib.parse import urlsplit

import httpx2
import pydantic_core

from app.visdom.constants import BASE_PATH, WINDOWS_PATH

State = Literal["up", "starting", "down"]

REQUEST_TIMEOUT_S = 5.0
HEALTH_TIMEOUT_S = 1.0  # a healthy Visdom responds sooner
IDLE_CONNECTIONS = 20

logger = logging.getLogger(__name__)


class AnyVisdom(ABC):
    """A Visdom server, whoever runs it: its address, its state, and the listeners called when that changes.

    `url` and `headers` are what a request to it needs; the url of a child process changes when it is restarted.
    `error` says in a sentence why it is not up, if the reason is known. `tells_windows`: it has WINDOWS_PATH.
    """

    tells_windows = False

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.error: str | None = None
        self._state: State = "starting"
        self._up = asyncio.Event()
        self._listeners: list[Callable[[State], None]] = []
        self._task: asyncio.Task[None] | None = None
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs every request, 30 a second
        self.client = httpx2.AsyncClient(
            trust_env=False,  # no HTTP_PROXY in between
            verify=url.startswith("https:"),  # loading certificates takes 0.1 s
            timeout=REQUEST_TIMEOUT_S,
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS
            ),  # a socket per browser
        )
        self.client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # many browsers share it

    @property
    def state(self) -> State:
        """up: it responds. starting: it soon should. down: it could not be started; another attempt follows."""
        return self._state

    @property
    def proxied(self) -> bool:
        """Whether its page can be shown under our own address: only if it lives under the same path there."""
        return urlsplit(self.url).path == BASE_PATH

    def on_change(self, listener: Callable[[State], None]) -> None:
        """Call `listener` with each new state, on the event loop; it must not block."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Start it, if it is a child process, and watch it, in the background; returns at once and raises nothing."""
        self._task = asyncio.create_task(self._run(), name="visdom")

    async def stop(self) -> None:
        """Stop watching it, and end it if it is a child process; it is not started again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._set_state("down")
        await self.client.aclose()

    async def wait_until_up(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  (a bool is handier)
        """Whether it is up within so many seconds; None: wait as long as it takes."""
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def responds(self) -> bool:
        """Whether it responds now, within HEALTH_TIMEOUT_S."""
        try:
            response = await self.client.get(f"{self.url}/health", headers=self.headers, timeout=HEALTH_TIMEOUT_S)
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return False
        return response.status_code == httpx2.codes.OK

    @abstractmethod
    async def _run(self) -> None:
        """Keep the state up to date until cancelled."""

    def _set_state(self, state: State, error: str | None = None) -> None:
        self.error = error
        if state == self._state:
            return
        self._state = state
        if state == "up":
            self._up.set()
        else:
            self._up.clear()
        for listener in self._listeners:
            try:
                listener(state)
            except Exception:
                logger.exception("A listener failed on Visdom being %s", state)


class VisdomError(Exception):
    """A request to Visdom failed; the text says in a sentence how."""


class VisdomConnection:
    """Posts windows to a Visdom, closes them, deletes envs.

    Visdom's own client takes an error page for success; here all but the expected response is a VisdomError.
    """

    def __init__(self, visdom: AnyVisdom) -> None:
        self._visdom = visdom

    async def post(self, path: str, body: bytes) -> str:
        """Post JSON to `path`, such as "/events", and return the text of the response. Raises VisdomError."""
        try:
            response = await self._visdom.client.post(
                self._visdom.url + path,
                content=body,
                headers={**self._visdom.headers, "Content-Type": "application/json"},
                timeout=REQUEST_TIMEOUT_S,
            )
        except httpx2.TimeoutException:
            raise VisdomError(f"Visdom did not answer {path} within {REQUEST_TIMEOUT_S:g} seconds.") from None
        except httpx2.HTTPError as error:
            raise VisdomError(f"Visdom could not be reached: {str(error) or type(error).__name__}.") from error
        if response.status_code != httpx2.codes.OK:
            raise VisdomError(f"Visdom answered {path} with status {response.status_code}.")
        return response.text

    async def post_events(self, win: str, body: bytes) -> None:
        """Show a window in place of the one named `win`, which its JSON `body` names too. Raises VisdomError."""
        response = await self.post("/events", body)
        if response != win:
            raise VisdomError(f"Visdom answered {response[:80]!r} to window {win!r}.")

    async def close_window(self, env: str, win: str) -> None:
        """Close a window; it is no error if there is none. Raises VisdomError."""
        body = encode({"eid": env, "win": win})
        if await self.post("/win_exists", body) == "true":  # /close fails in an env that does not exist
            await self.post("/close", body)

    async def close_windows(self, env: str, win: str) -> None:
        """Close all windows of an env if it has the one named `win`. Raises VisdomError."""
        if await self.post("/win_exists", encode({"eid": env, "win": win})) == "true":
            await self.post("/close", encode({"eid": env, "win": None}))

    async def window_names(self, env: str) -> list[str]:
        """The windows of an env; none if there is no such env. Raises VisdomError."""
        if env not in json.loads(await self.post("/env_state", b"{}")):
            return []
        return list(json.loads(await self.post("/win_data", encode({"eid": env, "win": None}))))

    async def all_windows(self) -> dict[str, list[str]] | None:
        """The names of all windows, by their env; None from a Visdom that does not tell them. Raises VisdomError."""
        if not self._visdom.tells_windows:
            return None
        try:
            response = await self._visdom.client.get(
                self._visdom.url + WINDOWS_PATH, headers=self._visdom.headers, timeout=REQUEST_TIMEOUT_S
            )
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise VisdomError(f"Visdom does not tell its windows: {str(error) or type(error).__name__}.") from error
        windows: dict[str, list[str]] = response.json()
        return windows

    async def delete_env(self, env: str) -> None:
        """Delete an env and its windows, if there is one; "main" always stays. Raises VisdomError."""
        await self.post("/delete_env", encode({"eid": env}))


def encode(value: object) -> bytes:
    """JSON as browsers read it: a NaN or an infinity becomes null. PydanticSerializationError for what JSON has no
    form of."""
    return pydantic_core.to_json(value, inf_nan_mode="null")  # ten times as fast as the standard library's
