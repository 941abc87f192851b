"""A script's run whose points are kept, where a test says what a board would."""

from __future__ import annotations

from typing import Any

import lossboard


class ScriptRun(lossboard.Run):
    """A run without a board, whose points are kept; the test says what a board would."""

    def __init__(self, **about: Any) -> None:
        self.points: list[tuple[float, dict[str, Any]]] = []
        super().__init__(url="http://127.0.0.1:9", **about)

    def log(self, metrics: Any = None, /, step: float | None = None, **more: Any) -> None:
        self.points.append((self.next_step if step is None else step, {**(metrics or {}), **more}))
        super().log(metrics, step, **more)

    def ask(self, *, times: int = 1, **params: float) -> None:
        """The board asks for parameters."""
        self.take_control({**self.control, "params": params, "asked": dict.fromkeys(params, times)})

    def metric(self, name: str) -> list[tuple[float, Any]]:
        return [(step, values[name]) for step, values in self.points if name in values]
