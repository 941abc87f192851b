"""``python -m lossboard run -- python train.py``, and ``watch``: for environments that have the client alone."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import lossboard
from lossboard_extras.following import Watch, follow, held
from lossboard_extras.launching import launch


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name (those of the process unless given); its exit code."""
    parser = argparse.ArgumentParser(prog="python -m lossboard")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run a program, and show what it logs elsewhere")
    run.add_argument("program", nargs=argparse.REMAINDER, metavar="-- PROGRAM ...")
    watch = commands.add_parser("watch", help="follow a folder of TensorBoard's event files")
    watch.add_argument("folder", type=Path)
    for one in (run, watch):
        one.add_argument("--url", help="address of the board")
        one.add_argument("--group", help="group of the runs")
    given = parser.parse_args(arguments)
    if given.command == "run":
        program = given.program[given.program[:1] == ["--"] :]
        if not program:
            parser.error("name a program, as in: run -- python train.py")
        return launch(program, url=given.url, group=given.group)[0]
    return _watch(given.folder.resolve(), given.url, given.group)


def _watch(root: Path, url: str | None, group: str | None) -> int:
    def say(sentence: str) -> None:
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()

    try:
        with held(root):
            watch = Watch(root, lossboard.Connection(url), group or root.name, say)
            say(f"Following {root}; its runs are shown at {watch.url}. Ctrl-C ends it.")
            follow(watch, say, threading.Event())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"lossboard: {root} cannot be followed: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
