"""`lossboard token`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import commands
from app.middleware.tokens import read


def call(*arguments: str) -> tuple[int, list[str]]:
    """The exit code, and the lines that are printed."""
    done = CliRunner().invoke(commands, ["token", *arguments])
    return done.exit_code, done.output.splitlines()


def test_it_prints_what_a_browser_opens_and_a_script_takes(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("http://127.0.0.1:8123")
    code, lines = call("--data-dir", str(tmp_path))
    kept = read(tmp_path)
    assert code == 0
    assert lines == [
        f"owner   http://127.0.0.1:8123/?token={kept['owner']}",
        f"read    http://127.0.0.1:8123/?token={kept['read']}",
        f"report  LOSSBOARD_TOKEN={kept['report']}",
    ]
    assert call("--data-dir", str(tmp_path)) == (0, lines)
    _, (_, for_others, _) = call("--data-dir", str(tmp_path), "--url", "https://board.example/")
    assert for_others == f"read    https://board.example/?token={kept['read']}"


@pytest.mark.parametrize("right", ["owner", "read", "report"])
def test_it_renews_one(tmp_path: Path, right: str) -> None:
    call("--data-dir", str(tmp_path))
    before = read(tmp_path)
    code, lines = call("--data-dir", str(tmp_path), "--new", right)
    after = read(tmp_path)
    assert code == 0
    assert {name for name in before if before[name] != after[name]} == {right}
    assert any(after[right] in line for line in lines)
    assert lines[0].startswith("owner   http://127.0.0.1:8000/?token=")


def test_what_it_cannot_do_is_a_sentence(tmp_path: Path) -> None:
    assert call("--data-dir", str(tmp_path / "none"))[0] == 1
    (tmp_path / "tokens.json").write_text("{")
    code, (line,) = call("--data-dir", str(tmp_path))
    assert code == 1
    assert "is damaged. Delete it" in line
    assert call("--data-dir", str(tmp_path), "--new", "all")[0] == 2


@pytest.mark.parametrize("secret", ["secret-of-mine"])
def test_no_token_is_taken_from_a_command_line(tmp_path: Path, secret: str) -> None:
    done = CliRunner().invoke(commands, ["--data-dir", str(tmp_path), "--token", secret])
    assert done.exit_code == 1
    assert "LOSSBOARD_TOKEN" in done.output
    assert secret not in done.output
