"""What a measurement comes to: a name, a value, its unit, and the goal it is held against.

Every module of measurements has a ``main()`` that prints its figures and returns them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value.

    ``of`` says whose it is, where several tools are measured side by side; ``limited_by`` what keeps it from its goal,
    in sentences, which are told where the goal is missed.
    """

    name: str
    value: float | str | None  # None: it could not be measured, and ``note`` says why
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""
    of: str = ""
    limited_by: str = ""

    @property
    def goal(self) -> str:
        """The bound, in words."""
        if self.at_most is not None:
            return f"at most {number(self.at_most)} {self.unit}".rstrip()
        if self.at_least is not None:
            return f"at least {number(self.at_least)} {self.unit}".rstrip()
        return ""

    @property
    def met(self) -> bool | None:
        """Whether the value keeps within the goal; None without a goal. What could not be measured did not."""
        if not self.goal:
            return None
        if not isinstance(self.value, int | float):
            return False
        return self.value <= self.at_most if self.at_most is not None else self.value >= (self.at_least or 0)

    @property
    def text(self) -> str:
        """The value with its unit."""
        if self.value is None:
            return "–"
        return self.value if isinstance(self.value, str) else f"{number(self.value)} {self.unit}".rstrip()


def show(figures: Iterable[Figure]) -> list[Figure]:
    """Print figures as they come, and return them."""
    shown = []
    for one in figures:
        name = f"{one.of}: {one.name}" if one.of else one.name
        verdict = {None: "", True: f"   met ({one.goal})", False: f"   MISSED ({one.goal})"}[one.met]
        print(f"{name:<72} {one.text:>16}{verdict}{f'   {one.note}' if one.note else ''}", flush=True)
        shown.append(one)
    return shown


def spread(
    name: str, values: Sequence[float], unit: str, *, scale: float = 1, at_most: float | None = None, of: str = ""
) -> Figure:
    """The median of several tries, with their range in the note."""
    scaled = [value * scale for value in values]
    note = f"{number(min(scaled))} to {number(max(scaled))}, {len(scaled)} tries" if len(scaled) > 1 else ""
    return Figure(name, statistics.median(scaled), unit, at_most=at_most, note=note, of=of)


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which this share of all lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def number(value: float) -> str:
    """Three significant digits, or a whole number where there are more."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
