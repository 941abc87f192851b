"""x and y as people have them: typed on any keyboard, pasted from a spreadsheet, from a file or from Python."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.harness.boards import BoardProcess
from tests.harness.pages import BoardPage


def paste(page: BoardPage, field: str, text: str) -> None:
    """Copy a text of several lines elsewhere, and paste it over what is in a field."""
    page.page.evaluate(
        """text => {
          const elsewhere = document.createElement("textarea");
          elsewhere.id = "elsewhere";
          elsewhere.value = text;
          document.body.append(elsewhere);
        }""",
        text,
    )
    elsewhere = page.page.locator("#elsewhere")
    elsewhere.press("ControlOrMeta+A")
    elsewhere.press("ControlOrMeta+C")
    elsewhere.evaluate("area => area.remove()")
    page.field(field).press("ControlOrMeta+A")
    page.field(field).press("ControlOrMeta+V")


@pytest.mark.parametrize(
    "text",
    [
        "1, 2, 3",
        "1,2,3",
        "1 2 3",
        "1;2;3",
        "1，2，3",
        "1、2、3",
        "１，２，３",
        "[1.0, 2.0, 3.0]",
        "(1, 2, 3)",
        "[1. 2. 3.]",
        "x_data = [1.0, 2.0, 3.0]",
        "torch.tensor([[1.0], [2.0], [3.0]])",
    ],
)
def test_a_list_in_any_spelling(form_page: BoardPage, board: BoardProcess, text: str) -> None:
    page = form_page
    page.full_speed()
    page.fill(x=text)
    run = page.start().get_attribute("data-id")
    assert board.get(f"/api/runs/{run}/data")["x"] == [1, 2, 3]


def test_signs_and_decimals_of_other_keyboards(form_page: BoardPage, board: BoardProcess) -> None:
    page = form_page
    page.full_speed()
    page.fill(x="−1; 0,5; ２", y="－1e-3, 1\u202f000, +2")
    run = page.start().get_attribute("data-id")
    assert board.get(f"/api/runs/{run}/data") == {"x": [-1, 0.5, 2], "y": [-0.001, 1000, 2]}


@pytest.mark.parametrize(
    ("text", "x", "y", "words"),
    [
        ("1\t2\n2\t4\n3\t6", "1, 2, 3", "2, 4, 6", "Two columns of 3 were pasted: x and y."),
        ("1\t2\r\n2\t4\r\n", "1, 2", "2, 4", "Two columns of 2 were pasted: x and y."),
        ("0,5\t1,2\n1\t2", "0.5, 1", "1.2, 2", "Two columns of 2 were pasted: x and y."),
        ("1.234,5\t1\n2\t3", "1234.5, 2", "1, 3", "Two columns of 2 were pasted: x and y."),
        ("1,234.5\t1\n2\t3", "1234.5, 2", "1, 3", "Two columns of 2 were pasted: x and y."),
        ("−1\t２\n2\t4", "-1, 2", "2, 4", "Two columns of 2 were pasted: x and y."),
        (
            "time (s)\tv\n1\t2\n2\t4",
            "1, 2",
            "2, 4",
            "Two columns of 2 were pasted: x and y. The heading “time (s), v” is left out.",
        ),
        ("1\t2\t\n2\t4\t", "1, 2", "2, 4", "Two columns of 2 were pasted: x and y."),
        ("1\t2\t3\n2\t4\t6", "1, 2, 3", "2, 4, 6", "Two rows of 3 were pasted: x and y."),
        (
            "x\t1\t3\ny\t2\t6",
            "1, 3",
            "2, 6",
            "Two rows of 2 were pasted: x and y. The heading “x, y” is left out.",
        ),
        ("x,y\n1,2\n2,4", "1, 2", "2, 4", "Two columns of 2 were pasted: x and y. The heading “x, y” is left out."),
        ("0,5;1,2\n1;2", "0.5, 1", "1.2, 2", "Two columns of 2 were pasted: x and y."),
        ("[[1, 2], [2, 4], [3, 6]]", "1, 2, 3", "2, 4, 6", "Two columns of 3 were pasted: x and y."),
        ("x = [1, 3]\ny = [2, 6]", "1, 3", "2, 6", "Two rows of 2 were pasted: x and y."),
    ],
)
def test_a_table_is_x_and_y(form_page: BoardPage, text: str, x: str, y: str, words: str) -> None:
    page = form_page
    paste(page, "x", text)
    expect(page.field("x")).to_have_value(x)
    expect(page.field("y")).to_have_value(y)
    said = page.page.locator("#data .hint")
    expect(said).to_have_text(words)
    page.field("x").press("End")
    page.page.keyboard.type(", 7")
    expect(said).to_be_hidden()


@pytest.mark.parametrize(
    ("text", "y"),
    [
        ("5\n6\n7\n", "5, 6, 7"),
        ("v\n5\n6", "5, 6"),
        ("0,5\n1,2\n3", "0.5, 1.2, 3"),
        ("5\t6\t7", "5, 6, 7"),
        ("0,5\t1,2", "0.5, 1.2"),
        ("[1.0,\n 2.0]", "1, 2"),
    ],
)
def test_one_column_or_one_row_is_a_list(form_page: BoardPage, text: str, y: str) -> None:
    page = form_page
    paste(page, "y", text)
    expect(page.field("y")).to_have_value(y)
    expect(page.field("x")).to_have_value("1, 2, 3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\t2\t3\n2\t4\t6\n3\t6\t9", "These are 3 columns: copy the two that are x and y."),
        ("1\t2\n2\t\n3\t6", "Row 2 does not have 2 numbers: copy columns of equal length."),
        ("1\t2\n2\tfour", "“four” is not a number: copy numbers only."),
        ("1,234\t1\n2\t3", "“1,234” may be 1234 or 1.234: write it without a comma."),
        (
            "0,5\n1,2",
            "“0,5” may be 0.5, or 0 and 5: write decimals with a point, or copy the columns from the table itself.",
        ),
    ],
)
def test_a_table_that_is_not_x_and_y_is_refused(form_page: BoardPage, text: str, words: str) -> None:
    page = form_page
    paste(page, "x", text)
    expect(page.error("x")).to_have_text(words)
    expect(page.field("x")).to_have_value("1, 2, 3")
    expect(page.field("y")).to_have_value("2, 4, 6")
    page.fill(x="1, 2, 4")
    expect(page.error("x")).to_be_hidden()


def test_a_comma_of_two_meanings_is_refused(form_page: BoardPage) -> None:
    page = form_page
    page.fill(x="0,5 1,2 3")
    page.page.get_by_role("button", name="Start", exact=True).click()
    expect(page.error("x")).to_contain_text("“0,5” may be 0.5, or 0 and 5")
