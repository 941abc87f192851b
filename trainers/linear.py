"""A line with a bias, trained with torch's nn.Linear, MSELoss and optimizers."""
# ruff: noqa: PLC0415 - torch is imported when a run starts, so that the app stays small

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from trainers import formulas
from trainers.method import Method
from trainers.numbers import short
from trainers.params import LearningParams, ParameterError, WholeNumber, seed_field
from trainers.problem import Data
from trainers.theory.stability import Stability, batch_stability, largest_curvature, lr_limit, smallest_curvature

if TYPE_CHECKING:
    import torch

OPTIMIZERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adagrad": "Adagrad",
    "rmsprop": "RMSprop",
    "adamax": "Adamax",
    "asgd": "ASGD",
    "rprop": "Rprop",
}


class TorchParams(LearningParams):
    """The parameters of gradient descent, and those of torch's optimizer and loss."""

    optimizer: Literal["sgd", "adam", "adagrad", "rmsprop", "adamax", "asgd", "rprop"] = Field(
        default="sgd",
        title="Optimizer",
        description="How torch.optim turns a gradient into an update. rprop takes lr for its first step only.",
    )
    reduction: Literal["sum", "mean"] = Field(
        default="sum",
        title="Reduction",
        description=(
            "How the samples' losses become one (older texts: size_average). A sum's gradient is N times "
            "the mean's, so its largest stable learning rate is N times smaller."
        ),
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", title="Device", description="Where to compute. auto: on a CUDA GPU if there is one."
    )
    seed: WholeNumber = seed_field("Where the random initial weight and bias come from.")


def train_linear(data: Data, p: TorchParams) -> Iterator[tuple[float, ...]]:
    """Full-batch training of torch.nn.Linear(1, 1), the way a torch script does it."""
    import torch

    device = choose_device(p.device)
    x = torch.tensor(data.x, dtype=torch.float32, device=device).reshape(-1, 1)
    y = torch.tensor(data.y, dtype=torch.float32, device=device).reshape(-1, 1)
    model: Any = linear_model(p.seed).to(device)
    criterion = torch.nn.MSELoss(reduction=p.reduction)
    optimizer = getattr(torch.optim, OPTIMIZERS[p.optimizer])(model.parameters(), lr=p.lr)
    for _ in range(p.epochs):
        optimizer.param_groups[0]["lr"] = p.lr  # may be changed while the run goes on
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        w, b = model.weight, model.bias
        yield w.item(), loss.item(), w.grad.item(), b.item(), b.grad.item()


def linear_model(seed: int) -> "torch.nn.Linear":
    """y_hat = w x + b, with a random w and b."""
    import torch

    torch.manual_seed(seed)
    return torch.nn.Linear(1, 1)


def choose_device(wanted: str) -> str:
    """The device to compute on. Raises ParameterError if it is not there."""
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ParameterError("device", "device cuda was asked for, but torch finds no CUDA GPU here: send auto or cpu")
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def _initial(p: TorchParams) -> dict[str, float]:
    """The w and b of `linear_model(p.seed)`, to the last bit.

    torch and numpy seed the same generator (MT19937) in the same way; of each 32 bits torch takes the lower 24 as a
    part of 1, and nn.Linear(1, 1) draws its weight, then its bias, evenly from -1 to 1 (torch's nn/modules/linear.py
    and ATen/core/DistributionsHelper.h).
    """
    bits = np.frombuffer(np.random.RandomState(p.seed).bytes(8), "<u4")
    parts = (bits % 2**24).astype(np.float32) / np.float32(2**24)
    w, b = (2 * parts - 1).tolist()
    return {"w": w, "b": b}


def _stability(p: TorchParams, data: Data) -> Stability:
    if p.optimizer != "sgd":
        return Stability(
            f"{OPTIMIZERS[p.optimizer]} chooses the size of its steps as it goes: theory has no limit for its "
            "learning rate, and none is invented."
        )
    steepest = largest_curvature(data, bias=True, reduction=p.reduction)
    limit = lr_limit(steepest)
    if limit is None:
        return batch_stability(steepest)
    note = (
        f"The cost bends most with λ = {short(steepest, 3)}, along w and b together: below 2/λ = {short(limit, 3)} it "
        "converges. "
    )
    x, _ = data.arrays()
    if np.all(x == x[0]):
        note += "Across that direction it is flat, as all x are the same: a whole line of w and b fits equally well."
        return batch_stability(steepest, note)
    shallowest = smallest_curvature(data, reduction=p.reduction)
    note += (
        f"Across that direction it bends with {short(shallowest, 3)} only, so that even at 1/λ = {short(limit / 2, 3)} "
        f"a step takes away {short(100 * shallowest / steepest, 2)} % of the distance there."
    )
    return batch_stability(steepest, note, shallowest)


TORCH = Method(
    name="torch",
    title="Linear model in torch",
    kind="descent",
    description=(
        "A line with a bias from torch's own parts: nn.Linear, MSELoss and an optimizer. "
        "Each epoch is zero_grad, backward, step."
    ),
    formula=formulas.TORCH,
    params=TorchParams,
    train=train_linear,
    metrics=lambda _p: ("w", "loss", "grad", "b", "grad_b"),
    initial=_initial,
    updates_per_epoch=lambda _p, _n: 1,
    update_line="optimizer.step()",
    listing=(linear_model, choose_device),
    loss_scale=lambda p, n: float(n) if p.reduction == "sum" else 1.0,
    needs_torch=True,
    stability=_stability,
)
