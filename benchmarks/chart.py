"""The picture of the tools side by side: a dot for each, on axes that grow tenfold (but those of shares)."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.figures import Figure

# The figure's name in `peers`, the panel's title; whether the axis is logarithmic.
PANELS = (
    ("added to a step, 1,000 steps", "Added to a step, two scalars (µs)", True),
    ("log() until a point is where its page gets it, median", "From log() to the page's data, median (ms)", True),
    (
        "from the last log() until all can be read, 100,000 steps",
        "100,000 steps: last log() until all is readable (s)",
        True,
    ),
    ("peak memory of the training process, longest run", "Peak memory of the training, longest run (MB)", True),
    ("disk for each point of a metric", "Disk for each point of a metric (bytes)", True),
    ("points that survive kill -9, worst", "Points that survive kill -9, the worst case (%)", False),
)
WIDTH, COLUMNS = 920, 2
LABELS, RIGHT, TOP, ROW, BOTTOM = 96, 74, 44, 24, 30  # within a panel
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; fill: #3c4452; }
  .title { font-weight: 600; font-size: 13px; }
  .grid, .line { stroke: #98a1af; stroke-opacity: 0.35; }
  .tick { fill: #6b7484; font-size: 10px; text-anchor: middle; }
  .dot { fill: #6b7484; }
  .ours .dot { fill: #2f6fde; } .ours text { font-weight: 600; }
  rect { fill: #ffffff; } .value { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  @media (prefers-color-scheme: dark) {
    rect { fill: #14171c; } .value { stroke: #14171c; } text { fill: #d5dae2; }
    .tick { fill: #98a1af; } .dot { fill: #b3bbc8; }
    .ours .dot { fill: #6ea2ff; }
  }
"""


def draw(figures: Sequence[Figure], path: Path) -> None:
    """Write the picture; nothing if the tools were not measured."""
    drawn = [(title, log, [one for one in figures if one.name == name and one.of]) for name, title, log in PANELS]
    drawn = [(title, log, shown) for title, log, shown in drawn if shown]
    if not drawn:
        return
    parts: list[str] = []
    height = 0
    for first in range(0, len(drawn), COLUMNS):
        row = drawn[first : first + COLUMNS]
        for column, (title, log, shown) in enumerate(row):
            x = column * WIDTH // COLUMNS
            parts += [f'<g transform="translate({x} {height})">', *panel(title, shown, log=log), "</g>"]
        height += TOP + ROW * max(len(shown) for _, _, shown in row) + BOTTOM
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}"/>',
        *parts,
    ]
    path.write_text("\n".join([*lines, "</svg>", ""]), encoding="utf-8")


def panel(title: str, figures: Sequence[Figure], *, log: bool) -> Iterator[str]:
    """One question: a row for each tool."""
    values = [float(one.value) for one in figures if isinstance(one.value, int | float) and (one.value > 0 or not log)]
    low, high = bounds(values, log=log)
    left, right = LABELS + 16, WIDTH // COLUMNS - RIGHT

    def across(value: float) -> float:
        share = (math.log10(value / low) / math.log10(high / low)) if log else (value - low) / (high - low)
        return left + share * (right - left)

    bottom = TOP + ROW * len(figures)
    yield f'<text class="title" x="16" y="26">{html.escape(title)}</text>'
    for tick in ticks(low, high, log=log):
        x = across(tick)
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom - 6}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{bottom + 8}">{short(tick)}</text>'
    for row, one in enumerate(figures):
        y = TOP + ROW * row + 6
        yield f'<g class="{"ours" if one.of == "Lossboard" else "other"}">'
        yield f'<text x="{LABELS + 4}" y="{y + 4}" text-anchor="end">{html.escape(one.of)}</text>'
        yield f'<line class="line" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
        if isinstance(one.value, int | float):
            x = across(max(float(one.value), low))
            yield f'<circle class="dot" cx="{x:.1f}" cy="{y}" r="5"/>'
            yield f'<text class="value" x="{x + 10:.1f}" y="{y + 4}">{html.escape(one.text)}</text>'
        else:
            yield f'<text class="value" x="{left + 4}" y="{y + 4}">–</text>'
        yield "</g>"


def bounds(values: Sequence[float], *, log: bool) -> tuple[float, float]:
    """From where to where an axis goes."""
    if not log:
        return 0.0, max([*values, 100.0])
    low = 10.0 ** math.floor(math.log10(min(values, default=1)))
    high = 10.0 ** math.ceil(math.log10(max(values, default=10)))
    return low, max(high, 10 * low)


def ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Where the axis has marks: at most six."""
    if not log:
        return [low + (high - low) * quarter / 4 for quarter in range(5)]
    powers = range(round(math.log10(low)), round(math.log10(high)) + 1)
    return [10.0**power for power in powers[:: math.ceil(len(powers) / 6)]]


def short(value: float) -> str:
    """A tick's words: 0.001, 10, 10k."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"
