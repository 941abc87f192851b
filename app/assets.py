"""Where the browser's files are: the page's own, and those that hatch_build.py collects when Lossboard is built."""

import base64
import hashlib
import re
from pathlib import Path

_HERE = Path(__file__).parent
# In a wheel the page's files are below app, in a checkout beside it.
STATIC = next(folder for folder in (_HERE / "static", _HERE.parent / "static") if folder.is_dir())
FOLDER = _HERE / "assets"
VISDOM = FOLDER / "visdom"
SWAGGER = FOLDER / "swagger"


class AssetsMissingError(RuntimeError):
    """The browser's files are not, or not all, where they should be."""


def require(folder: Path = FOLDER) -> None:
    """Raise if a file that was collected when Lossboard was built is not there now."""
    stamp = folder / "stamp.txt"  # the table's hash, then the name of every file
    places = stamp.read_text(encoding="utf-8").splitlines()[1:] if stamp.exists() else [stamp.name]
    for place in places:
        if not (folder / place).is_file():
            raise AssetsMissingError(
                f"The browser's files are not all in {folder} ({place} is missing). Collect them again with "
                "`uv sync --reinstall-package lossboard` in Lossboard's folder."
            )


def script_sources(page: bytes) -> str:
    """What the script-src of a page's policy allows: scripts of the board, and no inline script but the page's own."""
    scripts = re.findall(rb"<script[^>]*>(.*?)</script>", page.replace(b"\r\n", b"\n"), re.DOTALL)
    digests = [hashlib.sha256(script).digest() for script in scripts if script]
    return " ".join(["'self'", *(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)])


def read_tokens(css: str) -> dict[str, str]:
    """Return the custom properties of a style sheet's first rule, by their names without the leading dashes."""
    text = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    first_rule = text.partition("{")[2].partition("}")[0]
    return dict(re.findall(r"--([\w-]+):\s*([^;]+);", first_rule))


TOKENS_CSS = (STATIC / "tokens.css").read_text(encoding="utf-8")
TOKENS = read_tokens(TOKENS_CSS)  # of the light theme: plots are drawn once for both
