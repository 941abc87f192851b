"""The names of runs that no person has named: what makes a run differ from those beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from app.storage.batch import Floats
from trainers.method import Method
from trainers.numbers import short
from trainers.params import Params
from trainers.problem import TEXTBOOK

NOT_NAMED = ("epochs", "steps_per_second", "predict_at", "device")  # how long, how fast and where, not what
MAX_VALUES = 2  # of a parameter's later values that a name has, the last ones


def default_name(method: Method[Any], params: Params, data: tuple[Floats, Floats], data_number: int) -> str:
    """What a run is called that was given no name: its method, its learning rate, what differs from the defaults, and
    where that is not the textbook's its data, by the number of the run that was the first on it."""
    defaults = method.params()
    values = {name: value for name, value in params if name not in NOT_NAMED}
    if values.get("order") == "sequential":
        values.pop("seed", None)  # nothing is drawn
    named = [name for name, value in values.items() if name == "lr" or value != getattr(defaults, name)]
    parts = [method.title, *(part(name, values[name]) for name in sorted(named, key=lambda name: name != "lr"))]
    return ", ".join(parts if _is_textbook(data) else [*parts, f"data {data_number}"])


def part(name: str, value: object) -> str:
    """A parameter in a name: "lr 0.1", "batch size 3"."""
    said = short(value) if isinstance(value, float) else str(value)
    return f"{name.replace('_', ' ')} {said}"


def with_values(name: str, params: Mapping[str, Any]) -> str:
    """A default name with other values of parameters, as those of a run that has not begun may be changed."""
    parts = name.split(", ")
    for changed, value in params.items():
        at = _place(parts, changed)
        if at is not None:
            parts[at] = part(changed, value)
    return ", ".join(parts)


def with_changes(name: str, changes: Iterable[Mapping[str, Any]]) -> str:
    """A default name with what was changed while the run went on: "lr 0.3 → 1000"."""
    later: dict[str, list[str]] = {}
    for change in changes:
        for changed, value in change["params"].items():
            if changed not in NOT_NAMED and isinstance(value, int | float):
                later.setdefault(changed, []).append(short(value))
    parts = name.split(", ")
    for changed, values in later.items():
        shown = values if len(values) <= MAX_VALUES else ["…", *values[-MAX_VALUES + 1 :]]
        at = _place(parts, changed)
        if at is None:
            parts.append(changed.replace("_", " "))
        parts[-1 if at is None else at] += "".join(f" → {value}" for value in shown)
    return ", ".join(parts)


def _place(parts: list[str], name: str) -> int | None:
    """Which part of a name tells a parameter: the last, as a person's own words may stand before it."""
    beginning = f"{name.replace('_', ' ')} "
    return max((at for at, one in enumerate(parts) if one.startswith(beginning)), default=None)


def _is_textbook(data: tuple[Floats, Floats]) -> bool:
    return all(np.array_equal(ours, theirs) for ours, theirs in zip(data, TEXTBOOK.arrays(), strict=True))
