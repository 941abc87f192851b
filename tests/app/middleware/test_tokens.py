"""Tokens: made, kept, renewed, and when they are asked for."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from app.middleware import tokens as module
from app.middleware.tokens import KEPT, Tokens, TokensError, link, make, make_page, others_log_in, read, tokens_for
from app.settings import Settings


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """The tokens of a board."""
    tokens = Tokens(tmp_path)
    tokens.open()
    return tokens


def test_each_right_has_a_token_of_its_own(tokens: Tokens) -> None:
    own = [tokens[right] for right in KEPT]
    assert len({*own, tokens.worker}) == 4
    assert all(len(token) >= 43 for token in own)  # 256 bits
    assert [tokens.right_of(token) for token in own] == ["owner", "read", "report"]
    assert tokens.right_of(tokens.worker) == "worker"


@pytest.mark.parametrize("token", ["", "x", "é", "\ud800", "\0", "x" * 10_000])
def test_what_is_no_token(tokens: Tokens, token: str) -> None:
    assert tokens.right_of(token) is None
    assert tokens.right_of(tokens["owner"] + token) == ("owner" if not token else None)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no modes")
def test_only_their_owner_reads_them(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make(tmp_path)
    finally:
        os.umask(before)
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_they_stay_the_same(tmp_path: Path) -> None:
    assert make(tmp_path) == make(tmp_path) == read(tmp_path)


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "tokens.json").symlink_to(elsewhere)
    make(folder)
    assert not elsewhere.exists()
    assert not (folder / "tokens.json").is_symlink()


def test_a_renewed_token_holds_at_once_and_the_old_one_no_more(tmp_path: Path, tokens: Tokens) -> None:
    old = {right: tokens[right] for right in KEPT}
    new = make(tmp_path, new="read")
    assert tokens.right_of(new["read"]) == "read"
    assert tokens.right_of(old["read"]) is None
    assert tokens.right_of(old["owner"]) == "owner"


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, tokens: Tokens) -> None:
    (tmp_path / "tokens.json").write_text("{")
    assert tokens.right_of(tokens["owner"]) == "owner"
    (tmp_path / "tokens.json").unlink()
    assert tokens.right_of(tokens["owner"]) == "owner"


def test_the_owners_may_be_chosen(tmp_path: Path) -> None:
    before = make(tmp_path)
    tokens = Tokens(tmp_path, "chosen/by+me")
    tokens.open()
    assert tokens.right_of("chosen/by+me") == "owner"
    assert tokens.right_of(before["owner"]) is None
    assert read(tmp_path) == {**before, "owner": "chosen/by+me"}  # where scripts on this machine look
    assert link("http://127.0.0.1:8000", "chosen/by+me") == "http://127.0.0.1:8000/?token=chosen%2Fby%2Bme"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"owner": "a", "read": "b"}', '{"owner":1,"read":2,"report":3}']
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokens.json").write_text(content)
    with pytest.raises(TokensError, match=r"tokens\.json is damaged\. Delete it"):
        Tokens(tmp_path).open()


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="cannot be written"):
        make(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("token", "host", "others", "is_locked"),
    [
        ("auto", "127.0.0.1", False, False),
        ("auto", "127.0.0.1", True, True),
        ("auto", "::1", True, True),
        ("auto", "0.0.0.0", False, True),
        ("auto", "192.0.2.7", False, True),
        ("auto", "board.example", False, True),
        ("on", "127.0.0.1", False, True),
        ("off", "0.0.0.0", True, False),
        ("of my own", "127.0.0.1", False, True),
    ],
)
def test_when_tokens_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, host: str, others: bool, is_locked: bool
) -> None:
    monkeypatch.setattr(module, "others_log_in", lambda: others)
    settings = Settings(data_dir=tmp_path, host=host, token=token.replace(" ", "-"))
    tokens = tokens_for(settings)
    assert bool(tokens) == is_locked
    assert not [*tmp_path.iterdir()]  # nothing is made before the board starts
    if tokens:
        tokens.open()
        assert (tokens.right_of("of-my-own") == "owner") == (token == "of my own")


@pytest.mark.parametrize("token", ["a b", "ä", "a,b", "a;b", 'a"b', "a\\b", "a\n", "x" * 201])
def test_a_token_that_no_cookie_or_header_takes(token: str) -> None:
    with pytest.raises(ValidationError, match="send off, on, auto or up to 200 characters"):
        Settings(token=token)


def test_settings_do_not_print_it(tmp_path: Path) -> None:
    assert "secret-of-mine" not in repr(Settings(token="secret-of-mine", data_dir=tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such list")
@pytest.mark.parametrize(
    ("uid", "shell", "expected"),
    [
        (4242, "/bin/bash", True),
        (4242, "/usr/bin/fish", True),
        (4242, "/usr/sbin/nologin", False),
        (4242, "/bin/false", False),
        (4242, "", False),
        (0, "/bin/bash", False),
        (101, "/bin/bash", False),  # an account of the system's
        (os.getuid(), "/bin/bash", False),
    ],
)
def test_others_are_those_who_log_in(monkeypatch: pytest.MonkeyPatch, uid: int, shell: str, expected: bool) -> None:
    monkeypatch.setattr("pwd.getpwall", lambda: [SimpleNamespace(pw_uid=uid, pw_shell=shell)])
    assert others_log_in() is expected


@pytest.mark.skipif(sys.platform == "win32", reason="it has no modes")
def test_a_browser_is_led_to_the_link_by_a_file_that_others_cannot_read(tmp_path: Path) -> None:
    page = make_page(tmp_path, "http://127.0.0.1:8000", "a+b&c")
    assert page.stat().st_mode & 0o777 == 0o600
    assert 'url=http://127.0.0.1:8000/?token=a%2Bb%26c"' in page.read_text()


def test_the_file_is_what_scripts_read(tmp_path: Path, tokens: Tokens) -> None:
    content = json.loads((tmp_path / "tokens.json").read_text())
    assert content == {right: tokens[right] for right in ("owner", "read", "report")}
