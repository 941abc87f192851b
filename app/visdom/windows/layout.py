"""The parts that all plots share: colours, axes, margins, legends, and the names and colours of runs."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.assets import TOKENS
from app.charts.colours import hex_of
from app.charts.run_chart import RunChart
from app.schemas.view import Scale

INK = TOKENS["ink-soft"]
PANE = TOKENS["pane"]
CURVE = TOKENS["curve"]
MARKER = TOKENS["marker"]
GRID = TOKENS["grid"]
FONT = TOKENS["font"]

MAX_POINTS = 2000  # in one window, over all its traces
PADDING_FACTOR = 1.15  # a scale reaches so many times as far as what it has to show
RANGE_PADDING = 0.08  # of a range's width, on each side
MIN_SIZE = 1e-280  # smaller values are drawn as 0: of larger ones no two differ by less than plotly can draw
MAX_SIZE = 1e300  # larger ones are drawn as this
OURS = "lossboard"  # the part of a layout that the page reads; with plotly's `meta` a name would be a template
MAX_NAME_LENGTH = 48  # letters of a run's name in a legend
MIN_TITLE_LENGTH = 12  # of those, letters of its beginning
INTEGER_TITLES = ("step", "updates", "epoch")  # of axes along which whole numbers are counted

type Trace = dict[str, Any]
type Layout = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """A window of Visdom: `win` is its id in its env. The title is plain text; data and layout contain markup."""

    win: str
    title: str
    data: list[Trace]
    layout: Layout = field(default_factory=dict)


def trace_name(chart: RunChart) -> str:
    """A run's name in a legend: unique, at most MAX_NAME_LENGTH letters and its number, without markup."""
    name = _shortened(chart.run.name)
    return as_text(f"{name} #{chart.run.number}")


def _shortened(name: str) -> str:
    """A name of at most MAX_NAME_LENGTH letters. What stands before the first comma, as a method's title, is cut first:
    what makes runs differ comes after it."""
    title, comma, rest = name.partition(", ")
    over = len(name) - MAX_NAME_LENGTH
    if over > 0 and comma and len(title) > MIN_TITLE_LENGTH:
        title = title[: max(MIN_TITLE_LENGTH, len(title) - over) - 1] + "…"
    name = title + comma + rest
    return name if len(name) <= MAX_NAME_LENGTH else name[: MAX_NAME_LENGTH - 1] + "…"


def as_text(text: str) -> str:
    """Text escaped for plotly, which renders HTML tags, and text between two dollar signs as a formula."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def in_template(markup: str) -> str:
    """Markup for a hovertemplate of plotly's, in which %{…} would be replaced."""
    return markup.replace("{", "&#123;")


def colour_of(chart: RunChart) -> str:
    """The run's colour, as #rrggbb."""
    return hex_of(chart.run)


@dataclass(frozen=True)
class AxesStyle:
    """The scales of a plot's axes, and whether only a range of the steps is shown.

    Each style has axis ids of its own: Visdom's page and plotly carry a user's zoom of an axis over to the next
    replacement of the window, and it must not be applied to another scale or range.
    """

    x: Scale = "linear"
    y: Scale = "linear"
    detail: bool = False

    @property
    def x_key(self) -> str:
        """The key of the horizontal axis in the layout, such as "xaxis2"."""
        return self._id("x", self.x).replace("x", "xaxis")

    @property
    def y_key(self) -> str:
        """The key of the vertical axis in the layout, such as "yaxis2"."""
        return self._id("y", self.y).replace("y", "yaxis")

    @property
    def trace_axes(self) -> dict[str, str]:
        """The axis ids of a trace, such as {"xaxis": "x2", "yaxis": "y"}."""
        return {"xaxis": self._id("x", self.x), "yaxis": self._id("y", self.y)}

    @property
    def y_domain(self) -> str:
        """The yref of a shape or an annotation whose y, 0 to 1, is a part of the vertical axis."""
        return f"{self.trace_axes['yaxis']} domain"

    def _id(self, letter: str, scale: Scale) -> str:
        number = (1 if scale == "linear" else 2) + (2 if self.detail else 0)
        return letter if number == 1 else f"{letter}{number}"


LINEAR = AxesStyle()


