"""A callback for scikit-learn 1.9 and newer: ``LogisticRegression().set_callbacks(LossboardCallback("digits"))``."""

from __future__ import annotations

from typing import Any

import lossboard
from lossboard_extras.writer import SummaryWriter


class LossboardCallback:
    """Reports the score on the training data after each part of a fit that has a model by then, as an iteration of a
    solver; the estimator's parameters are the run's. Each fit is a run of its own.

    Pause holds the fit, and Stop ends it where the estimator heeds that, after a part.
    """

    def __init__(self, name: str | None = None, **about: Any) -> None:
        """``about`` may have group, params, tags, notes and url, as lossboard.run() takes them."""
        self._given: dict[str, Any] = {**({"name": name} if name else {}), **about}
        self._writer = SummaryWriter(**self._given)

    @property
    def run(self) -> lossboard.Run:
        """The run of the present fit."""
        return self._writer.run

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002 - what scikit-learn calls
        """Describe the run."""
        self._writer = SummaryWriter(**{"name": type(estimator).__name__, **self._given})
        self._writer.describe(estimator.get_params(deep=False))

    def on_fit_task_begin(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,  # noqa: N803 - as scikit-learn names it
        y: Any = None,
        metadata: Any = None,
        fitted_estimator: Any = None,
    ) -> None:
        """Does nothing."""

    def on_fit_task_end(
        self,
        estimator: Any,  # noqa: ARG002
        context: Any,
        *,
        X: Any = None,  # noqa: N803
        y: Any = None,
        metadata: Any = None,  # noqa: ARG002
        fitted_estimator: Any = None,
    ) -> bool:
        """Log one point; whether the fit is to stop."""
        if fitted_estimator is None or X is None or context.parent is None:  # that is the fit as a whole
            return False
        self.run.log({"train_score": fitted_estimator.score(X, y)}, step=context.task_id)
        self.run.wait_while_paused()
        return self.run.should_stop

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        """Say that the run has ended."""
        self._writer.close()
