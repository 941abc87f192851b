"""Lightning learns to read digits: `python examples/digits_lightning.py`.

LossboardLogger takes the place of TensorBoardLogger; what the module logs, and how, stays as it is.
"""

from __future__ import annotations

import argparse

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from lossboard_extras.lightning import LossboardLogger


class Digits(lightning.LightningModule):
    """A network of two layers."""

    def __init__(self, lr: float, width: int = 32) -> None:
        super().__init__()
        self.save_hyperparameters()  # which are the run's params
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        """Log the loss of one batch."""
        x, y = batch
        loss = nn.functional.cross_entropy(self.layers(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Lightning logs the mean of each over all batches."""
        x, y = batch
        logits = self.layers(x)
        self.log("val_loss", nn.functional.cross_entropy(logits, y))
        self.log("val_acc", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.01)
    args = parser.parse_args()

    lightning.seed_everything(0)
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    train, val = random_split(data, [0.8, 0.2])
    trainer = lightning.Trainer(
        logger=LossboardLogger("digits", group="digits", tags=["lightning"]),
        max_epochs=args.epochs,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_checkpointing=False,
    )
    trainer.fit(Digits(args.lr), DataLoader(train, batch_size=64, shuffle=True), DataLoader(val, batch_size=360))


if __name__ == "__main__":
    main()
