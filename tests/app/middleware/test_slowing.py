"""Wrong tokens, and how long they make one wait."""

from __future__ import annotations

import pytest

from app.middleware.slowing import MAX_ADDRESSES, MAX_WRONG, WINDOW_S, Slowing

LONG = "a-token-as-a-board-makes-one-of-43-characters"


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slowing(clock: Clock) -> Slowing:
    """Someone has tried ten wrong tokens from 192.0.2.7, one a second."""
    slowing = Slowing(clock)
    for number in range(MAX_WRONG):
        assert slowing.judge("192.0.2.7", f"wrong {number}", is_right=False) == 0
        clock.now += 1
    return slowing


def test_the_next_one_waits_until_a_minute_after_the_first(slowing: Slowing, clock: Clock) -> None:
    assert slowing.judge("192.0.2.7", "wrong too", is_right=False) == WINDOW_S - MAX_WRONG
    assert slowing.judge("192.0.2.7", "right", is_right=True) == WINDOW_S - MAX_WRONG
    clock.now += WINDOW_S - MAX_WRONG - 0.5
    assert slowing.judge("192.0.2.7", "right", is_right=True) == 1
    clock.now += 0.5
    assert slowing.judge("192.0.2.7", "right", is_right=True) == 0


def test_others_do_not_wait(slowing: Slowing) -> None:
    assert slowing.judge("192.0.2.8", "right", is_right=True) == 0
    assert slowing.judge("192.0.2.8", "wrong", is_right=False) == 0


def test_what_nobody_finds_by_trying_passes(slowing: Slowing) -> None:
    assert slowing.judge("192.0.2.7", LONG, is_right=True) == 0
    assert slowing.judge("192.0.2.7", LONG, is_right=False) > 0


def test_who_was_there_before_does_not_wait(clock: Clock) -> None:
    slowing = Slowing(clock)
    assert slowing.judge("192.0.2.7", "right", is_right=True) == 0
    for number in range(2 * MAX_WRONG):
        slowing.judge("192.0.2.7", f"wrong {number}", is_right=False)
    assert slowing.judge("192.0.2.7", "right", is_right=True) == 0
    assert slowing.judge("192.0.2.7", "also right", is_right=True) > 0


def test_the_same_token_again_and_again_is_no_try(clock: Clock) -> None:
    slowing = Slowing(clock)
    for _ in range(100):
        assert slowing.judge("192.0.2.7", "old", is_right=False) == 0
    assert slowing.judge("192.0.2.7", "right", is_right=True) == 0


def test_a_machine_has_many_addresses_of_ipv6(clock: Clock) -> None:
    slowing = Slowing(clock)
    for number in range(MAX_WRONG):
        slowing.judge(f"2001:db8::{number:x}", f"wrong {number}", is_right=False)
    assert slowing.judge("2001:db8::ffff", "wrong", is_right=False) > 0
    assert slowing.judge("2001:db8:0:1::1", "wrong", is_right=False) == 0


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    slowing = Slowing(clock)
    for number in range(3 * MAX_ADDRESSES):
        for token in ("one", "two", "\ud800"):
            slowing.judge(f"10.{number >> 8}.{number & 255}.1", token, is_right=token == "one")
        slowing.judge("192.0.2.7", f"wrong {number}", is_right=False)
    assert len(slowing._addresses) == MAX_ADDRESSES
    assert len(slowing._addresses["192.0.2.7"].wrong) == MAX_WRONG
    assert slowing.judge("192.0.2.7", "wrong", is_right=False) > 0  # it was not forgotten meanwhile
