"""A linear classifier of scikit-learn learns to read digits, part by part: `python examples/digits_sklearn.py`.

Whatever has partial_fit() can be watched like this; an estimator that has not takes LossboardCallback instead.
"""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches

import lossboard


def main() -> None:
    """Fit a batch at a time, and report loss and accuracy on both halves of the data after each epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--alpha", type=float, default=1e-4, help="how strongly large weights are punished")
    args = parser.parse_args()

    x, y = load_digits(return_X_y=True)
    x_train, x_val, y_train, y_val = train_test_split(x / 16, y, random_state=0)
    model = SGDClassifier(loss="log_loss", alpha=args.alpha, random_state=0)

    with lossboard.run("digits", params=model.get_params(), live=(), group="digits", tags=["scikit-learn"]) as run:
        for epoch in range(args.epochs):
            for batch in gen_batches(len(x_train), 64):
                model.partial_fit(x_train[batch], y_train[batch], classes=range(10))
            halves = {"train": (x_train, y_train), "val": (x_val, y_val)}
            losses = {half: log_loss(labels, model.predict_proba(x)) for half, (x, labels) in halves.items()}
            scores = {half: model.score(x, labels) for half, (x, labels) in halves.items()}
            run.log({"loss": losses, "accuracy": scores}, step=epoch)
            if run.should_stop:
                break


if __name__ == "__main__":
    main()
