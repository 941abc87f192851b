"""Media in event files, in their older and newer forms, as a board takes them."""

from __future__ import annotations

import importlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.storage.media import why_refused
from lossboard_extras.encoders import png_of, wav_of
from lossboard_extras.event_file import EventFile
from lossboard_extras.event_media import Found
from tests.harness.event_files import event, field, plugin, tensor, text, write

PNG, OTHER_PNG = png_of([[0, 255]]), png_of([[255, 0]])
WAV = wav_of([0.5, 0.25], 8000)


def doubles(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def value(tag: str, *parts: bytes) -> bytes:
    return field(1, tag.encode()) + b"".join(parts)


def images(*contents: bytes) -> bytes:
    return tensor(7, *(field(8, one) for one in (b"2", b"1", *contents)), shape=(2 + len(contents),))


def sounds(*contents: bytes) -> bytes:
    return tensor(7, *(field(8, one) for one in contents), shape=(len(contents) // 2, 2))


def rows(*numbers: float) -> list[bytes]:
    """A tensor of buckets in each of its forms."""
    shape = (len(numbers) // 3, 3)
    one_by_one = b"".join(b"\x31" + doubles(number) for number in numbers)
    forms = [field(4, doubles(*numbers)), field(6, doubles(*numbers)), one_by_one]
    return [tensor(2, form, shape=shape) for form in forms]


def read(path: Path, *values: bytes) -> list[Found]:
    file = EventFile(write(path / "events.out.tfevents.1", event(1, *values)))
    assert file.read() == []
    assert file.others == {}
    for medium in file.media:
        assert why_refused(medium.found.kind, medium.found.content) is None  # type: ignore[arg-type]
    return [medium.found for medium in file.media]


@pytest.mark.parametrize(
    ("logged", "found"),
    [
        (value("a", field(4, field(1, 1) + field(2, 2) + field(4, PNG))), [("image", "a", PNG)]),
        (value("a", images(PNG), plugin("images")), [("image", "a", PNG)]),
        (value("a", images(PNG, OTHER_PNG), plugin("images")), [("image", "a/0", PNG), ("image", "a/1", OTHER_PNG)]),
        (value("a", field(6, b"\x0d" + struct.pack("<f", 8000) + field(4, WAV))), [("audio", "a", WAV)]),
        (value("a", sounds(WAV, b"label"), plugin("audio")), [("audio", "a", WAV)]),
        (value("a", sounds(WAV, b"", WAV, b""), plugin("audio")), [("audio", "a/0", WAV), ("audio", "a/1", WAV)]),
        (text("a", b"once"), [("text", "a", b"once")]),
        (text("a/text_summary", b"once", b"upon"), [("text", "a", b"once\nupon")]),
        (text("a", b"\xff"), [("text", "a", "\ufffd".encode())]),
    ],
)
def test_what_is_shown_as_it_is(tmp_path: Path, logged: bytes, found: list[Any]) -> None:
    assert read(tmp_path, logged) == found


@pytest.mark.parametrize("buckets", rows(0, 1, 2, 1, 3, 4))
def test_a_histogram_in_its_newer_form(tmp_path: Path, buckets: bytes) -> None:
    [(kind, name, content)] = read(tmp_path, value("a", buckets, plugin("histograms")))
    assert (kind, name, json.loads(content)) == ("histogram", "a", {"edges": [0, 1, 3], "counts": [2, 4]})


def test_a_histogram_in_its_older_form(tmp_path: Path) -> None:
    ends = b"\x09" + doubles(0.5) + b"\x11" + doubles(2.5)
    buckets = field(6, doubles(0.4, 1.0, 2.0, 1.7e308)) + field(7, doubles(0, 1, 0, 2))
    [(kind, name, content)] = read(tmp_path, value("a", field(5, ends + buckets)))
    assert (kind, name) == ("histogram", "a")
    assert json.loads(content) == {"edges": [0.5, 1, 2, 2.5], "counts": [1, 0, 2]}


def test_an_image_in_another_format_becomes_png(tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (3, 2)).save(jpeg, "JPEG")
    [(_, _, content)] = read(tmp_path, value("a", field(4, field(4, jpeg.getvalue()))))
    assert Image.open(io.BytesIO(content)).size == (3, 2)


@pytest.mark.parametrize("module", ["torch.utils.tensorboard", "tensorboardX"])
def test_what_real_writers_write(tmp_path: Path, module: str) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("tensorboardX")
    pixels = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)
    with importlib.import_module(module).SummaryWriter(str(tmp_path)) as writer:
        writer.add_image("image", pixels, 1, dataformats="HWC")
        writer.add_text("text", "once", 2)
        writer.add_histogram("histogram", np.array([0.0, 1.0, 1.0, 5.0]), 3)
        writer.add_histogram("constant", np.zeros(3), 4)
    [path] = tmp_path.glob("*tfevents*")
    file = EventFile(path)
    file.read()
    assert (file.others, file.damage) == ({}, "")
    kinds = [(one.step, one.found.kind, one.found.name) for one in file.media]
    assert kinds == [
        (1, "image", "image"),
        (2, "text", "text"),
        (3, "histogram", "histogram"),
        (4, "histogram", "constant"),
    ]
    image, note, histogram, constant = (one.found.content for one in file.media)
    assert (np.asarray(Image.open(io.BytesIO(image))) == pixels).all()
    assert note == b"once"
    for content, values in [(histogram, 4), (constant, 3)]:
        assert why_refused("histogram", content) is None
        assert sum(json.loads(content)["counts"]) == values


def test_the_newer_histograms_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    summary = importlib.import_module("tensorboard.plugins.histogram.summary_v2")
    for values in ([0.0, 1.0, 1.0, 5.0], [0.0, 0.0, 0.0]):
        message = summary.histogram_pb("a", np.array(values)).value[0].SerializeToString()
        [(_, _, content)] = read(tmp_path / f"of {len(values)}", message)
        assert sum(json.loads(content)["counts"]) == len(values)
