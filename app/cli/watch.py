"""`lossboard watch`: follow a folder of TensorBoard's event files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer

import lossboard
from app.cli.data import give_up
from lossboard_extras.following import AWAY, Watch, bring_all, follow, held

UrlOption = Annotated[str | None, typer.Option(help="Address of the board.", show_default="http://127.0.0.1:8000")]


def watch(
    folder: Annotated[Path, typer.Argument(help="The folder to follow; each folder in it with event files is a run.")],
    url: UrlOption = None,
    group: Annotated[str | None, typer.Option(help="Group of its runs.", show_default="the folder's name")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Post what is there, say that each run has ended, and end.")
    ] = False,
) -> None:
    """Follow a folder of TensorBoard's event files, whoever writes them, and show its runs on a board while they grow.

    Started again, it goes on where it ended. Ctrl-C ends it.
    """
    if not folder.is_dir():
        give_up(f"There is no folder {folder}. Name the one to which the event files are written.")
    root = folder.resolve()
    try:
        watching = Watch(root, lossboard.Connection(url), group or root.name, typer.echo)
        with held(root):
            _watch(watching, once=once)
    except ValueError as error:
        give_up(str(error))
    except BlockingIOError:
        give_up(f"{root} is followed by another `lossboard watch`.")


def _watch(watching: Watch, *, once: bool) -> None:
    if not once:
        typer.echo(f"Following {watching.root}; its runs are shown at {watching.url}. Ctrl-C ends it.")
        follow(watching, typer.echo, threading.Event())
        return
    try:
        bring_all(watching)
    except AWAY as error:
        give_up(f"No board takes points at {watching.url} ({error}). Start one, or name another with --url.")
    if not watching.runs:
        typer.echo(f"There are no event files in {watching.root}.")
    for run in watching.runs.values():
        typer.echo(f"{run.name}: {run.events.records} points are at {watching.url}.")
