"""Hyperparameters as TensorBoard's plugin writes them: the metadata of a value with a tag of its own."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from typing import Any

from lossboard_extras.event_file import Other
from lossboard_extras.protobuf import MALFORMED, fields

START_TAG = "_hparams_/session_start_info"


def params_in(others: Mapping[str, Other]) -> dict[str, Any]:
    """The parameters among the values of an event file that are no scalars: numbers, texts and truth values."""
    params: dict[str, Any] = {}
    with contextlib.suppress(*MALFORMED):
        start = dict(fields(others.get(START_TAG, Other("")).content)).get(3, b"")  # session_start_info
        for entry in [content for number, content in fields(start) if number == 1]:  # a map
            parts = dict(fields(entry))  # a name, and a google.protobuf.Value
            params[parts.get(1, b"").decode(errors="replace")] = _value(parts.get(2, b""))
    return params


def _value(message: bytes) -> Any:
    for number, content in fields(message):
        if number == 2:
            return struct.unpack("<d", content)[0]
        if number == 3:
            return content.decode(errors="replace")
        if number == 4:
            return bool(content)
    return None
