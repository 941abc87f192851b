"""A computational graph with the value and the gradient of every node, as a plot that can be zoomed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.assets import TOKENS
from app.visdom.windows.layout import CURVE, INK, LINEAR, Layout, Trace, Window, make_layout
from trainers.method import Node
from trainers.numbers import LARGEST_PLAIN, SMALLEST_PLAIN, short

MAX_UNITS = 3  # hidden units that are drawn
# Places are in columns, from the inputs to the loss, and in lanes, one for each hidden unit.
SUM_GAP = 0.3  # columns; more room before a node that joins the hidden units
ABOVE = 0.46  # lanes from a node up to the parameter above it
BENDS = (0.62, 0.94)  # columns; where an edge from lane to lane leaves its lane, and where it arrives
BENDS_FROM_INPUT = (0.2, 0.52)
CIRCLE_SIZE_PX = 27
GRADIENT_COLOUR = TOKENS["graph-gradient"]
OPERATION_COLOUR = TOKENS["graph-operation"]
COLOURS = {"input": TOKENS["graph-input"], "parameter": TOKENS["graph-parameter"]}
SYMBOLS = {"multiply": "×", "add": "+", "subtract": "−", "square": "( )²"}
LETTERS = {"y_hat": "ŷ"}

type Place = tuple[float, float]


@dataclass(frozen=True)
class _Graph:
    """The nodes that are drawn, and the place, column and lane, of each by its name."""

    nodes: list[Node]
    places: dict[str, Place]
    above: frozenset[str]  # nodes without inputs that are drawn above the node that they go into


def graph_window(title: str, nodes: list[Node]) -> Window:
    """The graph of these nodes, inputs before what is made of them.

    At most MAX_UNITS hidden units are drawn, and the others counted.
    """
    hidden = max(unit_of(node.name) for node in nodes)
    units = min(hidden, MAX_UNITS)
    graph = _arrange([node for node in nodes if unit_of(node.name) <= units], units)
    layout = _layout(graph, units, 0.42 if hidden == units else 0.55)
    layout["annotations"] = [_legend()]
    if hidden > units:
        layout["annotations"].append(_omitted(nodes, graph, hidden - units))
    return Window("graph", title, [_edges(graph), *_circles(graph), _labels(graph)], layout)


def unit_of(name: str) -> int:
    """The hidden unit, from 1, that a node belongs to; 0 for a node that all units share."""
    number = name.rpartition("_")[2]
    return int(number) if number.isdigit() else 0


def _kind(name: str) -> str:
    """A node's name without its hidden unit."""
    return name.rpartition("_")[0] if unit_of(name) else name


def _arrange(nodes: list[Node], units: int) -> _Graph:
    """Give each node a place: operations from left to right, one column after the last of their inputs.

    A parameter is above the node that it goes into, and so is an input of a node that has operations among its inputs,
    such as y; the other inputs are on the left.
    """
    computed = {node.name: node for node in nodes if node.inputs}
    consumers = {name: node for node in reversed(list(computed.values())) for name in node.inputs}
    above = frozenset(
        node.name
        for node in nodes
        if node.name not in computed
        and (node.operation == "parameter" or any(name in computed for name in consumers[node.name].inputs))
    )
    columns: dict[str, float] = {}
    for node in nodes:
        if node.name in computed:
            joins = not unit_of(node.name) and any(unit_of(name) for name in node.inputs)
            columns[node.name] = max(columns.get(name, 0.0) for name in node.inputs) + 1 + SUM_GAP * joins
        elif node.name not in above:
            columns[node.name] = 0.0
    columns |= {name: columns[consumers[name].name] for name in above}
    lanes = {name: (units + 1) / 2 - unit_of(name) if unit_of(name) else 0.0 for name in columns}
    places = {name: (columns[name], lanes[name] + (ABOVE if name in above else 0.0)) for name in columns}
    return _Graph(nodes, places, above)


def _edge(start: Place, end: Place) -> list[Place]:
    """The points of an edge: straight, or from lane to lane between the labels of the two nodes."""
    if start[0] == end[0] or start[1] == end[1]:
        return [start, end]
    leaves, arrives = BENDS_FROM_INPUT if start[0] == 0 else BENDS
    return [start, (start[0] + leaves, start[1]), (start[0] + arrives, end[1]), end]


