"""Addresses of the board as a browser can follow them, whatever path it lives below."""

from __future__ import annotations

from starlette.types import Scope


def root_from(scope: Scope) -> str:
    """The root of the board relative to the address of a request: where a proxy takes a path off and does not say so,
    only the browser knows it."""
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    return "../" * (path.count(b"/") - 1) or "./"


def relative(path: str, scope: Scope) -> str:
    """A path of the board relative to the address of a request; what is no path is left as it is."""
    return root_from(scope) + path[1:] if path.startswith("/") else path
