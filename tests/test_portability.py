"""Nothing needs what only POSIX has before it is known to be there: the app imports, and picks its way, without it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_architecture import LIBRARIES

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "trainers", "lossboard_extras")
SOURCES = [ROOT / "lossboard.py", *(path for top in PACKAGES for path in sorted((ROOT / top).rglob("*.py")))]
# What runs in other programs, with their libraries.
OTHER_PROGRAMS = {
    "app.visdom.server_process",
    "lossboard_extras.capture.sitecustomize",
    *(f"lossboard_extras.{name}" for name in LIBRARIES),
}
POSIX_ONLY = {
    "crypt",
    "curses",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
}

# The libraries are imported as they are here; then ours, all over again, with what Windows lacks taken away.
PROGRAM = """
import asyncio, os, signal, sys
import app.cli
for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
    del sys.modules[name]
for name in POSIX_ONLY:
    sys.modules[name] = None
for module, names in MISSING.items():
    for name in names:
        if hasattr(sys.modules[module], name):
            delattr(sys.modules[module], name)
import importlib
for name in MODULES:
    importlib.import_module(name)
from app.workers.local import SpawningExecutor, local_executor
assert isinstance(local_executor(preload_torch=True), SpawningExecutor)
"""
MISSING = {
    "os": [
        "fork",
        "forkpty",
        "getuid",
        "geteuid",
        "getgid",
        "killpg",
        "setsid",
        "getpgid",
        "WNOHANG",
        "posix_fallocate",
    ],
    "signal": [
        "SIGKILL",
        "SIGCHLD",
        "SIGHUP",
        "SIGUSR1",
        "SIGUSR2",
        "SIGALRM",
        "SIGPIPE",
        "alarm",
        "setitimer",
        "pause",
    ],
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_imports_what_only_posix_has(path: Path) -> None:
    imported: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.partition(".")[0])
    assert not imported & POSIX_ONLY


def test_everything_is_imported_without_what_windows_lacks() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES]
    modules = [name for name in names if name not in OTHER_PROGRAMS]
    ours = f"OURS = {(*PACKAGES, 'lossboard')!r}"
    program = f"{ours}; POSIX_ONLY = {POSIX_ONLY!r}; MISSING = {MISSING!r}; MODULES = {modules!r}\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
