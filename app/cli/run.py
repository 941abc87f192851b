"""`lossboard run`: run a program unchanged, with its writers captured."""

from __future__ import annotations

import contextlib
from http.client import HTTPException
from typing import Annotated

import typer

import lossboard
from app.cli.watch import UrlOption
from app.runs import journals
from lossboard_extras.launching import launch

# What comes after the program's name is the program's.
CONTEXT = {"allow_interspersed_args": False}


def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments: python train.py --epochs 3")],
    url: UrlOption = None,
    group: Annotated[str | None, typer.Option(help="Group of its runs.", show_default="the program's")] = None,
) -> None:
    """Run a program unchanged, and show what it logs with torch's or tensorboardX's SummaryWriter, Lightning or wandb.

    The interpreter that is named is the one that runs. Ends with the program's exit code, and so do its runs.
    """
    code, left = launch(command, url=url, group=group)
    with contextlib.suppress(OSError, HTTPException, ValueError):  # without a board, the next one finds what is left
        for run_id in left:
            for _ in journals.sync(lossboard.data_folder(), url, run_id):
                pass
    raise typer.Exit(code)
