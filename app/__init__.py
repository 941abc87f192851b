"""Lossboard: watch gradient descent happen, live."""

__version__ = "0.1.0"
