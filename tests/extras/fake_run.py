"""What stands for a run where a test looks at what is given to it."""

from __future__ import annotations

import copy
from typing import Any


class FakeRun:
    """Takes what a writer or a callback gives to its run."""

    id = "0123456789abcdef0123456789abcdef"

    def __init__(self, **about: Any) -> None:
        self.about = copy.deepcopy(about)  # as a run has it when it begins: what comes later is not in it
        self.points: list[tuple[Any, Any]] = []
        self.media: list[tuple[Any, ...]] = []  # kind, name, value, step
        self.summary: dict[str, Any] = {}
        self.should_stop = False
        self.ended = ""
        self.error: Any = "is open"

    def log(self, metrics: Any, step: Any) -> None:
        self.points.append((step, metrics))

    def text(self, name: str, value: Any, step: Any) -> None:
        self.media.append(("text", name, value, step))

    def image(self, name: str, value: Any, step: Any, *, axes: str) -> None:
        self.media.append((f"image {axes}", name, value, step))

    def figure(self, name: str, value: Any, step: Any) -> None:
        self.media.append(("figure", name, value, step))

    def histogram(self, name: str, value: Any, step: Any, *, bins: int) -> None:
        self.media.append((f"histogram {bins}", name, value, step))

    def audio(self, name: str, value: Any, step: Any, *, rate: int) -> None:
        self.media.append((f"audio {rate}", name, value, step))

    def wait_while_paused(self) -> None:
        pass

    def finish(self, status: str) -> None:
        self.ended = status

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.error = error
