"""What the shared windows show: the latest runs over each other."""

from __future__ import annotations

from app.charts.run_chart import Drawn
from app.schemas.view import View
from app.visdom.windows.cost import cost_window
from app.visdom.windows.curves import shared_plot
from app.visdom.windows.layout import Window


def shared_windows(drawn: list[Drawn], board: View) -> list[Window]:
    """The windows of the env that everyone looks at."""
    stepping = [one for one in drawn if one.run.method != "sweep"]
    return [
        shared_plot("loss", "Loss", stepping, "loss", board, legend=True),
        shared_plot("w", "w", stepping, "w", board),
        cost_window(drawn, board.axes.cost),
    ]
