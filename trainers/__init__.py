"""Methods that fit a line, each a pure generator of one point per step.

A method added to METHODS appears in the API, on the page and in the terminal without a change elsewhere.
torch is imported only when a run of a method that needs it starts.
"""

from typing import Any

from trainers.autograd import AUTOGRAD
from trainers.backprop import BACKPROP
from trainers.descent import GD, MINIBATCH, SGD
from trainers.linear import TORCH
from trainers.method import Method
from trainers.params import ParameterError, Params
from trainers.sweep import SWEEP

__all__ = ["METHODS", "Method", "ParameterError", "Params", "is_search"]

METHODS: dict[str, Method[Any]] = {
    method.name: method for method in (SWEEP, GD, SGD, MINIBATCH, AUTOGRAD, TORCH, BACKPROP)
}


def is_search(method: str) -> bool:
    """Whether this is the name of a search; False for a descent and for a name that METHODS does not have."""
    return method in METHODS and METHODS[method].kind == "search"
