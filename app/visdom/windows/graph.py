"""The computational graph of the two-layer network, with every node's value and gradient, as a plot to zoom in."""

from __future__ import annotations

import math
from collections.abc import Iterator

from app.storage.batch import Point
from app.visdom.windows.layout import CURVE, INK, Layout, Look, Trace, Window, make_layout
from trainers.graph import Node, computational_graph
from trainers.problem import Data

MOST_UNITS = 3  # hidden units that are drawn
_GRADIENT = "#c4177f"
_COLOURS = {"input": "#6b7482", "parameter": "#3b7dd8"}
_OPERATION = "#1a9c68"
_SYMBOLS = {"multiply": "×", "add": "+", "subtract": "−", "square": "( )²"}
# Along the graph, and for parameters and y above the node that they go into.
_COLUMNS: dict[str, float] = {
    "x": 0,
    "m1": 1,
    "h": 2,
    "m2": 3,
    "s": 4.3,
    "y_hat": 5.3,
    "r": 6.3,
    "loss": 7.3,
    "w1": 1,
    "b1": 2,
    "w2": 3,
}
_COLUMNS |= {"b2": 5.3, "y": 6.3}
_ABOVE = 0.46
_KNEES = (0.62, 0.94)
_KNEES_OF_X = (0.2, 0.52)
_CIRCLE = 27  # pixels
_LETTERS = {"y_hat": "ŷ"}

type Place = tuple[float, float]


def graph(data: Data, point: Point, sample: int, of: int) -> Window:
    """The graph for one sample `of` so many, counted from 0, with the parameters as they were after a step.

    At most MOST_UNITS hidden units are drawn, and the others counted. Raises ParameterError if there is no such
    sample, KeyError if the point lacks a parameter.
    """
    nodes = computational_graph(point.values, data, sample)
    hidden = sum(node.name.startswith("h_") for node in nodes)
    units = min(hidden, MOST_UNITS)
    shown = [node for node in nodes if unit_of(node.name) <= units]
    places = {node.name: _place(node.name, units) for node in shown}
    layout = _layout(units, 0.42 if hidden == units else 0.55)
    layout["annotations"] = [_legend()]
    if hidden > units:
        rest = sum(node.value for node in nodes if node.name.startswith("m2_") and unit_of(node.name) > units)
        layout["annotations"].append(_left_out(hidden - units, rest))
    traces = [_edges(shown, places), *_circles(shown, places), _labels(shown, places)]
    title = f"Graph for sample {sample + 1} of {of:,}, with the parameters after step {point.step:g}"
    return Window("graph", title, traces, layout)


def unit_of(name: str) -> int:
    """The hidden unit, from 1, that a node belongs to; 0 for those that all share."""
    number = name.rpartition("_")[2]
    return int(number) if number.isdigit() else 0


def _kind(name: str) -> str:
    return name.rpartition("_")[0] if unit_of(name) else name


def _place(name: str, units: int) -> Place:
    kind = _kind(name)
    lane = (units + 1) / 2 - unit_of(name) if unit_of(name) else 0.0
    return _COLUMNS[kind], lane + (_ABOVE if kind in {"w1", "b1", "w2", "b2", "y"} else 0.0)


def _line(start: Place, end: Place) -> list[Place]:
    """An edge: straight, or from lane to lane between the labels of the two nodes."""
    if start[0] == end[0] or start[1] == end[1]:
        return [start, end]
    leaves, arrives = _KNEES_OF_X if start[0] == _COLUMNS["x"] else _KNEES
    return [start, (start[0] + leaves, start[1]), (start[0] + arrives, end[1]), end]


