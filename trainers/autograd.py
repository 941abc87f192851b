"""Stochastic gradient descent on one weight, a torch tensor: torch calculates the gradient."""
# ruff: noqa: PLC0415 - torch is imported when a run starts, so that the app stays small

from collections.abc import Iterator
from typing import Any

import numpy as np

from trainers import formulas
from trainers.method import Method
from trainers.params import OneWeightParams
from trainers.problem import Data, cost, updates_per_mse
from trainers.theory.stability import cyclic_stability, sample_curvatures


def autograd(data: Data, p: OneWeightParams) -> Iterator[tuple[float, float, float, float | None]]:
    """Stochastic gradient descent, sample after sample, with the gradient from torch's autograd."""
    import torch

    w: Any = torch.tensor([p.w0], requires_grad=True)
    samples = data.pairs()
    mse_every = updates_per_mse(len(data), per_epoch=len(data))
    for _ in range(p.epochs):
        for i, (x, y) in enumerate(samples, start=1):
            loss = (x * w - y) ** 2
            loss.backward()  # adds to w.grad, and frees the graph
            grad = w.grad.item()
            w.data -= p.lr * w.grad.data  # .data: the update itself must not be recorded
            w.grad.zero_()  # or the next gradient would be added to this one
            mse = cost(data, w.item()) if i % mse_every == 0 else None
            yield w.item(), loss.item(), grad, mse


def _initial(p: OneWeightParams) -> dict[str, float]:
    with np.errstate(over="ignore"):
        return {"w": float(np.float32(p.w0))}  # torch's tensors are float32


AUTOGRAD = Method(
    name="autograd",
    title="Autograd",
    kind="descent",
    description=(
        "The same model, but torch records the computation and works out the gradient on .backward(). "
        "Gradients add up until they are set to zero, and the update itself must not be recorded."
    ),
    formula=formulas.AUTOGRAD,
    params=OneWeightParams,
    train=autograd,
    metrics=lambda _p: ("w", "loss", "grad", "mse"),
    initial=_initial,
    updates_per_epoch=lambda _p, n: n,
    samples_per_update=lambda _p, _n: 1,
    samples_used=lambda _p, n, step: np.array([step % n]),
    update_line="w.data -= p.lr * w.grad.data",
    listing=(cost,),
    needs_torch=True,
    one_parameter=True,
    stability=lambda _p, data: cyclic_stability(sample_curvatures(data)),
)
