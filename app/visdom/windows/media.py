"""The windows of a run's media: texts, images, histograms and sounds, each name as it was at the step shown."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise

from app.storage.media import Medium, histogram
from app.visdom.windows.layout import LINEAR, Window, as_text, make_layout
from trainers.numbers import counted

MAX_WINDOWS = 12
MAX_TEXT_CHARS = 20_000  # that are shown of a text


type Shown = str | bytes | None


def media_windows(media: Sequence[tuple[Medium, Shown]], more: Sequence[str], colour: str) -> list[Window]:
    """A window for each medium, and one that names those which have no window, if there are any.

    media: at most ``MAX_WINDOWS``, each with its content, or for an image or a sound the address at which a page finds
        it; None: it cannot be read
    colour: that of the run, as #rrggbb
    """
    windows = [_window(medium, shown, colour) for medium, shown in media]
    if more:
        names = "".join(f"<li>{html.escape(name)}</li>" for name in more)
        windows.append(_text("media", f"{len(more)} more", f"<p>Not shown here:</p><ul>{names}</ul>"))
    return windows


def _window(medium: Medium, shown: Shown, colour: str) -> Window:
    win = f"media-{html.escape(medium.name)}"
    title = f"{medium.name}, step {counted(medium.step)}"
    match medium.kind, shown:
        case "text", bytes():
            text = shown.decode()
            cut = f"\n… ({len(text) - MAX_TEXT_CHARS:,} characters more)" if len(text) > MAX_TEXT_CHARS else ""
            return _text(win, title, f"<pre>{html.escape(text[:MAX_TEXT_CHARS])}{cut}</pre>")
        case "histogram", bytes():
            return _histogram(win, title, shown, colour)
        case "image", str():
            return Window(win, title, [{"type": "image", "content": {"src": shown, "caption": ""}}])
        case "audio", str():
            return _text(win, title, f'<audio controls src="{html.escape(shown)}"></audio>')
    return _text(win, title, "<p>It cannot be read.</p>")


def _text(win: str, title: str, content: str) -> Window:
    return Window(win, title, [{"type": "text", "content": content}])


def _histogram(win: str, title: str, content: bytes, colour: str) -> Window:
    """The number of values in each bin, as bars that are as wide as their bins."""
    edges, counts = histogram(content)
    layout = make_layout("value", "values in the bin", LINEAR) | {"bargap": 0}
    bars = {
        "type": "bar",
        "name": as_text(title),
        "x": [(low + high) / 2 for low, high in pairwise(edges)],
        "width": [high - low for low, high in pairwise(edges)],
        "y": counts,
        "marker": {"color": colour},
        "hovertemplate": "%{x:.5~g}: %{y}<extra></extra>",
    }
    return Window(win, title, [bars], layout)
