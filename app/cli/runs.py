"""The commands that look at a board's runs: `lossboard ls`, `show`, `rm`, `export`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Annotated

import typer

import lossboard
from app.cli.data import give_up
from app.cli.output import print_table, progress
from app.cli.watch import UrlOption
from lossboard_extras import event_writer
from lossboard_extras.api import Api
from lossboard_extras.reading import write_csv

Runs = Annotated[list[str], typer.Argument(help="Ids, numbers, names, or beginnings of ids.", show_default=False)]


def ls(
    search: Annotated[
        str | None, typer.Argument(help="Words, or as in the page's table: lr<0.1 status:failed.", show_default=False)
    ] = None,
    group: Annotated[str | None, typer.Option(help="Only runs of this group.")] = None,
    status: Annotated[str | None, typer.Option(help="Only runs with this status.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
    url: UrlOption = None,
) -> None:
    """List a board's runs, newest first: a table in a terminal, else a line a run, with tabs."""
    with _board(url) as api:
        found = [run for run, _ in zip(api.runs(group=group, status=status, search=search), range(limit), strict=False)]
    rows = [
        (run["id"][:8], str(run["number"]), run["name"], run["group"] or "", run["status"], _number(run["step"]))
        for run in found
    ]
    last = [" ".join(f"{name}={_number(value)}" for name, value in run["last"].items()) for run in found]
    print_table(
        ("id", "number", "name", "group", "status", "step", "last"),
        [(*row, text) for row, text in zip(rows, last, strict=True)],
    )


def show(
    run: Annotated[str, typer.Argument(help="An id, a number, a name, or the beginning of an id.")],
    url: UrlOption = None,
) -> None:
    """Show what a board has of a run, as JSON."""
    with _board(url) as api:
        typer.echo(json.dumps(api.find(run), indent=2, ensure_ascii=False))


def rm(
    runs: Runs,
    url: UrlOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete runs, with their points; those that go on are stopped."""
    with _board(url) as api:
        found = [api.find(text) for text in dict.fromkeys(runs)]
        names = ", ".join(f"{run['name']} ({run['id'][:8]})" for run in found)
        if not yes and not sys.stdin.isatty():
            give_up(f"rm asks before it deletes {names}; without a terminal, send --yes with it.")
        if not yes and not typer.confirm(f"Delete {names}?"):
            give_up("Nothing was deleted.")
        for run in found:
            api.delete(f"/api/runs/{run['id']}")
            typer.echo(f"{run['name']} ({run['id']}) is deleted.")


def export(
    runs: Runs,
    csv: Annotated[Path | None, typer.Option(help="The table to write.", show_default="to standard output")] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Write event files for TensorBoard instead, each run into a folder of its own here."),
    ] = None,
    url: UrlOption = None,
) -> None:
    """Write every point of some runs: into one table (CSV), or into event files that TensorBoard reads."""
    if csv and tensorboard:
        give_up("Name one of --csv and --tensorboard.")
    with _board(url) as api:
        found = [api.find(text) for text in dict.fromkeys(runs)]
        if tensorboard:
            for run in progress(found, "Runs"):
                typer.echo(f"{run['name']} is in {event_writer.export(api, run, tensorboard)}")
        elif csv:
            with csv.open("w", encoding="utf-8", newline="") as file:
                written = sum(1 for _ in progress(write_csv(api, found, file), "Runs", len(found)))
            typer.echo(f"{written} runs are in {csv}" if written > 1 else f"{found[0]['name']} is in {csv}")
        else:
            for _ in write_csv(api, found, sys.stdout):
                pass


@contextmanager
def _board(url: str | None) -> Iterator[Api]:
    """The board's API; what goes wrong with it is a sentence."""
    try:
        api = Api(url)
        yield api
    except (ValueError, LookupError, lossboard.RefusedError) as error:
        give_up(str(error))
    except BrokenPipeError:  # as of `lossboard ls | head`
        raise
    except FileExistsError as error:
        give_up(f"{error.filename} is there already; name another folder.")
    except (OSError, HTTPException) as error:
        give_up(f"No board answers at {api.url} ({error}). Start one, or name another with --url.")


def _number(value: object) -> str:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)
