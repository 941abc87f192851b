"""Runs that have not ended: what is asked of each, and how many may work at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.schemas.responses import Control
from app.storage.store import RunRecord

EXTERNAL = "external"


@dataclass(frozen=True)
class Limits:
    """How many workers there may be at once: at full speed, and waiting most of the time (slowed, or paused)."""

    running: int
    waiting: int

    def have_room_for(self, one: Active, others: Iterable[Active]) -> bool:
        """Whether a worker may start beside those at work. What works already goes on, whatever is changed in it: two
        runs that are resumed may be one more than may start, and then nothing starts until one of them has ended."""
        at_work = [other for other in others if other.launched and other.record.method != EXTERNAL]
        waiting = sum(other.waits for other in at_work)
        if one.waits:
            return waiting < self.waiting
        return len(at_work) - waiting < self.running and len(at_work) < self.running + self.waiting


@dataclass
class Active:
    """A run that has not ended."""

    record: RunRecord
    launched: bool = False
    stop_asked: bool = False
    heard_at: float = 0.0  # time.monotonic() of its last post
    changed: dict[str, Any] = field(default_factory=dict)  # parameters changed since it was launched, as they are now
    untold: dict[str, Any] = field(default_factory=dict)  # those of a script that it has not heard of
    told: dict[str, Any] = field(default_factory=dict)  # those that it was told last, and has not confirmed
    _hold: str = ""
    _steps: int = 0

    @property
    def waits(self) -> bool:
        """Whether it spends its time waiting for its next step, and so takes no slot."""
        return self.paused or self.record.params.get("steps_per_second") is not None

    @property
    def paused(self) -> bool:
        return self.record.status == "paused"

    @property
    def wants_to_start(self) -> bool:
        """Whether it waits for a worker: one that was paused in the queue does not, until a step is asked of it."""
        return not self.launched and not self.stop_asked and (not self.paused or self._steps > 0)

    @property
    def control(self) -> Control:
        """All that is asked of the run: it may be told again and again, and changes nothing the second time."""
        return Control(stop=self.stop_asked, pause=self.paused, hold=self._hold, steps=self._steps, params=self.changed)

    def pause(self, steps: int = 0) -> None:
        """Hold the run after so many steps. The hold is a new one: steps allowed in an earlier one are off."""
        self.record.status = "paused"
        self._hold, self._steps = uuid.uuid4().hex[:12], steps

    def step(self, steps: int) -> None:
        """Allow so many steps more, then hold."""
        if self.paused:
            self._steps += steps
        else:
            self.pause(steps)

    def resume(self) -> None:
        """Let the run go on, or back into the queue if it has no worker yet."""
        self.record.status = "running" if self.launched and self.record.started_at is not None else "queued"
        self._hold, self._steps = "", 0

    def change(self, params: dict[str, Any]) -> None:
        """Ask for other parameters."""
        self.record.params = self.record.params | params
        if self.launched:
            self.changed = self.changed | params
            self.untold = self.untold | params

    def tell(self) -> dict[str, Any]:
        """Called when its control is told to a script: the changes that it was told the last time and has not
        confirmed. Who posts again has read the last answer, so they hold from now on."""
        silent, self.told, self.untold = self.told, self.untold, {}
        return silent

    def confirm(self, params: dict[str, Any]) -> None:
        """The run has said from which step on these hold."""
        for waiting in (self.told, self.untold):
            for name, value in params.items():
                if name in waiting and waiting[name] == value:
                    del waiting[name]