def _edges(nodes: list[Node], places: dict[str, Place]) -> Trace:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for node in nodes:
        for name in node.inputs:
            if name in places:
                line = _line(places[name], places[node.name])
                xs += [*(x for x, _ in line), None]
                ys += [*(y for _, y in line), None]
    return {
        "type": "scatter",
        "name": "edges",
        "uid": "graph",  # a class of the drawing, by which the style sheet gives this window more room
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": {"color": CURVE, "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _circles(nodes: list[Node], places: dict[str, Place]) -> Iterator[Trace]:
    for title, kinds in (("input", {"input"}), ("parameter", {"parameter"}), ("operation", set(_SYMBOLS))):
        chosen = [node for node in nodes if node.operation in kinds]
        yield {
            "type": "scatter",
            "name": title,
            "mode": "markers+text",
            "x": [places[node.name][0] for node in chosen],
            "y": [places[node.name][1] for node in chosen],
            "marker": {"color": _COLOURS.get(title, _OPERATION), "size": _CIRCLE},
            "text": [
                f'<span style="color:#fff">{_SYMBOLS.get(n.operation) or _written(n.name)}</span>' for n in chosen
            ],
            "textposition": "middle center",
            "textfont": {"size": 12},
            "hovertext": [f"{n.name} ({n.operation})<br>value {n.value!r}<br>gradient {n.gradient!r}" for n in chosen],
            "hoverinfo": "text",
            "cliponaxis": False,
        }


def _labels(nodes: list[Node], places: dict[str, Place]) -> Trace:
    """Beside each node its value and below that its gradient; operations say their name, too."""
    above = [node.operation == "parameter" or node.name == "y" for node in nodes]
    return {
        "type": "scatter",
        "name": "labels",
        "mode": "markers+text",
        "x": [places[node.name][0] for node in nodes],
        "y": [places[node.name][1] for node in nodes],
        "marker": {"size": [_CIRCLE + 8 * beside for beside in above], "opacity": 0},  # keeps the text off the circle
        "text": [_label(node) for node in nodes],
        "textposition": ["middle right" if beside else "bottom center" for beside in above],
        "textfont": {"size": 12},
        "hoverinfo": "skip",
        "showlegend": False,
        "cliponaxis": False,
    }


def _label(node: Node) -> str:
    name = f"{_written(node.name)} = " if node.operation in _SYMBOLS else ""
    return f"{name}{_number(node.value)}<br>" + _coloured(f"∂ {_number(node.gradient)}")


def _written(name: str) -> str:
    """A node's name as the formulas write it."""
    kind, unit = _kind(name), unit_of(name)
    letter, layer = (kind[0], kind[1:]) if kind[-1].isdigit() else (_LETTERS.get(kind, kind), "")
    index = ",".join(part for part in (layer, str(unit) if unit else "") if part)
    return f"{letter}<sub>{index}</sub>" if index else letter


def _number(value: float) -> str:
    """As short as it can be told: a long exponent takes the room of a digit."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
    written = f"{value:.3g}" if value == 0 or 1e-5 <= abs(value) < 1e6 else f"{value:.2g}"
    return written.replace("e+", "e").replace("-", "−")


def _coloured(text: str, colour: str = _GRADIENT) -> str:
    return f'<span style="color:{colour}">{text}</span>'


def _legend() -> Layout:
    words = "value, going forward → &nbsp; " + _coloured("← ∂ gradient of the loss, coming back")
    return {"text": words, **_corner("left", 0.0, "top", 1.0)}


def _left_out(units: int, value: float) -> Layout:
    words = f"… and {units} more hidden unit{'s' if units > 1 else ''}, which add{'' if units > 1 else 's'} "
    return {"text": f"{words}{_number(value)} to s", **_corner("left", 0.0, "bottom", 0.0)}


def _corner(xanchor: str, x: float, yanchor: str, y: float) -> Layout:
    where = {"xref": "paper", "yref": "paper", "x": x, "y": y, "xanchor": xanchor, "yanchor": yanchor}
    return {**where, "showarrow": False, "font": {"size": 12, "color": INK}}


def _layout(units: int, below: float) -> Layout:
    """Axes that hold so many lanes of hidden units, with room for labels ``below`` the last."""
    layout = make_layout("", "", Look())
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "title": {"text": ""}}
    layout["xaxis"] |= {**bare, "range": [-0.4, 7.8]}
    layout["yaxis"] |= {**bare, "range": [-(units - 1) / 2 - below, (units - 1) / 2 + 0.8]}
    layout["showlegend"] = True
    layout["margin"] |= {"l": 16, "b": 30}
    return layout
