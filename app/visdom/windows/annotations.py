"""Annotations of curves: a vertical line where a parameter was changed, with the new value, and a label at the edge
where a curve leaves the scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from app.charts.colours import hex_of
from app.charts.run_chart import RunChart
from app.visdom.windows.layout import INK, PANE, Layout, as_text
from app.visdom.windows.x_axis import PlotOptions, x_values
from trainers.numbers import short

MAX_CHANGES = 50  # marked in one window, the latest
MAX_LABELS = 16  # of them have labels, the latest that fit
MAX_EXIT_LABELS = 3  # of the curves that leave, the first; another one counts the rest
MAX_LABEL_ROWS = 8
MAX_LABEL_LENGTH = 60  # letters
ROW_HEIGHT_PX = 18
LETTER_WIDTH_PX = 6.5
MIN_PLOT_WIDTH_PX = 360  # labels do not overlap in a window at least as wide


@dataclass(frozen=True)
class EdgeLabel:
    """What a label at the upper or the lower edge of a plot says, of a change of parameters or of a curve that leaves
    there: its x in the axis' units (powers of ten on a log scale), its text and its colour."""

    x: float
    text: str
    colour: str
    at_top: bool = True


type Side = Literal["left", "right", "edge"]


@dataclass(frozen=True)
class Marks:
    """The shapes and the annotations of a layout that mark what happened to the curves."""

    shapes: list[Layout]
    labels: list[Layout]


def plot_marks(
    charts: list[RunChart],
    options: PlotOptions,
    exits: Sequence[EdgeLabel] = (),
    *,
    end: float = math.inf,
    with_changes: bool = True,
) -> Marks:
    """Lines and labels where parameters of these runs were changed, and labels where their curves leave the scale.
    `end` is the greatest x that is shown."""
    last = math.log10(end) if options.axes.x == "log" else end
    changes = [change for change in _changes(charts, options) if change.x <= last] if with_changes else []
    shown = _first_exits(exits)
    if not changes and not shown:
        return Marks([], [])
    axes = {"xref": options.axes.trace_axes["xaxis"], "yref": options.axes.y_domain}
    lines = [axes | _line(change, log=options.axes.x == "log") for change in changes]
    low, high = _extent(charts, [*changes, *shown], options)
    labels = _placed([*changes, *shown], low, min(high, last), axes["xref"])
    return Marks(lines, [axes | label for label in labels])


def exit_marks(exits: Sequence[EdgeLabel], low: float, high: float, x_axis: str) -> list[Layout]:
    """Labels where curves leave a plot whose horizontal axis, such as "x2", has these ends."""
    return list(_placed(_first_exits(exits), low, high, x_axis))


def _placed(changes: Sequence[EdgeLabel], low: float, high: float, x_axis: str) -> Iterator[Layout]:
    """The labels of changes and exits, at the upper edge or the lower; the last have the first choice of a place.
    They have no axes but for the xref of one that begins at the left edge."""
    for at_top in (True, False):
        there = [one for one in changes if one.at_top == at_top]
        for change, row, side in _placed_labels(there, low, high):
            label = _label(change, row, side)
            if side == "edge":
                label |= {"x": 0, "xref": f"{x_axis} domain"}
            yield label if at_top else {**label, "y": 0, "yanchor": "bottom", "yshift": -label["yshift"]}


def _first_exits(exits: Sequence[EdgeLabel]) -> list[EdgeLabel]:
    """The first of these, which are in the order in which the curves leave; if there are more, one label stands for
    the others. The first is the last of them."""
    if len(exits) <= MAX_EXIT_LABELS + 1:
        return list(exits[::-1])
    rest = exits[MAX_EXIT_LABELS:]
    return [replace(rest[0], text=f"and {len(rest)} more", colour=INK), *exits[:MAX_EXIT_LABELS][::-1]]


def _changes(charts: list[RunChart], options: PlotOptions) -> list[EdgeLabel]:
    """The latest changes of these runs' parameters, in order."""
    return sorted(
        (
            EdgeLabel(x, changes_text(params), hex_of(chart.run))
            for chart in charts
            for step, params in _changes_by_step(chart).items()
            if (x := _axis_position(chart, step, options)) is not None and _is_in_range(chart, step)
        ),
        key=lambda change: change.x,
    )[-MAX_CHANGES:]


