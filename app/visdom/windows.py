"""What the shared windows show: the latest runs over each other."""

from __future__ import annotations

from app.board import Board
from app.drawn import Drawn
from app.visdom.cost import cost_window
from app.visdom.lines import shared_plot
from app.visdom.plot import Window


def shared_windows(drawn: list[Drawn], board: Board) -> list[Window]:
    """The windows of the env that everyone looks at."""
    stepping = [one for one in drawn if one.run.method != "sweep"]
    return [
        shared_plot("loss", "Loss", stepping, "loss", board, legend=True),
        shared_plot("w", "w", stepping, "w", board),
        cost_window(drawn, board.axes.cost),
    ]
