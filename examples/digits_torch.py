"""A network in PyTorch learns to read digits: `python examples/digits_torch.py --lr 0.1`.

Its losses of training and validation share one window of the board, its accuracies another. The learning rate can be
set on the board while it trains; Pause, Step and Stop work, and a bar says how far it is.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import lossboard


def main() -> None:
    """Train, and report the loss of each step and what validation finds after each epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()

    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)  # 1,797 pictures of 8 x 8 pixels from 0 to 16
    data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    train, val = random_split(data, [0.8, 0.2])
    loader = DataLoader(train, batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)

    with lossboard.run("digits", params=args, live=(), group="digits", tags=["torch"]) as run:
        run.steer(optimizer)  # its lr is set on the board, whatever schedules it
        for step, (x, y) in enumerate(run.steps(loader, epochs=args.epochs), 1):
            loss, accuracy = evaluate(model, x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss, "train/accuracy": accuracy, "epoch": step / len(loader)})
            if step % len(loader) == 0:
                with torch.no_grad():
                    loss, accuracy = evaluate(model, *val[:])
                run.log({"val/loss": loss, "val/accuracy": accuracy, "epoch": step / len(loader)})
                run.summary["accuracy"] = accuracy.item()


def evaluate(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The mean loss of a batch, pixels (B, 64) and labels (B), and the share of it that the model reads right."""
    logits = model(x)
    return nn.functional.cross_entropy(logits, y), (logits.argmax(1) == y).float().mean()


if __name__ == "__main__":
    main()