def make_layout(x_title: str, y_title: str, axes: AxesStyle) -> Layout:
    """The axes, margins and legend of a plot; titles are markup."""
    common = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "automargin": True,
        "exponentformat": "power",
        "nticks": 7,
        "ticklabelstandoff": 4,
    }
    ids = axes.trace_axes
    on_x: Layout = {**common, "title": {"text": x_title, "standoff": 4}, "anchor": ids["yaxis"]}
    if x_title in INTEGER_TITLES and axes.x == "linear":
        on_x["exponentformat"] = "SI"  # 2M, not 0.2×10⁷
    on_y: Layout = {**common, "title": {"text": y_title, "standoff": 8}, "anchor": ids["xaxis"], "side": "left"}
    powers = {"type": "log", "tickfont": {"size": 10}}  # plotly makes powers of ten a quarter larger
    if axes.x == "log":
        on_x |= {**powers, "title": {"text": f"{x_title} (log scale)", "standoff": 4}, "dtick": 1}
    if axes.y == "log":
        on_y |= {**powers, "title": {"text": f"{y_title} (log scale)".strip(), "standoff": 8}}
    return {
        axes.x_key: on_x,
        axes.y_key: on_y,
        "showlegend": False,
        "uirevision": "lossboard",
        "hovermode": "closest",
        "hoverlabel": {"namelength": -1},
        # Visdom's page sets the top margin itself, to 30: the window's title lies in it
        "margin": {"l": 56, "r": 20, "b": 44},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": FONT, "size": 12, "color": INK},
        # below the curves, in as many rows as it takes: it covers none of them, however narrow the window
        "legend": {
            "orientation": "h",
            "x": 0.01,
            "xref": "container",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 11},
        },
    }


def empty_plot(layout: Layout, text: str) -> tuple[list[Trace], Layout]:
    """The data and layout of a plot without points: `text`, which is markup, in its middle, and no axes."""
    note = {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "showarrow": False,
        "font": {"size": 14},
    }
    hidden = {
        name: {**axis, "showgrid": False, "zeroline": False, "showticklabels": False, "title": {"text": ""}}
        for name, axis in layout.items()
        if "axis" in name
    }
    return [{"type": "scatter", "x": [], "y": []}], {**layout, **hidden, "annotations": [note]}


def attempted(win: str, title: str, draw: Callable[[], Window], failed: Callable[[], None] | None) -> Window:
    """What `draw` returns. If it raises and there is a `failed`, that is called while the exception is handled, and the
    window says that it cannot be drawn: no window ends another."""
    try:
        return draw()
    except Exception as error:
        if failed is None:
            raise
        failed()
        text = f"This window cannot be drawn:<br>{as_text(str(error) or type(error).__name__)}"
        return Window(win, title, *empty_plot(make_layout("", "", LINEAR), text))


def padded(low: float, high: float) -> tuple[float, float]:
    """A range with RANGE_PADDING on both sides."""
    width = high - low
    padding = RANGE_PADDING * width if width else max(abs(low), 1.0)
    return low - padding, high + padding


def drawable(data: list[Trace], layout: Layout) -> list[Trace]:
    """Traces without what plotly cannot draw: on a linear axis it throws where values span less than 1e-306, and its
    axes have no place for the largest floats. Differences that small are drawn as none."""
    return [trace | _drawable_columns(trace, layout) for trace in data]


def _drawable_columns(trace: Trace, layout: Layout) -> dict[str, list[float | None]]:
    """Those of a trace's columns that have to be drawn otherwise, as they are drawn."""
    changed = {}
    for letter in ("x", "y"):
        if not isinstance(trace.get(letter), list):
            continue
        values = np.array(trace[letter], dtype=float)  # NaN for None
        sizes = np.abs(values)
        key = trace.get(f"{letter}axis", letter).replace(letter, f"{letter}axis")
        too_small = (sizes < MIN_SIZE) & (sizes > 0) & (layout.get(key, {}).get("type") != "log")
        if too_small.any() or (sizes > MAX_SIZE).any():
            changed[letter] = finite(np.where(too_small, 0.0, np.clip(values, -MAX_SIZE, MAX_SIZE)).tolist())
    return changed


def finite(values: list[float]) -> list[float | None]:
    """Values for JSON, which has no NaN and no infinity: None for those."""
    return [value if math.isfinite(value) else None for value in values]
