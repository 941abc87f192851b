"""Which records of a journal's blocks are posted anew, after what the board has said it has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import lossboard
from app.storage import binary_form

MANY = 2 * lossboard._FIRST_BLOCK_RECORDS


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[lossboard._Journal]:
    monkeypatch.setenv("LOSSBOARD_DIR", str(tmp_path))
    journal = lossboard._Journal("a" * 32, b"", lambda _, what: pytest.fail(what))
    yield journal
    journal.leave()


def log(journal: lossboard._Journal, name: str = "loss") -> None:
    """Write a record."""
    block, place = begin(journal, name)
    block.cells[place + 1] = 0.5
    number = next(journal.numbers)
    block.complete(place, number, number)


def begin(journal: lossboard._Journal, name: str = "loss") -> tuple[lossboard._Block, int]:
    """Take a place and write nothing, as where an interrupt comes between."""
    block, place = journal.place_for((name,))
    assert block is not None
    assert place is not None
    return block, place


def post(journal: lossboard._Journal) -> int:
    """A post to a board that takes all it can; how many records were in it."""
    head, records = journal.unsent(1 << 20)
    parsed = binary_form.parse(lossboard._json(head) + b"\n" + b"".join(records))
    accepted = parsed.batches[-1].seq + len(parsed.batches[-1])
    journal.acknowledge(accepted, 0, parsed.taken(accepted))
    return sum(block["records"] for block in head["blocks"])


def test_what_the_board_has_is_not_posted_again(journal: lossboard._Journal) -> None:
    for _ in range(MANY):
        log(journal)
        log(journal, "acc")
    assert post(journal) == 2 * MANY
    assert journal.unacknowledged == 0
    assert post(journal) == 0
    log(journal, "acc")
    assert post(journal) == 1


def test_what_comes_after_a_record_that_is_being_written_waits_for_it(journal: lossboard._Journal) -> None:
    log(journal)
    block, place = begin(journal)
    log(journal)  # by another thread
    assert post(journal) == 3
    assert journal.acknowledged == 2  # the board has it
    assert post(journal) == 2  # and is sent it again, as it stands behind one that is not there
    number = next(journal.numbers)
    block.complete(place, number, number)
    assert post(journal) == 2
    assert post(journal) == 0


def test_a_place_that_stays_empty_is_given_up(journal: lossboard._Journal) -> None:
    begin(journal)
    log(journal)
    for _ in range(lossboard._MAX_STUCK_POSTS + 1):
        assert post(journal) == 2
    assert post(journal) == 1
    assert post(journal) == 0


def test_the_place_after_one_that_was_given_up_gets_as_much_time(journal: lossboard._Journal) -> None:
    begin(journal)
    block, place = begin(journal)
    for _ in range(lossboard._MAX_STUCK_POSTS + 1):
        assert post(journal) == 2
    assert post(journal) == 1  # it is being written
    number = next(journal.numbers)
    block.complete(place, number, number)
    assert post(journal) == 1
    assert post(journal) == 0
    assert journal.acknowledged == 1


def test_records_that_are_being_written_at_the_time_of_posts_are_not_given_up(journal: lossboard._Journal) -> None:
    block, place = begin(journal)
    for _ in range(2 * lossboard._MAX_STUCK_POSTS):
        post(journal)
        number = next(journal.numbers)
        block.complete(place, number, number)
        block, place = begin(journal)
    assert post(journal) == 2  # the last of them, and the one that is being written


def test_what_a_board_has_lost_is_posted_again(journal: lossboard._Journal) -> None:
    for _ in range(MANY):
        log(journal)
    post(journal)
    assert journal.go_back(MANY - 3)
    assert post(journal) == MANY
    assert journal.unacknowledged == 0
