"""The commands that look after a board's data: `lossboard check`, `lossboard backup`, `lossboard restore`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

import lossboard
from app.storage import backup as backups
from app.storage.check import check as findings_in
from app.storage.data_dir import DataDirError, take
from app.storage.database import DATABASE_FILE
from app.storage.faults import DatabaseError

DataDir = Annotated[
    Path | None, typer.Option(help="Folder of the board's data.", show_default="the user's data folder")
]


def check(
    data_dir: DataDir = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make a new database of all that can be read; the present one is kept.")
    ] = False,
) -> None:
    """Look for damage in a board's data, also while it runs: damaged pages, points that are missing or not what was
    stored, and what belongs to nothing. Each is a line that says what can be done; the exit code is 0 if there is none.

    With --repair, which needs the board to have ended, a new database is made of all that can be read.
    """
    path = _database_in(data_dir)
    try:
        if repair:
            _repair(path)
        found = 0
        for finding in findings_in(path):
            found += 1
            typer.echo(finding)
    except (DataDirError, DatabaseError) as error:
        give_up(str(error))
    if found:
        raise typer.Exit(1)
    typer.echo(f"All is well in {path}.")


def backup(
    file: Annotated[Path, typer.Argument(help="The file to make.")],
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file, if it is there.")] = False,
) -> None:
    """Copy a board's runs and points, as they are at this moment, into one file; the board may run."""
    path = _database_in(data_dir)
    try:
        runs = backups.backup(path, file, replace=force)
    except DatabaseError as error:
        give_up(str(error))
    typer.echo(f"{file} has {_many(runs)} of {path}, {file.stat().st_size / 1e6:.1f} MB, and was checked.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that lossboard backup has made.")],
    data_dir: DataDir = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in the place of a board's runs and points; those that are there now are kept beside it. The board
    must have ended."""
    folder = data_dir or lossboard.data_folder()
    path = folder / DATABASE_FILE
    try:
        runs = backups.look(file)
        lock = take(folder)
        try:
            if not yes:
                _ask(f"Put {_many(runs)} of {file} in the place of what is in {path}?")
            kept = backups.restore(path, file)
        finally:
            lock.release()
    except (DataDirError, DatabaseError) as error:
        give_up(str(error))
    where = f"; what was there before is kept as {kept}" if kept else ""
    typer.echo(f"{path} has {_many(runs)} of {file} now{where}.")


def give_up(reason: str) -> None:
    """Say why the command cannot do what it should, and end it."""
    typer.echo(f"lossboard: {reason}", err=True)
    raise typer.Exit(1)


def _repair(path: Path) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    lock = take(path.parent)
    try:
        rebuilt = backups.repair(path)
    finally:
        lock.release()
    typer.echo(f"All that can be read is in a new database; the present one is kept as {rebuilt.kept}.")
    for sentence in rebuilt.lost:
        typer.echo(sentence)


def _database_in(data_dir: Path | None) -> Path:
    path = (data_dir or lossboard.data_folder()) / DATABASE_FILE
    if not path.is_file():
        give_up(f"There is no database {path}. Name the folder that has it with --data-dir.")
    return path


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        give_up(f"{question} There is no terminal to ask on; say so with --yes.")
    if not typer.confirm(question):
        give_up("Nothing was changed.")


def _many(runs: int) -> str:
    return "1 run" if runs == 1 else f"{runs} runs"
