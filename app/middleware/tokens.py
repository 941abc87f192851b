"""The tokens of a board: one for each right, kept in its data folder in a file that only its owner can read.

- ``owner`` may do everything.
- ``read`` sees everything and changes nothing.
- ``report`` is for scripts: they make runs of their own, send their points and how they ended, and hear what is asked
  of those runs.
- ``worker`` is for this board's own processes. It is new with each start, and kept nowhere.
"""

from __future__ import annotations

import html
import json
import os
import secrets
import sys
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path
from urllib.parse import quote

import lossboard
from app.middleware.host_check import is_loopback
from app.settings import Settings

KEPT = ("owner", "read", "report")

_PAGE_FILE = "open.html"
_MODE = 0o600
_FIRST_USER_ID = 500 if sys.platform == "darwin" else 1000  # those below are the system's own accounts
_NO_SHELLS = {"nologin", "false", "sync", "halt", "shutdown", "true"}  # of accounts that nobody logs in to


class TokensError(Exception):
    """The tokens cannot be read or kept; the text says why and what to do."""


class Tokens:
    """The tokens that a board accepts. A file that was changed meanwhile, by `lossboard token --new`, holds at once."""

    def __init__(self, folder: Path, owner: str = "") -> None:
        """``owner``: the owner's token, where one was chosen; it replaces the one in the file."""
        self.worker = secrets.token_urlsafe()
        self._folder = folder
        self._chosen = owner
        self._kept: dict[str, str] = {}
        self._stamp: tuple[int, int] | None = None

    def open(self) -> None:
        """Read the file, or make it. TokensError."""
        make(self._folder, owner=self._chosen)
        self._look()

    def __getitem__(self, right: str) -> str:
        return self._kept[right]

    def right_of(self, token: str) -> str | None:
        """What whoever has this token may do; None if it is no token of this board. In constant time."""
        self._look()
        given, found = token.encode(errors="replace"), None
        for right, own in (*self._kept.items(), ("worker", self.worker)):
            if compare_digest(given, own.encode()):
                found = right
        return found

    def _look(self) -> None:
        """Read the file if it has changed; while it cannot be read, what was there before holds."""
        with suppress(OSError, TokensError):
            found = (self._folder / lossboard.TOKENS_FILE).stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._kept = read(self._folder)
                self._stamp = stamp


def link(url: str, token: str) -> str:
    """The address of a board's page that signs a browser in."""
    return f"{url}/?token={quote(token, safe='')}"


def tokens_for(settings: Settings) -> Tokens | None:
    """The tokens that a board with these settings asks for; None if it asks for none. Nothing is read or made yet."""
    match settings.token:
        case "off":
            return None
        case "auto" if is_loopback(settings.host) and not (settings.is_shown_elsewhere or others_log_in()):
            return None
        case "auto" | "on":
            return Tokens(settings.data_dir)
        case chosen:
            return Tokens(settings.data_dir, chosen)


def read(folder: Path) -> dict[str, str]:
    """The tokens in a data folder, by right. TokensError, or FileNotFoundError if none were made yet."""
    path = folder / lossboard.TOKENS_FILE
    try:
        content = json.loads(path.read_bytes())
        kept = {right: content[right] for right in KEPT}
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TokensError(f"The tokens in {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, LookupError, TypeError):
        kept = {}
    if not kept or not all(isinstance(token, str) and token for token in kept.values()):
        raise TokensError(f"{path} is damaged. Delete it: new tokens are made then, and the old ones end.")
    return kept


def make(folder: Path, *, owner: str = "", new: str = "") -> dict[str, str]:
    """The tokens in a data folder, made where there are none. TokensError.

    owner: the owner's token from now on
    new: a right whose token is replaced
    """
    try:
        kept = read(folder)
    except FileNotFoundError:
        kept = {}
    wanted = {right: kept.get(right) or secrets.token_urlsafe() for right in KEPT}
    if owner:
        wanted["owner"] = owner
    if new:
        wanted[new] = secrets.token_urlsafe()
    if wanted != kept:
        _write(folder / lossboard.TOKENS_FILE, json.dumps(wanted, indent=2))
    return wanted


def make_page(folder: Path, url: str, token: str) -> Path:
    """A file that leads a browser to the link with a token in it: a browser that is started with the link itself shows
    it to all who list processes. TokensError."""
    path = folder / _PAGE_FILE
    address = html.escape(link(url, token))
    _write(
        path,
        f'<!doctype html><meta charset="utf-8"><title>Lossboard</title><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={address}"><p><a href="{address}">Lossboard</a></p>',
    )
    return path


def _write(path: Path, content: str) -> None:
    """Replace a file as a whole; nobody else can read it at any moment, and no link is written through."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w", encoding="utf-8") as file:
            file.write(content)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise TokensError(f"{path} cannot be written: {error.strerror or error}.") from error


def others_log_in() -> bool:
    """Whether other people have an account on this machine, with which they could reach what listens on loopback."""
    if sys.platform == "win32":  # it has no such list
        return False
    import pwd  # noqa: PLC0415  (Windows has none)

    return any(
        account.pw_uid >= _FIRST_USER_ID
        and account.pw_uid != os.getuid()
        and account.pw_shell.rpartition("/")[2] not in _NO_SHELLS | {""}
        for account in pwd.getpwall()
    )
