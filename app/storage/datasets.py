"""The x and y of runs, as they are stored: once, whoever else runs on the same."""

from __future__ import annotations

import hashlib

import numpy as np

from app.storage.batch import Floats
from app.storage.faults import CorruptError


def encode_data(data: tuple[Floats, Floats]) -> bytes:
    """The x and y as they are stored: all x, then all y, float64."""
    return np.concatenate(data).astype("<f8").tobytes()


def hash_of(blob: bytes) -> str:
    """What data is found by."""
    return hashlib.sha256(blob).hexdigest()


def decode_data(data_hash: str | None, blob: bytes) -> tuple[Floats, Floats]:
    """The x and y in a row of datasets. CorruptError if they are not those that were stored under this hash."""
    if hash_of(blob) != data_hash:
        raise CorruptError("it is not what was stored" if blob else "it is not there")
    x, y = np.frombuffer(blob, "<f8").reshape(2, -1)
    return x, y
