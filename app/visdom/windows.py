"""Which windows there are: those that everyone shares, and those of one run's own env."""

from __future__ import annotations

from app.board import Board
from app.overlay import Drawn
from app.visdom import tables
from app.visdom.cost import cost_window
from app.visdom.layout import Window
from app.visdom.lines import own_plot, shared_plot


def shared_windows(drawn: list[Drawn], board: Board) -> list[Window]:
    """The windows of the env in which the latest runs lie over each other."""
    stepping = [one for one in drawn if one.run.method != "sweep"]
    return [
        shared_plot("loss", "Loss", stepping, "loss", board, legend=True),
        shared_plot("w", "w", stepping, "w", board),
        cost_window(drawn, board.axes.cost),
    ]


def own_windows(one: Drawn) -> list[Window]:
    """The windows of a run's own env: every metric it logs, and a table of what is known of it."""
    if one.run.method == "sweep":
        plots = [cost_window([one], "linear")]
    else:
        groups: dict[str, list[str]] = {}
        for name in one.curves:
            groups.setdefault(_group_of(name), []).append(name)
        plots = [own_plot(one, title, names) for title, names in list(groups.items())[:MAX_OWN_PLOTS]]
    if samples := tables.samples(one):
        plots.append(_text("samples", *samples))
    return [*plots, _text("about", one.run.name, tables.about(one.run))]


def _text(win: str, title: str, content: str) -> Window:
    return Window(win, title, [{"type": "text", "content": content}])


MAX_OWN_PLOTS = 12
_GROUPS = {"mse": "loss", "b": "w", "grad": "gradient", "grad_b": "gradient"}


def _group_of(name: str) -> str:
    if name in _GROUPS:
        return _GROUPS[name]
    head = name.partition("_")[0]
    return "layers" if head in ("w1", "b1", "w2", "b2") else name
