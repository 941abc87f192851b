"""Where the browser's files are: hatch_build.py collects them when Lossboard is built."""

from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
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
