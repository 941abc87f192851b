"""`lossboard token`: print the tokens of a board, and renew them."""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import lossboard
from app.cli.data import DataDir, give_up
from app.middleware.tokens import KEPT, TokensError, link, make


class Right(StrEnum):
    """The rights that have a token."""

    OWNER = "owner"
    READ = "read"
    REPORT = "report"


def token(
    data_dir: DataDir = None,
    url: Annotated[
        str | None, typer.Option(help="Address under which others reach the board.", show_default="the one here")
    ] = None,
    new: Annotated[
        Right | None, typer.Option(help="Make a new token for this right; the old one holds no more.")
    ] = None,
) -> None:
    """Print the tokens of a board: the owner's, one for people who look and change nothing, and one for scripts.

    A running board takes a new one at once.
    """
    folder = data_dir or lossboard.data_folder()
    if not folder.is_dir():
        give_up(f"There is no folder {folder}. Start a board, or name its folder with --data-dir.")
    try:
        tokens = make(folder, new=new or "")
    except TokensError as error:
        give_up(str(error))
    url = (url or _address(folder)).rstrip("/")
    for right in KEPT:
        how = f"LOSSBOARD_TOKEN={tokens[right]}" if right == Right.REPORT else link(url, tokens[right])
        typer.echo(f"{right:6}  {how}")


def _address(folder: Path) -> str:
    """Where the board on this folder is, or would be."""
    with suppress(OSError, ValueError):
        return (folder / lossboard.ADDRESS_FILE).read_text(encoding="utf-8").strip()
    return "http://127.0.0.1:8000"
