"""Where a parameter was changed while a run went on: a vertical line across its window, with the new value."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts.colours import hex_of
from app.charts.run_chart import Drawn
from app.visdom.windows.layout import Layout, as_text
from app.visdom.windows.x_axis import Plot, places

MARKED = 50  # changes of one window, the latest
LABELLED = 16  # of them have words, the latest that have room
ROWS = 8  # of labels, one below the other
HEIGHT = 18  # pixels of a row
NARROW = 360  # pixels: a small window is as wide
LETTER = 6.5  # pixels


@dataclass(frozen=True)
class Mark:
    """One change: its place along the axis, in the axis' own units, and what is said of it."""

    at: float
    text: str
    colour: str


@dataclass(frozen=True)
class Marks:
    """The part of a layout that marks changes."""

    shapes: list[Layout]
    labels: list[Layout]


def marks(drawn: list[Drawn], plot: Plot) -> Marks:
    """Lines and words where something was changed in these runs."""
    log = plot.look.x == "log"
    changes = sorted(
        (
            Mark(at, words(params), hex_of(one.run))
            for one in drawn
            for step, params in _by_step(one).items()
            if (at := _along(one, step, plot)) is not None and _shown(one, step)
        ),
        key=lambda mark: mark.at,
    )[-MARKED:]
    if not changes:
        return Marks([], [])
    common = {"xref": plot.look.axes["xaxis"], "yref": plot.look.y_domain}
    lines = [
        {
            "type": "line",
            **common,
            # plotly takes the place of a line in steps, and that of words in powers of ten
            **dict.fromkeys(("x0", "x1"), 10**mark.at if log else mark.at),
            "y0": 0,
            "y1": 1,
            "layer": "below",
            "line": {"color": mark.colour, "width": 1, "dash": "dot"},
        }
        for mark in changes
    ]
    labels = [
        {
            **common,
            "x": mark.at,
            "y": 1,
            "xshift": 2 if to_the_right else -2,
            "yshift": -HEIGHT * row,
            "xanchor": "left" if to_the_right else "right",
            "yanchor": "top",
            "text": as_text(mark.text),
            "showarrow": False,
            "font": {"size": 11},
            # The frame has the colour of the run: words in it could not be read on both grounds. The style sheet
            # makes the ground the window's own.
            "bordercolor": mark.colour,
            "borderwidth": 1.5,
            "borderpad": 1,
            "bgcolor": "#ffffff",
        }
        for mark, row, to_the_right in _with_room(changes, *_extent(drawn, changes, plot))
    ]
    return Marks(lines, labels)


def _by_step(one: Drawn) -> dict[float, dict[str, Any]]:
    """A run's changed parameters; of those that were changed more than once at a step, the last value."""
    found: dict[float, dict[str, Any]] = {}
    for change in one.run.changes:
        found.setdefault(change["step"], {}).update(change["params"])
    return found


def _with_room(changes: list[Mark], low: float, high: float) -> Iterator[tuple[Mark, int, bool]]:
    """The latest changes whose words have room beside those of later ones: each with its row, and whether its words
    stand to the right of its line."""
    rows: list[list[tuple[float, float]]] = [[] for _ in range(ROWS)]
    labelled = 0
    for mark in reversed(changes):
        start = (mark.at - low) / ((high - low) or 1)
        width = (len(mark.text) + 2) * LETTER / NARROW
        to_the_right = start + width <= 1
        span = (start, start + width) if to_the_right else (start - width, start)
        for row, taken in enumerate(rows):
            if labelled < LABELLED and all(span[1] <= begin or end <= span[0] for begin, end in taken):
                taken.append(span)
                labelled += 1
                yield mark, row, to_the_right
                break


def _along(one: Drawn, step: float, plot: Plot) -> float | None:
    """Where a step lies, in the axis' own units; None: nowhere, on a logarithmic one."""
    (place,) = places(one, np.array([float(step)]), plot)
    if plot.look.x == "linear":
        return place
    return math.log10(place) if place > 0 else None


def _shown(one: Drawn, step: float) -> bool:
    return one.detail is None or one.detail.from_step <= step <= one.detail.to_step


def _extent(drawn: list[Drawn], changes: list[Mark], plot: Plot) -> tuple[float, float]:
    ends = [
        _along(one, end[0], plot)
        for one in drawn
        for curve in one.curves.values()
        for end in (curve.first, curve.last)
        if end
    ]
    at = [place for place in ends if place is not None] + [mark.at for mark in changes]
    return min(at), max(at)


def words(params: dict[str, Any]) -> str:
    """Changed parameters, as short as they can be told."""
    return ", ".join(_word(name, value) for name, value in params.items())[:60]


def _word(name: str, value: Any) -> str:
    if name == "steps_per_second":
        return "full speed" if value is None else f"{value:g} steps/s"
    return f"{name} {value:g}" if isinstance(value, int | float) else f"{name} {value}"
