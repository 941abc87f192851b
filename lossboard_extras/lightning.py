"""A logger for Lightning: ``Trainer(logger=LossboardLogger("digits"))``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers.logger import Logger, rank_zero_experiment
from lightning.pytorch.utilities import rank_zero_only

import lossboard
from lossboard_extras.writer import SummaryWriter

STATUSES = {"success": "finished", "finished": "finished", "failed": "failed"}  # Lightning's words; others: stopped


class LossboardLogger(Logger):
    """Reports what a LightningModule logs. The run begins with the first metrics, and has the hyperparameters that were
    logged before as its params.

    Pause holds the training at its next metrics; Stop is a KeyboardInterrupt there, which Lightning takes as Ctrl-C.
    """

    def __init__(self, name: str | None = None, **about: Any) -> None:
        """``about`` may have group, params, tags, notes and url, as lossboard.run() takes them."""
        super().__init__()
        self._writer = SummaryWriter(**({"name": name} if name else {}), **about)

    @property
    def name(self) -> str:
        """The run's name."""
        return self._writer.name

    @property
    def version(self) -> str | None:
        """The run's id, once it has begun."""
        return self.run.id if self._writer.has_begun else None

    @property
    def run(self) -> lossboard.Run:
        """The run, begun now if it was not before."""
        return self._writer.run

    @property
    @rank_zero_experiment
    def experiment(self) -> SummaryWriter:
        """What a module may give more to, as to TensorBoardLogger's. Lightning asks for it before it logs
        hyperparameters, so the run does not begin by that."""
        return self._writer

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log one point."""
        self.run.log(metrics, step=step)
        self.run.wait_while_paused()
        if self.run.should_stop:
            raise KeyboardInterrupt("stopped on the board")

    @rank_zero_only
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Describe the run."""
        self._writer.describe(params if isinstance(params, Mapping) else vars(params))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Say how the run ended."""
        if self._writer.has_begun:
            self.run.finish(STATUSES.get(status, "stopped"))
