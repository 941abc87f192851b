"""A callback for Keras 3: ``model.fit(..., callbacks=[LossboardCallback("digits")])``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras.callbacks import Callback

import lossboard
from lossboard_extras.writer import SummaryWriter


class LossboardCallback(Callback):
    """Reports the losses and metrics of each batch as batch_NAME, and of each epoch, with those of validation; all by
    the number of batches trained on.

    Pause holds the training, and Stop ends it, after a batch.
    """

    def __init__(self, name: str | None = None, **about: Any) -> None:
        """``about`` may have group, params, tags, notes and url, as lossboard.run() takes them."""
        super().__init__()
        self._writer = SummaryWriter(**({"name": name} if name else {}), **about)
        self._batches = 0

    @property
    def run(self) -> lossboard.Run:
        """The run."""
        return self._writer.run

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Describe the run."""
        if not self._writer.has_begun:
            self._writer.describe(self.params)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Log one point, and heed what the board asks for."""
        self.run.log({f"batch_{name}": value for name, value in (logs or {}).items()}, step=self._batches)
        self._batches += 1
        self.run.wait_while_paused()
        if self.run.should_stop:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Log one point."""
        self.run.log({**(logs or {}), "epoch": epoch}, step=max(0, self._batches - 1))

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Say that the run has ended."""
        self._writer.close()
