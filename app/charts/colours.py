"""The colours of runs: told apart in a palette; in a race in order on a scale where its values are numbers, and in a
palette of their own where they are categories."""

from __future__ import annotations

from functools import cache

from app.assets import TOKENS
from app.storage.records import RunRecord

PALETTE = tuple(colour for name, colour in TOKENS.items() if name.startswith("run-"))
CATEGORIES = tuple(colour for name, colour in TOKENS.items() if name.startswith("category-"))
SCALE = tuple(colour for name, colour in TOKENS.items() if name.startswith("race-"))
GAMMA = 2.4  # nearly sRGB's: halfway between two colours is halfway between their light


@cache
def others(colour: str) -> tuple[str, ...]:
    """The palette for what stands beside this colour: each as unlike those before it as may be."""
    left, chosen = [other for other in PALETTE if other != colour], [colour]
    while left:
        chosen.append(max(left, key=lambda other: min(_unlike(other, before) for before in chosen)))
        left.remove(chosen[-1])
    return tuple(chosen[1:])


def _unlike(one: str, other: str) -> float:
    """How far apart two colours look; as cheap as it gets, and near enough (compuphase.com/cmetric.htm)."""
    (r, g, b), (other_r, other_g, other_b) = (
        [int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (one, other)
    )
    reds = (r + other_r) / 512
    return (2 + reds) * (r - other_r) ** 2 + 4 * (g - other_g) ** 2 + (3 - reds) * (b - other_b) ** 2


def hex_of(run: RunRecord) -> str:
    """A run's one colour."""
    if run.shade is not None:
        return shade(run.shade)
    return (*PALETTE, *CATEGORIES)[run.colour % len((*PALETTE, *CATEGORIES))]


def shade(place: float) -> str:
    """The colour at a place of the scale, from 0 to 1."""
    at = place * (len(SCALE) - 1)
    first = min(int(at), len(SCALE) - 2)
    pairs = zip(_light(SCALE[first]), _light(SCALE[first + 1]), strict=True)
    mixed = (start + (at - first) * (end - start) for start, end in pairs)
    return "#" + "".join(f"{round(255 * light ** (1 / GAMMA)):02x}" for light in mixed)


def race_colours(values: list[object]) -> list[dict[str, float]]:
    """The colours of runs in a race with these values, as fields of their records: numbers have an order, and so a
    `shade`; categories have none, and so a `colour`."""
    if all(isinstance(value, int | float) for value in values):
        return [{"shade": place} for place in shades(values)]  # type: ignore[arg-type]
    return [{"colour": len(PALETTE) + at % len(CATEGORIES)} for at in range(len(values))]


def shades(values: list[float]) -> list[float]:
    """The places in the scale of runs with these values: evenly spread, in the order of the numbers."""
    order = sorted(range(len(values)), key=lambda at: values[at])
    places = [0.0] * len(values)
    for rank, at in enumerate(order):
        places[at] = rank / max(1, len(values) - 1)
    return places


def _light(colour: str) -> list[float]:
    return [(int(colour[at : at + 2], 16) / 255) ** GAMMA for at in (1, 3, 5)]
