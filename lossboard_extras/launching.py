"""``lossboard run -- python train.py``: runs a program unchanged, and shows on the board what it logs elsewhere."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import lossboard
import lossboard_extras

NOT_FOUND, NOT_RUN = 127, 126  # exit codes, as those of a shell


def launch(command: Sequence[str], *, url: str | None = None, group: str | None = None) -> tuple[int, list[str]]:
    """Run a command, with its writers captured in every Python that it starts; its exit code, and the ids of the runs
    of which something is left in their journals."""
    with tempfile.TemporaryDirectory(prefix="lossboard-") as folder:
        told = Path(folder, "runs")
        told.touch()
        environment = captured_environment(told, url, group)
        try:
            code = _run(command, environment)
        except FileNotFoundError:
            sys.stderr.write(f"lossboard: there is no program {command[0]!r}\n")
            return NOT_FOUND, []
        except OSError as error:
            sys.stderr.write(
                f"lossboard: {command[0]!r} cannot be run ({error}); name an interpreter before a script\n"
            )
            return NOT_RUN, []
        run_ids = told.read_text(encoding="ascii").split()
    return code if code >= 0 else 128 - code, [run_id for run_id in run_ids if end(run_id, code)]


def captured_environment(told: Path, url: str | None, group: str | None) -> dict[str, str]:
    """What the program is to be started with: in ``told`` it writes the ids of its runs."""
    package = Path(next(iter(lossboard_extras.__path__)))
    path = [str(package / "capture"), os.environ.get("PYTHONPATH", "")]
    places = [str(Path(lossboard.__file__).parent), str(package.parent)]
    added = {
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "LOSSBOARD_CAPTURE": os.pathsep.join(places),
        "LOSSBOARD_CAPTURE_GROUP": group or "",
        "LOSSBOARD_CAPTURED": str(told),
    }
    return {**os.environ, **added, **({"LOSSBOARD_URL": url} if url else {})}


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run to the end. Ctrl-C reaches the program by itself; what asks this process to end is passed on to it."""
    with contextlib.ExitStack() as handlers:
        handlers.enter_context(_handling(signal.SIGINT, lambda *_: None))
        process = subprocess.Popen(command, env=environment)
        handlers.enter_context(_handling(signal.SIGTERM, lambda *_: process.terminate()))
        return process.wait()


@contextlib.contextmanager
def _handling(number: signal.Signals, handler: signal._HANDLER) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def end(run_id: str, code: int) -> bool:
    """Note in the journal of a run, where its program has not, how that ended; whether anything is left in it."""
    folder = lossboard.data_folder() / "journals" / run_id
    try:
        held = lossboard.hold(folder)
    except OSError:  # all has arrived, or a process that the program has left behind goes on with it
        return False
    with held:
        if not (folder / "ending.json").exists():
            lossboard.write(folder / "ending.json", json.dumps(ending_of(code)).encode())
    return True


def ending_of(code: int) -> dict[str, object]:
    """How a run ended whose program ended with this code, or with a signal of this number below zero."""
    if not code:
        return {"status": "finished", "result": {}, "error": None}
    if code in (-signal.SIGINT, -signal.SIGTERM):
        return {"status": "stopped", "result": {}, "error": None}
    how = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
    return {"status": "failed", "result": {}, "error": f"The program ended with {how}."}
