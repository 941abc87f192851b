"""Lossboard: watch gradient descent happen, live."""
