"""The parameters of a run: what people have as settings, and which values a script has read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import lossboard


class Parameters(dict[str, Any]):
    """The parameters of a run. ``changed`` has those that the board has changed and the script has not read since."""

    def __init__(
        self, given: Mapping[str, Any], note: Callable[[Mapping[str, Any]], None], listen: Callable[[], None]
    ) -> None:
        """``note`` is given each change before it is read; ``listen`` is called at each reading."""
        super().__init__(given)
        self.changed: dict[str, Any] = {}
        self._note = note
        self._listen = listen

    def change(self, changed: Mapping[str, Any]) -> None:
        """The board asks for these; each holds once it is read."""
        self.changed.update(changed)
        for name, value in changed.items():
            self.setdefault(name, value)

    def __getitem__(self, name: str) -> Any:
        self._listen()
        if name in self.changed:
            with contextlib.suppress(KeyError):  # another thread may come first
                value = self.changed.pop(name)
                self._note({name: value})
                self[name] = value
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:  # a method of its own: so dict() and ** read each value by its name
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self.keys() else default

    def items(self) -> Any:
        return {name: self[name] for name in self}.items()

    def values(self) -> Any:
        return {name: self[name] for name in self}.values()

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def fields(given: Any) -> Mapping[Any, Any] | None:
    """The entries of a mapping, the fields of a dataclass or a Namespace; None of anything else."""
    if isinstance(given, Mapping):
        return given
    if named := getattr(given, "__dataclass_fields__", None):
        return {name: getattr(given, name) for name in named}
    return vars(given) if type(given).__name__.endswith("Namespace") else None


def storable(value: Any) -> Any:
    """A value as JSON has it. RecursionError if it refers to itself."""
    if (named := fields(value)) is not None:
        return {str(key): storable(part) for key, part in named.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [storable(part) for part in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else lossboard.plain(value)


def bounds(live: Any) -> dict[str, Any]:
    """Bounds of the parameters that may be changed: [least, greatest], null where there is none."""
    named = live if isinstance(live, Mapping) else dict.fromkeys([live] if isinstance(live, str) else live)
    return {str(name): [None, None] if given is None else storable([*given]) for name, given in named.items()}