def _edges(graph: _Graph) -> Trace:
    """All edges as one line, with gaps between them."""
    places = graph.places
    xs: list[float | None] = []
    ys: list[float | None] = []
    for node in graph.nodes:
        for name in node.inputs:
            if name in places:
                line = _edge(places[name], places[node.name])
                xs += [*(x for x, _ in line), None]
                ys += [*(y for _, y in line), None]
    return {
        "type": "scatter",
        "name": "edges",
        "uid": "graph",  # becomes a CSS class, by which the style sheet makes this window larger
        "mode": "lines",
        "x": xs,
        "y": ys,
        "line": {"color": CURVE, "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _circles(graph: _Graph) -> Iterator[Trace]:
    """The nodes, one trace for each kind of the legend."""
    places = graph.places
    for title, kinds in (("input", {"input"}), ("parameter", {"parameter"}), ("operation", set(SYMBOLS))):
        chosen = [node for node in graph.nodes if node.operation in kinds]
        yield {
            "type": "scatter",
            "name": title,
            "mode": "markers+text",
            "x": [places[node.name][0] for node in chosen],
            "y": [places[node.name][1] for node in chosen],
            "marker": {"color": COLOURS.get(title, OPERATION_COLOUR), "size": CIRCLE_SIZE_PX},
            "text": [
                f'<span style="color:#fff">{SYMBOLS.get(n.operation) or _as_symbol(n.name)}</span>' for n in chosen
            ],
            "textposition": "middle center",
            "textfont": {"size": 12},
            "hovertext": [f"{n.name} ({n.operation})<br>value {n.value!r}<br>gradient {n.gradient!r}" for n in chosen],
            "hoverinfo": "text",
            "cliponaxis": False,
        }


def _labels(graph: _Graph) -> Trace:
    """The value and, below it, the gradient of each node; with the name of an operation."""
    nodes, places = graph.nodes, graph.places
    above = [node.name in graph.above for node in nodes]
    return {
        "type": "scatter",
        "name": "labels",
        "mode": "markers+text",
        "x": [places[node.name][0] for node in nodes],
        "y": [places[node.name][1] for node in nodes],
        # Invisible, and larger than the circles, so that the text is beside them.
        "marker": {"size": [CIRCLE_SIZE_PX + 8 * is_above for is_above in above], "opacity": 0},
        "text": [_label(node) for node in nodes],
        "textposition": ["middle right" if is_above else "bottom center" for is_above in above],
        "textfont": {"size": 12},
        "hoverinfo": "skip",
        "showlegend": False,
        "cliponaxis": False,
    }


def _label(node: Node) -> str:
    name = f"{_as_symbol(node.name)} = " if node.operation in SYMBOLS else ""
    return f"{name}{_number(node.value)}<br>" + _in_colour(f"∂ {_number(node.gradient)}")


def _as_symbol(name: str) -> str:
    """A node's name as the formulas write it."""
    kind, unit = _kind(name), unit_of(name)
    letter, layer = (kind[0], kind[1:]) if kind[-1].isdigit() else (LETTERS.get(kind, kind), "")
    index = ",".join(part for part in (layer, str(unit) if unit else "") if part)
    return f"{letter}<sub>{index}</sub>" if index else letter


def _number(value: float) -> str:
    """At most three digits; two where there is an exponent, which needs the room of one."""
    has_exponent = value != 0 and not SMALLEST_PLAIN <= abs(value) < LARGEST_PLAIN
    return short(value, 2 if has_exponent else 3)


def _in_colour(text: str, colour: str = GRADIENT_COLOUR) -> str:
    return f'<span style="color:{colour}">{text}</span>'


def _legend() -> Layout:
    text = "value, going forward → &nbsp; " + _in_colour("← ∂ gradient of the loss, coming back")
    return {"text": text, **_corner("left", 0.0, "top", 1.0)}


def _omitted(nodes: list[Node], graph: _Graph, units: int) -> Layout:
    """How many hidden units are not drawn, and what they add to the node that joins them."""
    text = f"… and {units} more hidden unit{'s' if units > 1 else ''}"
    for node in graph.nodes:
        missing = set(node.inputs) - set(graph.places)
        if missing and node.operation == "add":
            added = sum(other.value for other in nodes if other.name in missing)
            text += f", which add{'' if units > 1 else 's'} {_number(added)} to {node.name}"
    return {"text": text, **_corner("left", 0.0, "bottom", 0.0)}


def _corner(xanchor: str, x: float, yanchor: str, y: float) -> Layout:
    """The place and style of an annotation in a corner."""
    place = {"xref": "paper", "yref": "paper", "x": x, "y": y, "xanchor": xanchor, "yanchor": yanchor}
    return {**place, "showarrow": False, "font": {"size": 12, "color": INK}}


def _layout(graph: _Graph, units: int, below: float) -> Layout:
    """Axes that hold the graph, with room, in lanes, for labels `below` the last of its `units`."""
    layout = make_layout("", "", LINEAR)
    bare = {"showgrid": False, "zeroline": False, "showticklabels": False, "title": {"text": ""}}
    last = max(column for column, _ in graph.places.values())
    layout["xaxis"] |= {**bare, "range": [-0.4, last + 0.5]}
    layout["yaxis"] |= {**bare, "range": [-(units - 1) / 2 - below, (units - 1) / 2 + 0.8]}
    layout["showlegend"] = True
    layout["margin"] |= {"l": 16, "b": 30}
    return layout
