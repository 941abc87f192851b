"""Numbers as a person reads them, the same in sentences, in windows and on the page (static/format.js)."""

import math
from decimal import ROUND_HALF_UP, Context

DIGITS = 5  # significant ones
SMALLEST_PLAIN, LARGEST_PLAIN = 1e-4, 1e6  # from the one up to below the other a number has no exponent


def short(value: float, digits: int = DIGITS) -> str:
    """A number in so many significant digits at most, without zeros that only fill up.

    Plain from 1e-4 up to below 1e6, and with an exponent otherwise: 0.01, 1000, 1.7524e-8, 9.33e7, -2e100. Digits
    before the point are not rounded away: 123456 stays. What is not finite is NaN, ∞ or -∞.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    size = abs(value)
    whole_digits = len(str(int(size))) if 1 <= size < LARGEST_PLAIN else 0
    context = Context(prec=max(digits, whole_digits), rounding=ROUND_HALF_UP)  # as a browser rounds
    rounded = context.create_decimal_from_float(value)
    if SMALLEST_PLAIN <= size < LARGEST_PLAIN:
        return _without_zeros(f"{rounded:f}")
    power = rounded.adjusted()
    return f"{_without_zeros(f'{rounded.scaleb(-power):f}')}e{power}"


def counted(value: float) -> str:
    """A number of updates or steps, with separators between thousands: 1,000,000. A fraction stays as it is."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:,}"


def _without_zeros(decimal: str) -> str:
    return decimal.rstrip("0").rstrip(".") if "." in decimal else decimal
