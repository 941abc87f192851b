"""All measurements, one after the other: `uv run --group bench python -m benchmarks` writes RESULTS.md and results.svg.

With names, such as `... -m benchmarks busy windows`, only those are run, and nothing is written.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
import traceback

from benchmarks.chart import draw
from benchmarks.figures import Figure
from benchmarks.results import FOLDER, Section, conditions, write

MODULES = (
    "peers",
    "more_peers",
    "log_cost",
    "road",
    "windows",
    "repaint",
    "reading",
    "memory",
    "trainers",
    "crowd",
    "hostile",
    "fuzz",
    "soak",
    "faults",
    "start",
    "busy",
    "control",
    "watching",
    "table",
)


def main(names: list[str]) -> int:
    """Run what there is, and write down what it came to; how many modules failed."""
    before = conditions()  # how busy the machine was before there was anything of ours
    began = time.monotonic()
    sections = [measure(name) for name in names or MODULES if importlib.util.find_spec(f"benchmarks.{name}")]
    if not names:
        write(sections, before, time.monotonic() - began)
        draw([figure for section in sections for figure in section.figures], FOLDER / "results.svg")
    return sum(section.failure is not None for section in sections)


def measure(name: str) -> Section:
    """One module's figures. Whatever goes wrong in it, the others are still to be run."""
    print(f"\n# {name}", flush=True)
    began = time.monotonic()
    figures: list[Figure] = []
    failure = title = None
    try:
        module = importlib.import_module(f"benchmarks.{name}")
        title = module.__doc__
        figures = module.main()
    except Exception as error:
        traceback.print_exc()
        failure = type(error).__name__
    return Section(name, title or name, figures, time.monotonic() - began, failure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
