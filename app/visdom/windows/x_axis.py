"""What runs along curves: steps, epochs or seconds, on either scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.charts.run_chart import Drawn
from app.schemas.view import XAxis
from app.storage.batch import Floats
from app.visdom.windows.layout import Look

UNITS = {"step": "step", "epoch": "epoch", "time": "seconds since the start"}


@dataclass(frozen=True)
class Plot:
    """How one window of curves is drawn."""

    metric: str
    look: Look
    along: XAxis = "step"
    smoothing: int = 0
    legend: bool = False
    at: float | None = None  # the chosen step, which the scale reaches


def places(one: Drawn, steps: Floats, plot: Plot) -> list[float]:
    """Where these steps lie along the horizontal axis."""
    places = steps
    if plot.along == "time":
        places = one.seconds(steps)
        return (np.maximum(places, 1e-3) if plot.look.x == "log" else places).tolist()  # type: ignore[no-any-return]
    if plot.along == "epoch":
        epochs = one.epochs(steps)
        places = steps if epochs is None else epochs
    return (places + 1 if plot.look.x == "log" else places).tolist()  # type: ignore[no-any-return]


def hover(plot: Plot) -> str:
    """What is said of a place when the mouse is there."""
    if plot.look.x == "log":
        return ""
    return "%{x:.3f} s<br>" if plot.along == "time" else f"{plot.along} %{{x}}<br>"


def x_title(plot: Plot, shown: list[Drawn]) -> str:
    """The title of the horizontal axis."""
    title = UNITS[plot.along]
    if plot.along == "epoch" and any(one.epochs(np.zeros(1)) is None for one in shown):
        title = "epoch (step, of runs that log no epoch)"
    return f"{title} + 1" if plot.look.x == "log" and plot.along != "time" else title
