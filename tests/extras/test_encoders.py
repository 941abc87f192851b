"""What scripts have as images, histograms and sounds, as it is stored; read again by other libraries."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from app.storage.media import why_refused
from lossboard_extras.encoders import histogram_of, histogram_of_buckets, png_of, png_of_figure, wav_of

COLOURS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3) * 2


def read(png: bytes) -> Any:
    assert why_refused("image", png) is None
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize(
    "image",
    [
        COLOURS,
        COLOURS.transpose(2, 0, 1),
        COLOURS / 255,
        torch.tensor(COLOURS).permute(2, 0, 1),
        torch.tensor(COLOURS / 255, requires_grad=True),
        torch.tensor(COLOURS, dtype=torch.int64),
        Image.fromarray(COLOURS),
        COLOURS.tolist(),
    ],
    ids=["uint8", "channels first", "floats", "tensor", "with gradient", "int64", "PIL", "lists"],
)
def test_an_image_keeps_its_pixels(image: Any) -> None:
    assert (read(png_of(image)) == COLOURS).all()


def test_grey_and_transparent_images() -> None:
    grey = COLOURS[:, :, 0]
    assert (read(png_of(grey)) == grey).all()
    assert (read(png_of(grey > 50)) == (grey > 50) * 255).all()
    assert (read(png_of(grey[None])) == grey).all()
    with_alpha = np.concatenate([COLOURS, COLOURS[:, :, :1]], axis=2)
    assert (read(png_of(with_alpha)) == with_alpha).all()


def test_values_beyond_the_scale_are_cut() -> None:
    assert read(png_of(np.array([[-1.0, 0.5], [np.nan, np.inf]]))).tolist() == [[0, 128], [0, 255]]
    assert read(png_of(np.array([[-5, 300]]))).tolist() == [[0, 255]]


def test_images_become_a_grid() -> None:
    images = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)])
    grid = read(png_of(images))
    assert grid.shape == (4, 4, 3)
    assert (grid[0, 0, 0], grid[0, 2, 0], grid[2, 0, 0], grid[2, 2, 0]) == (10, 20, 30, 0)
    assert (read(png_of(torch.tensor(images).permute(0, 3, 1, 2))) == grid).all()


def test_where_both_may_be_meant_tensors_have_the_channels_first() -> None:
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    assert (read(png_of(pixels)) == pixels).all()
    assert (read(png_of(torch.tensor(pixels).permute(2, 0, 1))) == pixels).all()


@pytest.mark.parametrize("axes", ["HWC", "CHW", "WCH", "chw"])
def test_the_axes_of_an_image_may_be_told(axes: str) -> None:
    pixels = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    assert (read(png_of(pixels.transpose(["HWC".index(axis) for axis in axes.upper()]), axes)) == pixels).all()
    assert (read(png_of(pixels[None].transpose(0, 3, 1, 2), "NCHW")) == pixels).all()
    assert (read(png_of(pixels[:, :, 0], "HW")) == pixels[:, :, 0]).all()


@pytest.mark.parametrize("axes", ["HW", "HHW", "HWX", "NCW", "CH"])
def test_axes_that_do_not_fit(axes: str) -> None:
    with pytest.raises(ValueError, match="do not fit an array of shape"):
        png_of(COLOURS, axes)


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    png = png_of(COLOURS)
    (tmp_path / "a.png").write_bytes(png)
    assert png_of(tmp_path / "a.png") == png_of(str(tmp_path / "a.png")) == png_of(png) == png


def test_other_formats_become_png(tmp_path: Path) -> None:
    for mode, suffix in [("RGB", "bmp"), ("RGB", "gif"), ("CMYK", "tiff")]:
        path = tmp_path / f"a.{suffix}"
        Image.new(mode, (3, 2)).save(path)
        assert read(png_of(path)).shape[:2] == (2, 3)


@pytest.mark.parametrize("image", [b"GIF89a", "text that is no path", np.zeros((2, 2, 7)), np.zeros(0), ["a"], None])
def test_what_is_no_image(image: Any) -> None:
    with pytest.raises((ValueError, TypeError, OSError)):
        png_of(image)


def test_what_is_no_figure() -> None:
    with pytest.raises(TypeError, match="one of matplotlib; this is a int"):
        png_of_figure(5)


def test_a_histogram_counts_what_is_finite() -> None:
    content = histogram_of(torch.tensor([[0.0, 1.0], [1.0, float("nan")]], requires_grad=True), bins=2)
    assert json.loads(content) == {"edges": [0.0, 0.5, 1.0], "counts": [1, 2]}
    assert why_refused("histogram", content) is None
    assert why_refused("histogram", histogram_of([5, 5, 5])) is None


def test_a_histogram_that_was_counted_before_is_taken_as_it_is() -> None:
    counts, edges = np.histogram([0.0, 1.0, 1.0], bins=2)
    assert json.loads(histogram_of((counts, edges))) == {"edges": [0.0, 0.5, 1.0], "counts": [1, 2]}
    assert sum(json.loads(histogram_of((1.0, 2.0)))["counts"]) == 2  # these are two values


@pytest.mark.parametrize("counted", [([1, -1], [0, 1, 2]), ([1, 1], [0, 2, 1]), ([1], [0, float("inf")]), ([], [0])])
def test_what_was_counted_wrongly_is_none(counted: Any) -> None:
    with pytest.raises(ValueError, match="a histogram"):
        histogram_of(counted)


@pytest.mark.parametrize(
    ("buckets", "edges", "counts"),
    [
        ([(0, 1, 2), (1, 2, 3)], [0, 1, 2], [2, 3]),
        ([(0, 1, 2), (1.5, 2, 3)], [0, 1, 1.5, 2], [2, 0, 3]),  # a gap
        ([(0, 1, 0), (1, 2, 3), (2, 3, 0)], [1, 2], [3]),  # empty ends
        ([(1, 1, 2), (1, 1, 3)], [0.5, 1.5], [5]),  # one value
        ([(0, 0, 1), (0, 1, 2), (1, 1, 3)], [0, 1], [6]),
        ([(0, 1, 0)], [0, 1], [0]),
    ],
)
def test_buckets_become_bins(buckets: Any, edges: list[float], counts: list[float]) -> None:
    content = histogram_of_buckets(buckets)
    assert json.loads(content) == {"edges": edges, "counts": counts}
    assert why_refused("histogram", content) is None


def test_too_many_buckets_are_put_together() -> None:
    content = histogram_of_buckets((place, place + 1, 1) for place in range(1001))
    found = json.loads(content)
    assert why_refused("histogram", content) is None
    assert (sum(found["counts"]), found["counts"][-1], found["edges"][-2:]) == (1001, 1, [1000, 1001])


@pytest.mark.parametrize("buckets", [[], [(0, float("inf"), 1)], [(0, 1, -1)], [(0, 1, float("nan"))]])
def test_what_are_no_buckets(buckets: Any) -> None:
    with pytest.raises(ValueError, match="bucket"):
        histogram_of_buckets(buckets)


def test_what_has_no_histogram() -> None:
    for values, bins in [([], 5), ([float("inf")], 5), ([1.0], 0), ([1.0], 1001)]:
        with pytest.raises(ValueError, match=r"finite|bins"):
            histogram_of(values, bins)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_sound_keeps_its_samples(channels: int, tmp_path: Path) -> None:
    samples = np.linspace(-1.5, 1.5, 8 * channels).reshape(8, channels)
    content = wav_of(samples, 8000)
    assert why_refused("audio", content) is None
    with wave.open(io.BytesIO(content)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (8000, channels, 8)
        kept = np.frombuffer(sound.readframes(8), "<i2").reshape(8, channels)
    assert kept.tolist() == (samples.clip(-1, 1) * 32767).astype(int).tolist()
    assert wav_of(samples.T, 8000) == content
    assert wav_of(content) == content
    (tmp_path / "a.wav").write_bytes(content)
    assert wav_of(tmp_path / "a.wav") == wav_of(str(tmp_path / "a.wav")) == content


@pytest.mark.parametrize("samples", [b"OggS", np.zeros((4, 4)), np.zeros((0,)), ["a"]])
def test_what_is_no_sound(samples: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        wav_of(samples)
