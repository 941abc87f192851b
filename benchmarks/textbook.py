"""The bare loops that runs and trainers are measured against. `python -m benchmarks.textbook gd 1000000` times one in a
process of its own, and prints its seconds and its processor's seconds.
"""

from __future__ import annotations

import sys
import time

XS, YS = (1.0, 2.0, 3.0), (2.0, 4.0, 6.0)
LR = 0.01


def gd(epochs: int) -> None:
    """Gradient descent as the textbook writes it: a function for the model, one for the cost, one for the gradient."""
    w = 1.0

    def forward(x: float) -> float:
        return x * w

    def cost(xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
        cost = 0.0
        for x, y in zip(xs, ys):  # noqa: B905  (a textbook has no strict)
            y_pred = forward(x)
            cost += (y_pred - y) ** 2
        return cost / len(xs)

    def gradient(xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
        grad = 0.0
        for x, y in zip(xs, ys):  # noqa: B905
            grad += 2 * x * (x * w - y)
        return grad / len(xs)

    for _ in range(epochs):
        cost(XS, YS)
        w -= LR * gradient(XS, YS)


def inline(epochs: int) -> None:
    """The same in one pass without a call, which is as fast as Python gets."""
    w = 1.0
    for _ in range(epochs):
        loss = gradient = 0.0
        for x, y in zip(XS, YS):  # noqa: B905
            residual = x * w - y
            loss += residual * residual
            gradient += 2 * x * residual
        loss /= 3
        w -= LR * gradient / 3


def torch(epochs: int, *, values: bool = True) -> None:
    """torch's own parts, as any torch script has them; ``values``: and w, loss and the gradients read at every step."""
    import torch  # noqa: PLC0415  (the other loops need none of it)

    torch.set_num_threads(1)  # as in a worker
    x, y = (torch.tensor(column).reshape(-1, 1) for column in (XS, YS))
    model = torch.nn.Linear(1, 1)
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    for _ in range(epochs):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if values:
            w, b = model.weight, model.bias
            assert w.grad is not None
            assert b.grad is not None
            w.item(), loss.item(), w.grad.item(), b.item(), b.grad.item()


LOOPS = {"gd": gd, "torch": torch}


def main(name: str, epochs: int) -> None:
    """Time one loop, once it is warm."""
    LOOPS[name](100)
    began, used = time.perf_counter(), time.process_time()
    LOOPS[name](epochs)
    print(time.perf_counter() - began, time.process_time() - used)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
