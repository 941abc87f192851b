"""`lossboard watch`: follow a folder of TensorBoard's event files."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

import lossboard
from app.cli.data import give_up
from app.cli.output import progress
from lossboard_extras.following import AWAY, Watch, bring_all, follow, held

UrlOption = Annotated[
    str | None, typer.Option(help="Address of the board.", show_default="that of the data folder's board")
]


GroupOption = Annotated[str | None, typer.Option(help="Group of its runs.", show_default="the folder's name")]


def watch(
    folder: Annotated[Path, typer.Argument(help="The folder to follow; each folder in it with event files is a run.")],
    url: UrlOption = None,
    group: GroupOption = None,
    once: Annotated[
        bool, typer.Option("--once", help="Bring what is there, say that each of its runs has ended, and end.")
    ] = False,
) -> None:
    """Follow a folder of TensorBoard's event files, whoever writes them, and show its runs on a board while they grow.

    Started again, it goes on where it ended. Ctrl-C ends it.
    """
    with _watching(folder, url, group) as watching:
        if once:
            _bring(watching)
            return
        typer.echo(f"Following {watching.root}; its runs are shown at {watching.url}. Ctrl-C ends it.")
        follow(watching, typer.echo, threading.Event())


def import_(
    folder: Annotated[Path, typer.Argument(help="The folder to bring; each folder in it with event files is a run.")],
    url: UrlOption = None,
    group: GroupOption = None,
) -> None:
    """Bring a folder of TensorBoard's event files to a board, as watch --once does. What is there already is not
    brought again."""
    with _watching(folder, url, group) as watching:
        _bring(watching)


@contextlib.contextmanager
def _watching(folder: Path, url: str | None, group: str | None) -> Iterator[Watch]:
    """What follows a folder; that it cannot be followed is a sentence."""
    if not folder.is_dir():
        give_up(f"There is no folder {folder}. Name the one to which the event files are written.")
    root = folder.resolve()
    try:
        connection = lossboard.Connection(url)
    except ValueError as error:
        give_up(str(error))
    try:
        with contextlib.closing(connection), held(root):
            yield Watch(root, connection, group or root.name, typer.echo)
    except BlockingIOError:
        give_up(f"{root} is followed by another `lossboard watch`.")


def _bring(watching: Watch) -> None:
    watching.walk()
    if not watching.runs:
        typer.echo(f"There are no event files in {watching.root}.")
    brought = progress(bring_all(watching), "Bringing runs", len(watching.runs))
    try:
        lines = [f"{run.name}: {run.events.records} points are at {watching.url}." for run in brought]
    except AWAY as error:
        give_up(f"No board takes points at {watching.url} ({error}). Start one, or name another with --url.")
    for line in lines:
        typer.echo(line)
