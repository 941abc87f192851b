"""A script that logs to TensorBoard, and knows nothing of Lossboard. It is shown by either of these:

lossboard run -- python examples/summary_writer.py
python examples/summary_writer.py & lossboard watch runs
"""

from __future__ import annotations

import argparse

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter


def main() -> None:
    """Fit a sine with a network of one hidden layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--lr", type=float, default=0.1)
    args = parser.parse_args()

    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 100)[:, None]
    x_test = torch.linspace(-3, 3, 37)[:, None]
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)

    with SummaryWriter(f"runs/lr={args.lr}") as writer:
        for step in range(args.steps):
            loss = nn.functional.mse_loss(model(x), x.sin())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            writer.add_scalar("Loss/train", loss, step)
            writer.add_scalar("lr", schedule.get_last_lr()[0], step)
            if step % 10 == 0:
                with torch.no_grad():
                    writer.add_scalar("Loss/test", nn.functional.mse_loss(model(x_test), x_test.sin()), step)


if __name__ == "__main__":
    main()
