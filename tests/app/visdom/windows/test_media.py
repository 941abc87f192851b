"""The windows of texts, images, histograms and sounds."""

from __future__ import annotations

import json

from app.schemas.responses import MediaKind
from app.storage.media import Medium
from app.visdom.windows.media import MAX_TEXT_CHARS, media_windows

COLOUR = "#123456"


def medium(kind: MediaKind, name: str = "val/sample", step: float = 1200.0) -> Medium:
    return Medium(7, name, kind, step, 0, 5.0, 100)


def test_each_kind_is_shown_in_its_way() -> None:
    histogram = json.dumps({"edges": [0, 1, 3], "counts": [5, 2]}).encode()
    text, image, bars, sound = media_windows(
        [
            (medium("text"), b"<b>once</b>"),
            (medium("image"), "/api/runs/1/media/7"),
            (medium("histogram"), histogram),
            (medium("audio"), "/api/runs/1/media/8"),
        ],
        [],
        COLOUR,
    )
    assert text.title == "val/sample, step 1,200"
    assert text.data == [{"type": "text", "content": "<pre>&lt;b&gt;once&lt;/b&gt;</pre>"}]
    assert image.data == [{"type": "image", "content": {"src": "/api/runs/1/media/7", "caption": ""}}]
    assert (bars.data[0]["x"], bars.data[0]["width"], bars.data[0]["y"]) == ([0.5, 2.0], [1, 2], [5, 2])
    assert bars.data[0]["marker"] == {"color": COLOUR}
    assert '<audio controls src="/api/runs/1/media/8">' in sound.data[0]["content"]


def test_what_cannot_be_read_says_so() -> None:
    for kind in ("text", "image", "histogram", "audio"):
        (window,) = media_windows([(medium(kind), None)], [], COLOUR)
        assert window.data == [{"type": "text", "content": "<p>It cannot be read.</p>"}]


def test_a_long_text_is_cut_and_says_so() -> None:
    (window,) = media_windows([(medium("text"), b"x" * (MAX_TEXT_CHARS + 1500))], [], COLOUR)
    assert "(1,500 characters more)" in window.data[0]["content"]


def test_those_without_a_window_are_named() -> None:
    *_, more = media_windows([(medium("image"), "/1")], ["a<b", "c"], COLOUR)
    assert more.title == "2 more"
    assert "<li>a&lt;b</li><li>c</li>" in more.data[0]["content"]