def _line(change: EdgeLabel, *, log: bool) -> Layout:
    """The vertical line of a change, as a shape."""
    x = 10**change.x if log else change.x  # plotly has shapes in values, and annotations in powers of ten
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1}
    return {"type": "line", **ends, "layer": "below", "line": {"color": change.colour, "width": 1, "dash": "dot"}}


def _label(change: EdgeLabel, row: int, side: Side) -> Layout:
    """The label of a change or an exit, as an annotation on that side of its place."""
    return framed(change.text, change.colour) | {
        "x": change.x,
        "y": 1,
        "xshift": -2 if side == "left" else 2,
        "yshift": -ROW_HEIGHT_PX * row,
        "xanchor": "right" if side == "left" else "left",
        "yanchor": "top",
    }


def framed(text: str, colour: str) -> Layout:
    """A label in a frame of a run's colour, as an annotation without a place."""
    return {
        "text": as_text(text),
        "showarrow": False,
        "font": {"size": 11},
        # The border has the run's colour: text in it would not be readable on both backgrounds. The style sheet
        # replaces the background by that of the window.
        "bordercolor": colour,
        "borderwidth": 1.5,
        "borderpad": 1,
        "bgcolor": PANE,
    }


def _changes_by_step(chart: RunChart) -> dict[float, dict[str, Any]]:
    """A run's changed parameters by step; the last value of one that was changed more than once at a step."""
    found: dict[float, dict[str, Any]] = {}
    for change in chart.run.changes:
        found.setdefault(change["step"], {}).update(change["params"])
    return found


def _placed_labels(changes: Sequence[EdgeLabel], low: float, high: float) -> Iterator[tuple[EdgeLabel, int, Side]]:
    """The latest changes whose labels do not overlap those of later ones: change, row, and the side of its line that
    the label is on. The last ones have the first choice; `low` and `high` are the ends of the axis."""
    rows: list[list[tuple[float, float]]] = [[] for _ in range(MAX_LABEL_ROWS)]
    labelled = 0
    for change in reversed(changes):
        start = (change.x - low) / ((high - low) or 1)
        width = (len(change.text) + 2) * LETTER_WIDTH_PX / MIN_PLOT_WIDTH_PX
        side, span = _side(start, width)
        for row, taken in enumerate(rows):
            if labelled < MAX_LABELS and all(span[1] <= begin or end <= span[0] for begin, end in taken):
                taken.append(span)
                labelled += 1
                yield change, row, side
                break


def _side(start: float, width: float) -> tuple[Side, tuple[float, float]]:
    """The side of a place on which a label lies within the axis, and what of the axis it takes; all in parts of the
    axis. A label that is too long for both begins at the left edge: plotly would widen the axis to hold it."""
    if start + width <= 1:
        return "right", (start, start + width)
    if start - width >= 0:
        return "left", (start - width, start)
    return "edge", (0.0, width)


def _axis_position(chart: RunChart, step: float, options: PlotOptions) -> float | None:
    """The x of a step, as a power of ten on a log scale; None where that has no place for it."""
    (x,) = x_values(chart, np.array([float(step)]), options)
    if options.axes.x == "linear":
        return x
    return math.log10(x) if x > 0 else None


def _is_in_range(chart: RunChart, step: float) -> bool:
    return chart.detail is None or chart.detail.from_step <= step <= chart.detail.to_step


def _extent(charts: list[RunChart], changes: Sequence[EdgeLabel], options: PlotOptions) -> tuple[float, float]:
    """The smallest and the largest x of the curves' ends and of the changes."""
    ends = [
        _axis_position(chart, end[0], options)
        for chart in charts
        for curve in chart.curves.values()
        for end in (curve.first, curve.last)
        if end
    ]
    xs = [x for x in ends if x is not None] + [change.x for change in changes]
    return min(xs), max(xs)


def changes_text(params: dict[str, Any]) -> str:
    """Changed parameters in at most MAX_LABEL_LENGTH letters."""
    return ", ".join(_change_text(name, value) for name, value in params.items())[:MAX_LABEL_LENGTH]


def _change_text(name: str, value: Any) -> str:
    if name == "steps_per_second":
        return "full speed" if value is None else f"{short(value)} steps/s"
    return f"{name} {short(value)}" if isinstance(value, int | float) else f"{name} {value}"
