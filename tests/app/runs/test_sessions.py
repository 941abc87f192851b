"""Where the records of several processes lie in the run that they report."""

from __future__ import annotations

import numpy as np

from app.runs.sessions import Sessions
from app.storage.batch import Batch


def batch(seq: int, count: int) -> Batch:
    """Records of which each tells its number in its session."""
    return Batch(seq, ("n",), np.repeat(np.arange(seq, seq + count, dtype=float), 2).reshape(-1, 2))


def placed(sessions: Sessions, *batches: Batch) -> list[tuple[int, list[float]]]:
    """The number in the run of the first record of each batch, and the numbers in the session of all."""
    return [(one.seq, one.rows[:, 0].tolist()) for one in sessions.place(batches)]


def test_a_second_session_begins_where_the_first_one_is() -> None:
    sessions = Sessions([], 100, "b")
    assert (sessions.known, placed(sessions, batch(0, 3))) == (0, [(100, [0, 1, 2])])
    assert sessions.all == [("", 0, 0), ("b", 0, 100)]
    assert sessions.in_session(103) == 3


def test_what_a_session_sends_again_has_the_numbers_that_it_had() -> None:
    sessions = Sessions([("", 0, 0), ("b", 0, 100)], 103, "b")
    assert (sessions.known, placed(sessions, batch(1, 4))) == (3, [(101, [1, 2, 3, 4])])
    assert sessions.all == [("", 0, 0), ("b", 0, 100)]
    assert sessions.in_session(105) == 5


def test_a_late_journal_of_the_first_session_follows_the_second() -> None:
    sessions = Sessions([("", 0, 0), ("b", 0, 100)], 103, "")
    assert sessions.known == 100
    assert placed(sessions, batch(98, 4)) == [(98, [98, 99]), (103, [100, 101])]
    assert sessions.all == [("", 0, 0), ("b", 0, 100), ("", 100, 103)]
    assert sessions.in_session(105) == 102


def test_a_session_goes_on_after_another_came_between() -> None:
    sessions = Sessions([("", 0, 0), ("b", 0, 100), ("", 100, 103)], 105, "b")
    assert (sessions.known, placed(sessions, batch(2, 3))) == (3, [(102, [2]), (105, [3, 4])])
    assert sessions.in_session(107) == 5


def test_a_heartbeat_and_what_is_known_begin_no_session() -> None:
    for one in (batch(0, 0), batch(0, 2)):
        sessions = Sessions([("", 0, 0), ("b", 0, 100), ("", 100, 103)], 105, "b")
        sessions.place([one])
        assert len(sessions.all) == 3
        assert sessions.in_session(105) == 3


def test_what_is_missing_before_a_batch_is_named_as_the_session_counts() -> None:
    sessions = Sessions([("", 0, 0)], 100, "b")
    assert placed(sessions, batch(5, 2)) == [(105, [5, 6])]  # after a gap: the run wants 100
    assert sessions.in_session(100) == 0
