"""``lossboard.runs()`` and ``lossboard.load()``: what a board has, for scripts that look at it."""

from __future__ import annotations

import csv
import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from typing import IO, Any

from lossboard_extras.api import Api
from lossboard_extras.tables import from_cell, to_cell


def runs(
    *, group: str | None = None, status: str | None = None, search: str | None = None, url: str | None = None
) -> list[dict[str, Any]]:
    """The board's runs, newest first, each a dictionary with its id, name, params, last values and so on.

    search: as in the page's table of runs, ``"lr<0.1 optimizer=adam"``
    url: the board's address, as for lossboard.run()
    """
    return list(Api(url).runs(group=group, status=status, search=search))


def load(run: Any, *, url: str | None = None) -> Any:
    """Every point of a run in full precision: a list by metric, and ``step``; a DataFrame where pandas is installed.

    run: a run that lossboard.runs() or lossboard.run() gave; or an id, a number (``"7"``), a name, or the beginning
        of an id. LookupError if there is none, or several
    url: the board's address, as for lossboard.run()

    A metric that a step lacks is None, and NaN in a DataFrame.
    """
    columns = columns_of(Api(url), run)
    if importlib.util.find_spec("pandas") is None:
        return columns
    return importlib.import_module("pandas").DataFrame({name: _floats(values) for name, values in columns.items()})


def columns_of(api: Api, run: Any) -> dict[str, list[Any]]:
    """Every point of a run: a list by metric, and the steps."""
    rows = csv.reader(api.lines(f"/api/runs/{id_of(api, run)}/points.csv"))
    columns: dict[str, list[Any]] = {from_cell(name): [] for name in next(rows)}
    for row in rows:
        for column, text in zip(columns.values(), row):  # noqa: B905 - Python 3.9 has no strict
            column.append(float(text) if text else None)
    return columns


def id_of(api: Api, run: Any) -> str:
    """The id of what stands for a run in load()."""
    if isinstance(run, dict):
        return str(run["id"])
    return str(run.id if hasattr(run, "id") else api.find(run)["id"])


def write_csv(api: Api, found: Sequence[dict[str, Any]], file: IO[str]) -> Iterator[dict[str, Any]]:
    """Write the points of several runs into one table, and give each run when it is written.

    Its columns are run (the name; with the beginning of its id where that is not the only one), step, and every metric
    that one of them has.
    """
    names = list(dict.fromkeys(name for run in found for name in _header(api, run)))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["run", *names])  # the names of metrics are those of the board's own tables
    titles = [run["name"] for run in found]
    for run in found:
        title = run["name"] if titles.count(run["name"]) == 1 else f"{run['name']} ({run['id'][:8]})"
        for row in csv.DictReader(api.lines(f"/api/runs/{run['id']}/points.csv")):
            writer.writerow([to_cell(title), *(row.get(name, "") for name in names)])
        yield run


def _header(api: Api, run: dict[str, Any]) -> list[str]:
    lines = api.lines(f"/api/runs/{run['id']}/points.csv")
    try:
        return next(csv.reader(lines))
    finally:
        lines.close()  # type: ignore[attr-defined]


def _floats(values: list[Any]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
