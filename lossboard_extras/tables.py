"""Names in tables (CSV): no spreadsheet takes one for a formula, and whoever reads a table gets them as they were."""

from __future__ import annotations

import re

# What spreadsheets run, and what was marked or looks as if it were.
_LIKE_A_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")


def to_cell(name: str) -> str:
    """A name as a table has it: after an apostrophe if it begins like a formula."""
    return f"'{name}" if _LIKE_A_FORMULA.match(name) else name


def from_cell(cell: str) -> str:
    """The name that to_cell() made this of."""
    return cell[1:] if cell[:1] == "'" and _LIKE_A_FORMULA.match(cell) else cell
