"""A Visdom that remembers what it was told: for the unit tests of those who talk to one."""

import asyncio
import json
import time
from typing import Any

from app.visdom.connection import VisdomError, encode


class FakeVisdom:
    """The interface of VisdomConnection; `windows` is what a browser would show.

    posts: every (path, body) in order, the body as decoded from its JSON
    times: when each of them was taken, by time.monotonic()
    windows: (env, win) -> the posted window
    error: while not None, every call raises VisdomError with it
    delay: seconds that every call takes
    """

    def __init__(self) -> None:
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []
        self.windows: dict[tuple[str, str], dict[str, Any]] = {}
        self.error: str | None = None
        self.delay = 0.0

    async def post(self, path: str, body: bytes) -> str:
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise VisdomError(self.error)
        posted = json.loads(body, parse_constant=_refuse)
        self.posts.append((path, posted))
        self.times.append(time.monotonic())
        return self._answer(path, posted)

    async def post_events(self, win: str, body: bytes) -> None:
        if (answer := await self.post("/events", body)) != win:
            raise VisdomError(f"Visdom answered {answer!r} to window {win!r}.")

    async def close_window(self, env: str, win: str) -> None:
        await self.post("/close", encode({"eid": env, "win": win}))

    async def close_windows(self, env: str, win: str) -> None:
        if (env, win) in self.windows:
            await self.post("/close", encode({"eid": env, "win": None}))

    async def window_names(self, env: str) -> list[str]:
        return [win for shown_env, win in self.windows if shown_env == env]

    async def all_windows(self) -> dict[str, list[str]]:
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise VisdomError(self.error)
        return {env: await self.window_names(env) for env, _ in self.windows}

    async def delete_env(self, env: str) -> None:
        await self.post("/delete_env", encode({"eid": env}))

    def _answer(self, path: str, posted: dict[str, Any]) -> str:
        env, win = posted.get("eid", "main"), posted.get("win", "")
        if path == "/events":
            self.windows[env, win] = posted
            return str(win)
        if path == "/win_exists":
            return "true" if (env, win) in self.windows else "false"
        if path == "/close":
            self.windows.pop((env, win), None)
            if win is None:
                self.windows = {key: window for key, window in self.windows.items() if key[0] != env}
        elif path == "/delete_env":
            self.windows = {key: window for key, window in self.windows.items() if key[0] != env}
        return ""


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
