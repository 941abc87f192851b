"""The board's REST API, for what reads runs back."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import lossboard

PAGE = 1000  # runs that one response may have
TIMEOUT_S = 60.0


class _Connection(lossboard.Connection):
    right = "owner"
    read = staticmethod(lambda response: response)


class Api:
    """The API of the board at ``url``, which is found as lossboard.run() finds it. ValueError if it is no address.

    Its methods raise OSError or http.client.HTTPException if no board answers, lossboard.RefusedError if it refuses.
    """

    def __init__(self, url: str | None = None) -> None:
        self._given = url
        self.url = self._connect().url

    def _connect(self) -> lossboard.Connection:
        return _Connection(self._given, TIMEOUT_S)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path; of the query, what is not None."""
        given = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        with self._open("GET", f"{path}?{given}") as response:
            return json.loads(response.read())

    def delete(self, path: str) -> None:
        """Delete what is at a path."""
        with self._open("DELETE", path):
            pass

    def lines(self, path: str) -> Iterator[str]:
        """The lines of a text at a path, as they come."""
        with self._open("GET", path) as response:
            for line in response:
                yield line.decode()

    def runs(self, **query: Any) -> Iterator[dict[str, Any]]:
        """Runs as GET /api/runs gives them, newest first, page after page."""
        offset = 0
        while items := self.get("/api/runs", **query, limit=PAGE, offset=offset)["items"]:
            yield from items
            offset += len(items)

    def find(self, text: str) -> dict[str, Any]:
        """The run with this id, number, name or beginning of an id. LookupError if there is none, or several."""
        same: list[dict[str, Any]] = []
        for run in self.runs():
            if text in (run["id"], str(run["number"])):
                return run
            if text == run["name"] or (len(text) >= 4 and run["id"].startswith(text)):
                same.append(run)
        if len(same) == 1:
            return same[0]
        which = ", ".join(f"{run['id'][:8]} (number {run['number']})" for run in same[:10])
        raise LookupError(f"{text!r} is {len(same)} runs: {which}; send an id" if same else f"there is no run {text!r}")

    @contextlib.contextmanager
    def _open(self, method: str, path: str) -> Iterator[http.client.HTTPResponse]:
        """An answer, on a connection of its own: several may be read by turns."""
        with contextlib.closing(self._connect()) as connection:
            yield connection.request(method, path)
