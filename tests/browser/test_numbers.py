"""The page writes numbers as the board does."""

from __future__ import annotations

from tests.harness.numbers import WRITTEN
from tests.harness.pages import BoardPage


def test_the_page_writes_a_number_as_the_board_does(page: BoardPage) -> None:
    values, written = zip(*WRITTEN, strict=True)
    figures = "async values => { const { figure } = await import('/format.js'); return values.map(figure); }"
    assert page.page.evaluate(figures, values) == list(written)
