"""A small transformer learns to write Python, a character at a time: `python examples/characters.py`.

The text is the source of a module of Python's own. Losses, the norm of the gradients and the scheduled learning rate
have a window each; among those of the selected run is what the model writes by then.
"""

from __future__ import annotations

import argparse
import inspect
import math

import torch
from torch import Tensor, nn

import lossboard

BLOCK = 32  # characters that the model sees at once
BATCH = 32
WIDTH = 64
WARMUP = 20  # steps until the learning rate is full


class Transformer(nn.Module):
    """Says after each of (B, T) characters how likely each of the vocabulary comes next: logits (B, T, V)."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.characters = nn.Embedding(vocabulary, WIDTH)
        self.places = nn.Embedding(BLOCK, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, vocabulary)

    def forward(self, x: Tensor) -> Tensor:
        """No character sees those after it."""
        length = x.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.head(self.layers(self.characters(x) + self.places.weight[:length], mask, is_causal=True))


def main() -> None:
    """Train, and report the losses on both parts of the text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--lr", type=float, default=3e-3)
    args = parser.parse_args()

    torch.manual_seed(0)
    text = inspect.getsource(argparse)  # 100,000 characters
    vocabulary = sorted(set(text))
    tokens = torch.tensor([vocabulary.index(character) for character in text])
    train, val = tokens[: int(0.9 * len(tokens))], tokens[int(0.9 * len(tokens)) :]
    model = Transformer(len(vocabulary))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, args.steps))

    with lossboard.run("characters", params=args, live=(), tags=["torch"]) as run:
        for step in range(args.steps):
            loss = loss_of(model, train)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            run.log({"train/loss": loss, "grad_norm": norm, "lr": schedule.get_last_lr()[0]}, step=step)
            with torch.no_grad():
                if step % 25 == 0:
                    run.log({"val/loss": loss_of(model, val)}, step=step)
                if step % 100 == 0:
                    run.text("sample", sample(model, vocabulary), step=step)


def loss_of(model: nn.Module, tokens: Tensor) -> Tensor:
    """The mean loss over BATCH places of the text, drawn at random."""
    starts = torch.randint(len(tokens) - BLOCK, (BATCH, 1))
    drawn = tokens[starts + torch.arange(BLOCK + 1)]  # (BATCH, BLOCK + 1)
    return nn.functional.cross_entropy(model(drawn[:, :-1]).flatten(0, 1), drawn[:, 1:].flatten())


def sample(model: nn.Module, vocabulary: list[str], length: int = 100) -> str:
    """What the model writes, one character after the other."""
    tokens = torch.zeros(1, 1, dtype=torch.long)
    for _ in range(length):
        likely = model(tokens[:, -BLOCK:])[0, -1].softmax(0)
        tokens = torch.cat([tokens, likely.multinomial(1)[None]], 1)
    return "".join(vocabulary[token] for token in tokens[0])


def factor(step: int, steps: int) -> float:
    """What the learning rate is multiplied with: it rises, then falls along a cosine."""
    return min(1.0, (step + 1) / WARMUP) * (1 + math.cos(math.pi * step / steps)) / 2


if __name__ == "__main__":
    main()
