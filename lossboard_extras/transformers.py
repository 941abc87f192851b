"""A callback for Hugging Face's Trainer: ``Trainer(..., callbacks=[LossboardCallback()])``."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

import lossboard
from lossboard_extras.writer import SummaryWriter


class LossboardCallback(TrainerCallback):
    """Reports what a Trainer logs, by its global step; its arguments and the model's settings are params.

    Pause holds the training, and Stop ends it, after a step.
    """

    def __init__(self, name: str | None = None, **about: Any) -> None:
        """``about`` may have group, params, tags, notes and url, as lossboard.run() takes them."""
        self._writer = SummaryWriter(**({"name": name} if name else {}), **about)

    @property
    def run(self) -> lossboard.Run:
        """The run."""
        return self._writer.run

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Describe the run."""
        self._writer.describe(args.to_sanitized_dict())
        if hasattr(model, "config"):
            self._writer.describe({"model": model.config.to_dict()})

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        """Log one point."""
        if state.is_world_process_zero:
            numbers = {name: value for name, value in (logs or {}).items() if isinstance(value, (int, float))}
            self.run.log(numbers, step=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Heed what the board asks for."""
        if self._writer.has_begun:
            self.run.wait_while_paused()
            control.should_training_stop |= self.run.should_stop

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Say that the run has ended."""
        self._writer.close()
