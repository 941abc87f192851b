"""RESULTS.md: every figure of one run of the lot, with its goal, the command that gives it, and the conditions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.figures import Figure

FOLDER = Path(__file__).parent
COMMAND = "uv run --group bench python -m benchmarks"
PACKAGES = ("lossboard", "visdom", "torch", "numpy", "fastapi", "uvicorn", "tensorboard", "trackio", "wandb")
VERDICTS = {None: "", True: "yes", False: "**no**"}


@dataclass(frozen=True)
class Section:
    """What one module found."""

    name: str
    title: str  # its docstring
    figures: list[Figure]
    seconds: float
    failure: str | None  # the error that ended it


def write(sections: Sequence[Section], conditions: dict[str, str], seconds: float) -> None:
    """Write RESULTS.md anew: it holds nothing but this run's figures."""
    lines = [
        "# Results",
        "",
        f"Written by `{COMMAND}`, which took {seconds / 60:.0f} minutes. Every number here was measured in that run.",
        "",
        "![The tools side by side](results.svg)",
        "",
        "## Conditions",
        "",
        *(f"- {name}: {value}" for name, value in conditions.items()),
        "",
        *goals(sections),
    ]
    for section in sections:
        lines += chapter(section)
    (FOLDER / "RESULTS.md").write_text("\n".join(lines), encoding="utf-8")


def conditions() -> dict[str, str]:
    """The machine, what ran on it, and how busy it was before."""
    memory = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB of memory",
        "load before the first measurement (1, 5, 15 minutes)": load,
        "Python": platform.python_version(),
        "versions": ", ".join(f"{name} {found}" for name in PACKAGES if (found := version_of(name))),
    }


def version_of(package: str) -> str | None:
    """What is installed of it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def goals(sections: Sequence[Section]) -> list[str]:
    """How many goals there are, and which were missed."""
    held = [(section, figure) for section in sections for figure in section.figures if figure.met is not None]
    missed = [(section, figure) for section, figure in held if not figure.met]
    lines = ["## Goals", "", f"{len(held) - len(missed)} of {len(held)} goals were met."]
    if missed:
        lines += ["", "Missed:", ""]
        lines += [missed_goal(section, figure) for section, figure in missed]
    return [*lines, ""]


def missed_goal(section: Section, figure: Figure) -> str:
    """A goal that was missed, and why, where that is known."""
    line = f"- {figure.name}: {figure.text}, {figure.goal} ({section.name})"
    return f"{line}. {figure.limited_by}" if figure.limited_by else line


def chapter(section: Section) -> list[str]:
    """One module's figures."""
    head, _, rest = section.title.strip().partition("\n\n")
    title, _, command = " ".join(head.split()).partition(": `")
    command = command.partition("`")[0] or f"uv run python -m benchmarks.{section.name}"
    lines = [f"## {title}", "", f"`{command}` ({section.seconds:.0f} s)", ""]
    if rest:
        lines += [" ".join(rest.split()), ""]
    if section.failure:
        lines += [f"This measurement ended with an error ({section.failure}); its output says more.", ""]
    alone = [figure for figure in section.figures if not figure.of]
    beside = [figure for figure in section.figures if figure.of]
    if alone:
        lines += [*table(alone), ""]
    if beside:
        lines += [*comparison(beside), ""]
    return lines


def table(figures: Sequence[Figure]) -> Iterator[str]:
    """A row for each figure."""
    yield "| figure | value | goal | met | |"
    yield "|---|---:|---|---|---|"
    for one in figures:
        yield f"| {one.name} | {one.text} | {one.goal} | {VERDICTS[one.met]} | {one.note} |"


def comparison(figures: Sequence[Figure]) -> Iterator[str]:
    """A row for each figure's name, a column for each tool, and the notes below."""
    tools = list(dict.fromkeys(one.of for one in figures))
    names = list(dict.fromkeys(one.name for one in figures))
    found = {(one.name, one.of): one for one in figures}
    yield f"|  | {' | '.join(tools)} |"
    yield f"|---{'|---:' * len(tools)}|"
    for name in names:
        cells = [found[name, tool].text if (name, tool) in found else "" for tool in tools]
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    for name in names:
        notes = [
            f"{tool}: {found[name, tool].note}" for tool in tools if (name, tool) in found and found[name, tool].note
        ]
        if notes:
            yield f"- {name}. {'. '.join(notes)}."
