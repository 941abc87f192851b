"""The page's files agree with each other: style sheets in layers, colours in one file, elements that scripts find."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from app.assets import STATIC, TOKENS, read_tokens

APP = Path(__file__).parents[1] / "app"
VISDOM_STYLE = (APP / "visdom" / "style.css").read_text(encoding="utf-8")
SHEETS = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.css")}
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
LAYERS = dict(re.findall(r'@import url\("([\w.]+)"\) layer\((\w+)\);', SHEETS["style.css"]))
COLOUR = re.compile(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl)a?\(", re.IGNORECASE)
BLOCK = re.compile(r"([^{}]*)\{((?:[^{}]|\{[^{}]*\})*)\}")  # blocks in it are one level deep


def without_comments(css: str) -> str:
    """A style sheet's rules only."""
    return re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)


def rules(css: str, media: str = "") -> Iterator[tuple[str, str, str]]:
    """Every selector and property that a style sheet sets, with the media query around it."""
    for head, body in BLOCK.findall(css):
        name = " ".join(head.split())
        if name.startswith("@media"):
            yield from rules(body, name)
            continue
        for selector in re.split(r",(?![^(]*\))", name):
            for prop in re.findall(r"(?:^|;)\s*([\w-]+)\s*:", body):
                yield media, selector.strip(), prop


def test_rules_are_read_as_they_are_meant() -> None:
    css = "a, b:is(c, d) { color: red; margin: 0 } @media print { a { color: blue } p { gap: 1px } } e { top: 0 }"
    assert list(rules(css)) == [
        ("", "a", "color"),
        ("", "a", "margin"),
        ("", "b:is(c, d)", "color"),
        ("", "b:is(c, d)", "margin"),
        ("@media print", "a", "color"),
        ("@media print", "p", "gap"),
        ("", "e", "top"),
    ]


def test_every_style_sheet_is_in_a_layer() -> None:
    assert LAYERS.keys() == SHEETS.keys() - {"style.css", "sign_in.css"}  # which is another page's
    order = re.search(r"@layer ([\w, ]+);", SHEETS["style.css"])
    assert order
    assert set(LAYERS.values()) == set(order[1].split(", "))


def test_no_property_is_set_twice_for_a_selector_in_a_layer() -> None:
    found = Counter((layer, *rule) for name, layer in LAYERS.items() for rule in rules(without_comments(SHEETS[name])))
    fallback = ("layout", "", ".board", "height")  # 100vh, where a browser does not know 100dvh
    assert {rule for rule, count in found.items() if count > 1} == {fallback}


def test_colours_are_in_the_tokens_only() -> None:
    for name in SHEETS.keys() - {"tokens.css"}:
        assert not COLOUR.search(without_comments(SHEETS[name])), name
    # plotly writes its colours into the drawing: this one is found by its value
    assert COLOUR.findall(without_comments(VISDOM_STYLE)) == [TOKENS["graph-gradient"]]


def test_every_custom_property_is_defined_and_every_token_is_used() -> None:
    sheets = "".join([*SHEETS.values(), VISDOM_STYLE])
    scripts = "".join(SCRIPTS.values())
    python = "".join(path.read_text(encoding="utf-8") for path in APP.rglob("*.py"))
    used = set(re.findall(r"var\(--([\w-]+)", sheets + scripts))
    defined = set(re.findall(r"--([\w-]+)\s*:", sheets)) | set(re.findall(r'setProperty\("--([\w-]+)"', scripts))
    assert used - {"zone-"} <= defined
    used |= set(re.findall(r'TOKENS\["([\w-]+)"\]', python))
    assert {name for name in TOKENS if name not in used and not re.match(r"(run|race|category)-\d+$", name)} == set()


def test_tokens_are_those_of_the_first_rule() -> None:
    css = '/* :root { --no: 1 } */ :root { --one: #123; /* why */ --font: a, "b c"; color: red } :root { --one: #fff; }'
    assert read_tokens(css) == {"one": "#123", "font": 'a, "b c"'}


def test_every_element_that_scripts_look_for_by_its_id_is_in_the_page() -> None:
    ids = re.findall(r'\bid="([\w-]+)"', (STATIC / "index.html").read_text(encoding="utf-8"))
    assert len(ids) == len(set(ids))
    wanted = {found for text in SCRIPTS.values() for found in re.findall(r'(?:find|querySelector)\("#([\w-]+)', text)}
    assert len(wanted) > 20
    assert wanted - {"app"} <= set(ids)  # that one is in Visdom's page


def test_every_module_that_scripts_import_is_there() -> None:
    imported = {
        name for text in SCRIPTS.values() for name in re.findall(r'^import .* from "\./(.+)";$', text, re.MULTILINE)
    }
    of_visdoms_page = {"gathered_windows.js", "plot_guard.js"}
    assert imported == SCRIPTS.keys() - {"main.js", "event_worker.js"} - of_visdoms_page
