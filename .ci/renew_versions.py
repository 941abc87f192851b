# /// script
# requires-python = ">=3.12"
# ///
"""Renew the exact versions in pyproject.toml: `uv run .ci/renew_versions.py`, then `uv sync` and the tests.

uv resolves all groups anew, for all platforms and without the versions of today; what it finds is written into
the two lists of [tool.uv]. A uv.lock is not kept in the repository: it would name the registry it was made with.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent / "pyproject.toml"
LISTS = ("constraint-dependencies", "build-constraint-dependencies")
NAME = re.compile(r"[\w.-]+")
# Visdom comes as source and names no build requirements: an installer takes setuptools then.
UNNAMED_BUILD_REQUIREMENTS = ["setuptools"]


def resolve(project: str) -> list[dict[str, Any]]:
    """Return the packages of the lock file that uv makes for this text of a pyproject.toml."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pyproject.toml").write_text(project, encoding="utf-8")
        subprocess.run(["uv", "lock", "--directory", folder], check=True)
        lock = tomllib.loads(Path(folder, "uv.lock").read_text(encoding="utf-8"))
    packages: list[dict[str, Any]] = lock["package"]
    return [package for package in packages if "registry" in package["source"]]


def closure(names: list[str], packages: list[dict[str, Any]]) -> set[str]:
    """Return these packages' names and those of all that they depend on."""
    needs: dict[str, set[str]] = defaultdict(set)
    for package in packages:
        needs[package["name"]] |= {dependency["name"] for dependency in package.get("dependencies", [])}
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= needs[name] - found
    return found


def constraints(packages: list[dict[str, Any]]) -> list[str]:
    """Return a requirement for each package, with a marker where a platform or a Python has a version of its own."""
    lines = []
    for package in packages:
        line = f"{package['name']}=={package['version']}"
        if markers := package.get("resolution-markers"):
            line += " ; " + " or ".join(f"({marker})" if len(markers) > 1 else marker for marker in markers)
        lines.append(line)
    return lines


def replace(project: str, key: str, lines: list[str]) -> str:
    """Return the text with another content of the list that stands under [tool.uv] with this key."""
    content = "".join(f'    "{line}",\n' for line in lines)
    text, count = re.subn(rf"^{key} = \[\n.*?^\]", f"{key} = [\n{content}]", project, flags=re.M | re.S)
    if count != 1:
        raise SystemExit(f"{PROJECT} has {count} lists {key}, not one.")
    return text


def renew(project: str) -> str:
    """Return the text of a pyproject.toml with both lists made anew."""
    for key in LISTS:
        project = replace(project, key, [])
    packages = resolve(project)
    required = tomllib.loads(project)["build-system"]["requires"]
    roots = [found[0] for line in required if (found := NAME.match(line))] + UNNAMED_BUILD_REQUIREMENTS
    build = closure(roots, packages)
    project = replace(project, LISTS[0], constraints(packages))
    return replace(project, LISTS[1], constraints([package for package in packages if package["name"] in build]))


if __name__ == "__main__":
    before = PROJECT.read_text(encoding="utf-8")
    after = renew(before)
    PROJECT.write_text(after, encoding="utf-8")
    changed = set(after.splitlines()) - set(before.splitlines())
    sys.stdout.write("".join(f"{line.strip(' ,')}\n" for line in sorted(changed)) or "Nothing is newer.\n")
