"""Names in tables: what begins like a formula is text to a spreadsheet, and is itself again when it is read."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lossboard_extras.tables import from_cell, to_cell


@pytest.mark.parametrize("name", ["=1+1", "+1", "-loss", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_what_begins_like_a_formula_is_text(name: str) -> None:
    assert to_cell(name) == f"'{name}"


@pytest.mark.parametrize("name", ["loss", "a=b", "val/acc", "'quoted'", "", "1e-3", "lr 0.1 + 1"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert to_cell(name) == name


@given(st.text(alphabet="'=+-@\t\r\nab"))
@example("'=x")
def test_a_name_is_read_as_it_was(name: str) -> None:
    assert from_cell(to_cell(name)) == name
    assert to_cell(name)[:1] not in tuple("=+-@\t\r\n")
