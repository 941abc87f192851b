"""What commands print in a terminal, and where their output goes elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from app.cli.output import print_table, progress


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_table_is_lines_with_tabs_where_it_is_piped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "step"], [["one\ttwo\nthree", "1"]])
    assert capsys.readouterr().out == "name\tstep\none two three\t1\n"


def test_a_table_is_aligned_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_table(["name", "step"], [["[red]long name[/red]", "1"], ["short", "22"]])
    lines = terminal.getvalue().splitlines()
    assert [line.split() for line in lines[1:]] == [["[red]long", "name[/red]", "1"], ["short", "22"]]
    assert lines[1].index(" 1 ") == lines[2].index(" 22")


def test_progress_is_seen_in_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(progress([1, 2], "Runs")) == [1, 2]
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert list(progress(iter([1, 2]), "Runs", 2)) == [1, 2]
    assert "Runs" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
