"""Texts, images, histograms and sounds in TensorBoard's event files, as a board takes them.

Old writers have fields of their own for them; newer ones write tensors, and name the plugin that shows them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from lossboard_extras import encoders
from lossboard_extras.protobuf import fields

DOUBLE, STRING = 2, 7  # DataTypes
TEXT_SUFFIX = "/text_summary"  # which torch's writer adds to the tags of texts


class Found(NamedTuple):
    """One that was logged: ``name`` is its tag, or begins with that where a value has several."""

    kind: str
    name: str
    content: bytes


def found_in(tag: str, plugin: str, parts: Mapping[int, Any]) -> list[Found] | None:
    """What a value has, by its fields; None if it is of another kind. One of ``protobuf.MALFORMED`` or OSError if it
    cannot be shown."""
    if 4 in parts:
        return [Found("image", tag, encoders.png_of(dict(fields(parts[4])).get(4, b"")))]
    if 5 in parts:
        return [Found("histogram", tag, _old_histogram(parts[5]))]
    if 6 in parts:
        return [Found("audio", tag, encoders.wav_of(dict(fields(parts[6])).get(4, b"")))]
    if 8 in parts and plugin in _OF_TENSORS:
        return _OF_TENSORS[plugin](tag, _Tensor(parts[8]))
    return None


class _Tensor:
    """A tensor of texts or of float64."""

    def __init__(self, message: bytes) -> None:
        self.kind = 0
        self.sizes: list[int] = []
        self.texts: list[bytes] = []
        self._numbers = b""
        for number, content in fields(message):
            if number == 1:
                self.kind = content
            elif number == 2:
                self.sizes = [dict(fields(dim)).get(1, 0) for field, dim in fields(content) if field == 2]
            elif number == 8:
                self.texts.append(content)
            elif number in (4, 6):  # tensor_content, or double_val, packed or one by one
                self._numbers += content

    def buckets(self) -> Iterator[tuple[float, float, float]]:
        """Its rows, of three numbers each. ValueError, struct.error."""
        if self.kind != DOUBLE or self.sizes[-1:] != [3]:
            raise ValueError("a histogram is a tensor of float64, three in a row")
        yield from struct.iter_unpack("<3d", self._numbers)


def _texts(tag: str, tensor: _Tensor) -> list[Found]:
    name = tag[: -len(TEXT_SUFFIX)] if tag.endswith(TEXT_SUFFIX) else tag
    if tensor.kind != STRING or not tensor.texts:
        raise ValueError("a text is a tensor of texts")
    text = b"\n".join(tensor.texts).decode(errors="replace")
    return [Found("text", name, encoders.text_of(text))]


def _images(tag: str, tensor: _Tensor) -> list[Found]:
    """Width and height come first."""
    return _named("image", tag, [encoders.png_of(content) for content in tensor.texts[2:]])


def _sounds(tag: str, tensor: _Tensor) -> list[Found]:
    """Each sound has a label."""
    with_labels = tensor.sizes[-1:] == [2]
    return _named("audio", tag, [encoders.wav_of(content) for content in tensor.texts[:: 2 if with_labels else 1]])


def _histograms(tag: str, tensor: _Tensor) -> list[Found]:
    return [Found("histogram", tag, encoders.histogram_of_buckets(tensor.buckets()))]


def _named(kind: str, tag: str, contents: list[bytes]) -> list[Found]:
    if len(contents) == 1:
        return [Found(kind, tag, contents[0])]
    return [Found(kind, f"{tag}/{number}", content) for number, content in enumerate(contents)]


def _old_histogram(message: bytes) -> bytes:
    """Of a HistogramProto: least and greatest value, the right edges of its buckets, and their counts."""
    parts: dict[int, bytes] = {}
    for number, content in fields(message):
        parts[number] = parts.get(number, b"") + content  # double values, packed or one by one
    least, most = [struct.unpack("<d", parts.get(number, bytes(8)))[0] for number in (1, 2)]
    limits, counts = [[one for (one,) in struct.iter_unpack("<d", parts.get(number, b""))] for number in (6, 7)]
    return encoders.histogram_of_buckets(encoders.buckets_up_to(least, most, limits, counts))


_OF_TENSORS: dict[str, Callable[[str, _Tensor], list[Found]]] = {
    "text": _texts,
    "images": _images,
    "histograms": _histograms,
    "audio": _sounds,
}
