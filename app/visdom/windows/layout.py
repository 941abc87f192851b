"""What all plots have in common: their look, their axes, and the names and colours of runs."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass, field
from typing import Any

from app.charts.colours import hex_of
from app.charts.run_chart import Drawn
from app.schemas.view import Scale

POINTS = 2000  # in one window, over all its traces
COUNTED = ("step", "epoch")  # what whole numbers along an axis are
INK = "#545d6b"
CURVE = "#98a1af"
GRID = "rgba(128,136,150,0.2)"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif'

type Trace = dict[str, Any]
type Layout = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """One window: its id in its env, and what Visdom is to show. The title is text; data and layout hold markup."""

    win: str
    title: str
    data: list[Trace]
    layout: Layout = field(default_factory=dict)


def trace_name(one: Drawn) -> str:
    """A run's name in a legend: unique, short, and never markup."""
    name = one.run.name if len(one.run.name) <= 40 else one.run.name[:39] + "…"
    return as_text(f"{name} #{one.run.number}")


def as_text(text: str) -> str:
    """Text for plotly, which takes HTML's marks as markup and what lies between two dollars as a formula."""
    return html.escape(text, quote=False).replace("$", "&#36;")


def colour_of(one: Drawn) -> str:
    """A run's one colour."""
    return hex_of(one.run)


@dataclass(frozen=True)
class Look:
    """The scales of a window's axes, and whether only a stretch of the runs is shown.

    Each look has axes of its own, so that a user's zoom, which Visdom's page and plotly both carry over to the next
    replacement, is never applied to another one.
    """

    x: Scale = "linear"
    y: Scale = "linear"
    detail: bool = False

    @property
    def x_key(self) -> str:
        """The layout's key of the horizontal axis."""
        return self._id("x", self.x).replace("x", "xaxis")

    @property
    def y_key(self) -> str:
        """The layout's key of the vertical axis."""
        return self._id("y", self.y).replace("y", "yaxis")

    @property
    def axes(self) -> dict[str, str]:
        """What a trace says of its axes."""
        return {"xaxis": self._id("x", self.x), "yaxis": self._id("y", self.y)}

    @property
    def y_domain(self) -> str:
        """What a shape or a label says to lie at a part, 0 to 1, of the vertical axis."""
        return f"{self.axes['yaxis']} domain"

    def _id(self, letter: str, scale: Scale) -> str:
        number = (1 if scale == "linear" else 2) + (2 if self.detail else 0)
        return letter if number == 1 else f"{letter}{number}"


def make_layout(x_title: str, y_title: str, look: Look) -> Layout:
    """Axes, margins and legend of a plot; titles are markup."""
    common = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "automargin": True,
        "exponentformat": "power",
        "nticks": 7,
        "ticklabelstandoff": 4,
    }
    anchors = look.axes
    on_x: Layout = {**common, "title": {"text": x_title, "standoff": 4}, "anchor": anchors["yaxis"]}
    if x_title in COUNTED and look.x == "linear":
        on_x["exponentformat"] = "SI"  # 2M, not 0.2×10⁷
    on_y: Layout = {**common, "title": {"text": y_title, "standoff": 8}, "anchor": anchors["xaxis"], "side": "left"}
    powers = {"type": "log", "tickfont": {"size": 10}}  # plotly makes powers of ten a quarter larger
    if look.x == "log":
        on_x |= {**powers, "title": {"text": f"{x_title} (log scale)", "standoff": 4}, "dtick": 1}
    if look.y == "log":
        on_y |= {**powers, "title": {"text": f"{y_title} (log scale)", "standoff": 8}}
    return {
        look.x_key: on_x,
        look.y_key: on_y,
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


def empty(layout: Layout, words: str) -> tuple[list[Trace], Layout]:
    """A window with nothing to show yet, which says so."""
    note = {
        "text": words,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "showarrow": False,
        "font": {"size": 14},
    }
    axes = {
        name: {**axis, "showgrid": False, "zeroline": False, "showticklabels": False, "title": {"text": ""}}
        for name, axis in layout.items()
        if "axis" in name
    }
    return [{"type": "scatter", "x": [], "y": []}], {**layout, **axes, "annotations": [note]}


def padded(low: float, high: float) -> tuple[float, float]:
    """A range with some air around it."""
    width = high - low
    air = 0.08 * width if width else max(abs(low), 1.0)
    return low - air, high + air


def finite(values: list[float]) -> list[float | None]:
    """Values as JSON has them: None for those that are not finite."""
    return [value if math.isfinite(value) else None for value in values]
