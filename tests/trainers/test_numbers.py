"""Numbers as a person reads them."""

from __future__ import annotations

import math

import pytest

from tests.harness.numbers import WRITTEN
from trainers.numbers import short


@pytest.mark.parametrize(("value", "written"), WRITTEN)
def test_a_number_is_written_in_five_digits(value: float, written: str) -> None:
    assert short(value) == written


def test_fewer_and_more_digits_may_be_asked_for() -> None:
    assert short(3 / 14, 3) == "0.214"
    assert short(123456.789, 3) == "123457"  # none before the point is lost
    assert short(1.752432687141379e-08, 3) == "1.75e-8"
    assert short(math.pi, 10) == "3.141592654"


@pytest.mark.parametrize(("value", "written"), [(math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "-∞")])
def test_what_is_not_finite_has_its_sign(value: float, written: str) -> None:
    assert short(value) == written
