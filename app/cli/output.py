"""What commands print: tables and bars in a terminal, plain lines where the output goes elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; where the output goes elsewhere, a line a row with tabs between, the titles first."""
    if not sys.stdout.isatty():
        for row in (titles, *rows):
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in row))
        return
    table = Table(*titles, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def progress[T](items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar on standard error while they are worked through; none where that is no terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    yield from track(items, what, total, console=Console(stderr=True), transient=True)
