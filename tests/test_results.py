"""What the measurements are written down as."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import results
from benchmarks.chart import PANELS, draw
from benchmarks.figures import Figure, number, quantile, spread
from benchmarks.results import Section, conditions, write


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0123, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (1234.5, "1,234"), (5.0, "5")],
)
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_goal_is_met_or_missed_and_what_was_not_measured_missed_it() -> None:
    assert Figure("lag", 150, "ms", at_most=150).met is True
    assert Figure("lag", 151, "ms", at_most=150).met is False
    assert Figure("kept", 0.5, at_least=1).met is False
    assert Figure("lag", None, "ms", at_most=150).met is False
    assert Figure("lag", 5, "ms").met is None


def test_tries_come_to_their_median_and_their_range() -> None:
    figure = spread("step", [1e-6, 3e-6, 2e-6], "µs", scale=1e6)
    assert (figure.text, figure.note) == ("2 µs", "1 to 3, 3 tries")
    assert quantile([4, 1, 3, 2], 0.99) == 4


def test_results_hold_what_was_measured_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    (tmp_path / "RESULTS.md").write_text("an old number: 12345")
    lag = Figure("lag", 7, "ms", at_most=5, limited_by="The cores are shared.")
    alone = Section("busy", "How busy: `uv run busy`.\n\nAnd more.", [lag], 3, None)
    beside = [Figure("cost", 1, "µs", of="one"), Figure("cost", None, note="too slow", of="other")]
    broken = Section("road", "The road.", [], 1, "AssertionError")
    write([alone, Section("peers", "Peers.", beside, 3, None), broken], conditions(), 90)
    text = (tmp_path / "RESULTS.md").read_text()
    assert "12345" not in text
    assert "| lag | 7 ms | at most 5 ms | **no** |  |" in text
    assert "0 of 1 goals were met" in text
    assert "- lag: 7 ms, at most 5 ms (busy). The cores are shared.\n" in text
    assert "`uv run busy` (3 s)" in text
    assert "|  | one | other |\n|---|---:|---:|\n| cost | 1 µs | – |" in text
    assert "- cost. other: too slow." in text
    assert "ended with an error (AssertionError)" in text


def test_the_picture_shows_every_tool_and_leaves_gaps_where_there_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    draw([Figure("unknown", 1, of="Lossboard")], path)
    assert not path.exists()
    name = PANELS[0][0]
    draw(
        [Figure(name, 1.5, "µs", of="Lossboard"), Figure(name, 1e5, "µs", of="a & b"), Figure(name, None, of="c")], path
    )
    picture = ElementTree.fromstring(path.read_text())  # noqa: S314  (we have just written it)
    words = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Lossboard", "a & b", "c", "1.50 µs", "–"} <= set(words)
