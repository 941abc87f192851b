"""Who may read what lies in a folder."""

from __future__ import annotations

from pathlib import Path


def modes_in(folder: Path) -> dict[str, int]:
    """The mode of each file and folder below a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.lstat().st_mode & 0o777 for path in folder.rglob("*")}


def open_to_others(folder: Path) -> list[str]:
    """What others have any right to: the folder itself (as ".") and what is below it."""
    modes = {".": folder.stat().st_mode, **modes_in(folder)}
    return [path for path, mode in modes.items() if mode & 0o077]
