"""What a script has as an image, a histogram or a sound, in the form in which it is stored: PNG, JSON, WAV."""

from __future__ import annotations

import importlib
import io
import json
import math
import os
import struct
import wave
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 10_000_000  # of an image or a sound, as a board takes it
MAX_TEXT_BYTES = 100_000
MAX_BINS = 1000

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by the number of channels: grey, RGB, RGBA


def within_bounds(content: bytes) -> bytes:
    """A content that a board takes. ValueError if it is too long."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content):,} bytes; send one of at most {MAX_BYTES:,}")
    return content


def text_of(text: Any) -> bytes:
    """A text in UTF-8, cut where it is longer than a board takes. TypeError if it is none."""
    if not isinstance(text, str):
        raise TypeError(f"a text is a str, not a {type(text).__name__}")
    content = text.encode(errors="replace")
    if len(content) <= MAX_TEXT_BYTES:
        return content
    return content[: MAX_TEXT_BYTES - 100].decode(errors="ignore").encode() + b"\n... (the rest is left out)"


def png_of(image: Any, axes: str = "") -> bytes:
    """An image as PNG. ValueError, TypeError or OSError says what is wrong with it.

    image: a path or the bytes of a PNG, or of another format if PIL is there; an image of PIL; a figure of matplotlib;
        or an array or tensor of shape (height, width), (height, width, channels) or (channels, height, width) with 1,
        3 or 4 channels, of uint8, of truth values, or of floats from 0 to 1. Where both may be meant, torch's tensors
        have the channels first, and others last. Several of them, (images, ...), become one image, in a grid.
    axes: what the dimensions of an array are: letters of NHWC in their order, as HWC or NCHW
    """
    if isinstance(image, (str, os.PathLike)):
        image = _read(Path(image))
    if isinstance(image, (bytes, bytearray)):
        return bytes(image) if image.startswith(PNG) else _by_pil(bytes(image))
    if hasattr(image, "save") and hasattr(image, "getbands"):  # PIL's
        return _saved(image)
    if hasattr(image, "savefig"):
        return png_of_figure(image)
    array = array_of(image)
    if axes:
        array = _in_order(array, axes.upper())
    elif array.ndim == 2:
        array = array[:, :, None]
    elif array.ndim == 4:
        array = _grid(_channels_last(array, is_tensor=hasattr(image, "detach")))
    elif array.ndim == 3:
        array = _channels_last(array[None], is_tensor=hasattr(image, "detach"))[0]
    return _png_of_pixels(array)


def png_of_figure(figure: Any) -> bytes:
    """A figure of matplotlib as PNG. TypeError if it is none."""
    figure = getattr(figure, "figure", None) or figure  # of axes
    if not hasattr(figure, "savefig"):
        raise TypeError(f"a figure is to be one of matplotlib; this is a {type(figure).__name__}")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def histogram_of(values: Any, bins: int = 64) -> bytes:
    """How often values lie in each of ``bins`` bins of equal width from the smallest to the largest, as JSON. What is
    not finite is left out. ValueError if nothing is left.

    values: an array, a tensor or a list; or a tuple of counts and edges, as numpy.histogram() gives it
    """
    if not 1 <= bins <= MAX_BINS:
        raise ValueError(f"bins are 1 to {MAX_BINS}, not {bins}")
    if isinstance(values, tuple) and len(values) == 2:
        counts, edges = [array_of(one) for one in values]
        if counts.ndim == edges.ndim == 1 and len(edges) == len(counts) + 1:
            return _counted_before(counts, edges)
    numpy = importlib.import_module("numpy")
    finite = array_of(values).astype("float64").ravel()
    finite = finite[numpy.isfinite(finite)]
    if not len(finite):
        raise ValueError("there is no finite value in it")
    counts, edges = numpy.histogram(finite, bins)
    return histogram_json(edges.tolist(), counts.tolist())


def histogram_of_buckets(buckets: Iterable[tuple[float, float, float]]) -> bytes:
    """Buckets that were counted elsewhere, as JSON: left edge, right edge and count of each, ascending. Empty ones at
    the ends are left out, and neighbours put together where there are too many. ValueError if there is none."""
    edges: list[float] = []
    counts: list[float] = []
    narrow = 0.0  # of the buckets without a width before the first other one
    for left, right, count in buckets:
        if not (math.isfinite(left) and math.isfinite(right) and 0 <= count < math.inf):
            raise ValueError("a bucket of a histogram has two finite edges and a count")
        if not edges:
            edges = [left]
        elif left > edges[-1]:
            edges.append(left)
            counts.append(0.0)
        if right > edges[-1]:
            edges.append(right)
            counts.append(count)
        elif counts:
            counts[-1] += count
        else:
            narrow += count
    if not edges:
        raise ValueError("there is no bucket in it")
    if not counts:
        half = max(0.5, abs(edges[0]) * 1e-9)
        edges, counts = [edges[0] - half, edges[0] + half], [0.0]
    counts[0] += narrow
    used = [place for place, count in enumerate(counts) if count] or [0]
    edges, counts = edges[used[0] : used[-1] + 2], counts[used[0] : used[-1] + 1]
    while len(counts) > MAX_BINS:
        edges = [*edges[:-1:2], edges[-1]]
        counts = [sum(counts[place : place + 2]) for place in range(0, len(counts), 2)]
    return histogram_json(edges, counts)


def buckets_up_to(
    least: float, most: float, limits: Sequence[float], counts: Sequence[float]
) -> Iterator[tuple[float, float, float]]:
    """Buckets that are told by their right edges, of values from ``least`` to ``most``: as TensorBoard's older
    histograms are."""
    left = float(least)
    for limit, count in zip(limits, counts):  # noqa: B905  (Python 3.9 knows no strict)
        right = max(left, min(float(limit), float(most)))
        yield left, right, float(count)
        left = right


def histogram_json(edges: list[float], counts: list[float]) -> bytes:
    """Bins that were counted elsewhere, as JSON; ``edges`` ascend, and are one more than ``counts``."""
    return json.dumps({"edges": edges, "counts": counts}).encode()


def wav_of(samples: Any, rate: int = 44_100) -> bytes:
    """A sound as WAV, 16 bits. ValueError if it has no such shape; OSError if a file cannot be read.

    samples: a path or the bytes of a WAV; or an array or tensor of shape (samples,) or (samples, channels) with 1 or 2
        channels, of floats from -1 to 1 or of int16
    rate: samples a second
    """
    if isinstance(samples, (str, os.PathLike)):
        samples = _read(Path(samples))
    if isinstance(samples, (bytes, bytearray)):
        if samples[:4] != b"RIFF" or samples[8:12] != b"WAVE":
            raise ValueError("a sound in bytes, or in a file, is to be a WAV")
        return bytes(samples)
    array = array_of(samples)
    if array.ndim == 2 and array.shape[1] > 2 >= array.shape[0]:
        array = array.T
    channels = 1 if array.ndim == 1 else array.shape[1] if array.ndim == 2 else 0
    if channels not in (1, 2) or not array.size:
        raise ValueError(f"a sound has the shape (samples,) or (samples, 1 or 2 channels), not {array.shape}")
    if array.dtype.kind == "f":
        array = _without_nan(array).clip(-1, 1) * 32767
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(int(rate))
        sound.writeframes(array.astype("<i2").tobytes())
    return file.getvalue()


def array_of(value: Any) -> Any:
    """An array of numpy with these numbers, also of a tensor that is on a device or has a gradient. TypeError if they
    are none."""
    for step in ("detach", "cpu"):
        value = getattr(value, step, lambda value=value: value)()
    if "bfloat16" in str(getattr(value, "dtype", "")):  # which numpy does not know
        value = value.float()
    array = importlib.import_module("numpy").asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"numbers are wanted, not {array.dtype}")
    return array


def _counted_before(counts: Any, edges: Any) -> bytes:
    if not 1 <= len(counts) <= MAX_BINS:
        raise ValueError(f"a histogram has 1 to {MAX_BINS} counts, not {len(counts)}")
    numpy = importlib.import_module("numpy")
    sound = numpy.isfinite(counts).all() and numpy.isfinite(edges).all() and (counts >= 0).all()
    if not sound or not (edges[1:] > edges[:-1]).all():
        raise ValueError("the counts of a histogram are 0 or more, and its edges ascend; all of them are finite")
    return histogram_json(edges.tolist(), counts.tolist())


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > 4 * MAX_BYTES:  # as PNG it may be smaller
        raise ValueError(f"{path} has {size:,} bytes; send at most {MAX_BYTES:,}")
    return path.read_bytes()


def _by_pil(content: bytes) -> bytes:
    """An image in another format as PNG."""
    try:
        pil = importlib.import_module("PIL.Image")
    except ImportError:
        raise ValueError(
            "an image in bytes, or in a file, is to be a PNG; PIL, which reads others, is missing"
        ) from None
    try:
        return _saved(pil.open(io.BytesIO(content)))
    except pil.UnidentifiedImageError:
        raise ValueError("PIL knows no image in it") from None
    except pil.DecompressionBombError as error:
        raise ValueError(str(error)) from error


def _saved(image: Any) -> bytes:
    """An image of PIL as PNG, which knows not all of its modes."""
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def _in_order(array: Any, axes: str) -> Any:
    """An image, or a grid of images, of shape (height, width, channels)."""
    if array.ndim != len(axes) or len(set(axes)) < len(axes) or not set("HW") <= set(axes) <= set("NHWC"):
        raise ValueError(f"axes {axes!r} do not fit an array of shape {array.shape}; send such as HWC or NCHW")
    array = array.transpose([axes.index(axis) for axis in "NHWC" if axis in axes])
    array = array if "C" in axes else array[..., None]
    return _grid(array) if "N" in axes else array


def _channels_last(images: Any, *, is_tensor: bool) -> Any:
    """Images, of shape (images, ...), with the channels as the last dimension."""
    is_first, is_last = images.shape[1] in _COLOUR_TYPES, images.shape[3] in _COLOUR_TYPES
    return images.transpose(0, 2, 3, 1) if is_first and (is_tensor or not is_last) else images


def _png_of_pixels(array: Any) -> bytes:
    if array.ndim != 3 or array.shape[2] not in _COLOUR_TYPES or not array.size:
        raise ValueError(f"an image has the shape (height, width), and 1, 3 or 4 channels, not {array.shape}")
    if array.dtype.kind == "f":
        array = _without_nan(array).clip(0, 1) * 255 + 0.5
    elif array.dtype.kind == "b":
        array = array * 255
    pixels = array.clip(0, 255).astype("uint8")
    height, width, channels = pixels.shape
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)  # each without a filter
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return PNG + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(lines)) + _chunk(b"IEND", b"")


def _grid(images: Any) -> Any:
    """Images, of shape (images, height, width, channels), beside and below each other."""
    numpy = importlib.import_module("numpy")
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns) if count else 0
    grid = numpy.zeros((rows * columns, height, width, channels), images.dtype)
    grid[:count] = images
    grid = grid.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


def _without_nan(array: Any) -> Any:
    return importlib.import_module("numpy").nan_to_num(array.astype("float64"))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
