"""The exact versions in pyproject.toml: they are those that are installed, and the build has all that it needs."""

import re
import tomllib
from importlib.metadata import distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
RENEW = "`uv sync` installs the listed versions, `uv run .ci/renew_versions.py` lists the newest ones"


def pinned(key: str) -> dict[str, str]:
    """Return the versions of a list of [tool.uv], as far as they are for this platform and this Python."""
    requirements = [Requirement(line) for line in PROJECT["tool"]["uv"][key]]
    here = [r for r in requirements if r.marker is None or r.marker.evaluate()]
    assert len({r.name for r in here}) == len(here)
    return {r.name: str(r.specifier).removeprefix("==") for r in here}


def needed(requirement: Requirement) -> set[str]:
    """Return the names of an installed requirement and of all that it needs here."""
    found: set[str] = set()
    left = [requirement]
    while left:
        name = canonicalize_name(left.pop().name)
        if name not in found:
            found.add(name)
            needs = [Requirement(line) for line in distribution(name).requires or []]
            left += [need for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def test_what_is_installed_has_the_version_that_is_listed():
    installed = {canonicalize_name(each.name): each.version for each in distributions()}
    del installed["lossboard"]
    listed = pinned("constraint-dependencies")
    others = {name: (have, listed.get(name)) for name, have in installed.items() if listed.get(name) != have}
    assert others == {}, f"(installed, listed); {RENEW}"


@pytest.mark.parametrize("line", PROJECT["build-system"]["requires"])
def test_everything_that_the_build_needs_is_listed(line: str):
    listed = pinned("build-constraint-dependencies")
    names = needed(Requirement(line))
    assert len(names) > 1
    assert {name: listed.get(name) for name in names} == {name: distribution(name).version for name in names}, RENEW


@pytest.mark.parametrize("key", ["constraint-dependencies", "build-constraint-dependencies"])
def test_each_listed_version_is_exact(key: str):
    for line in PROJECT["tool"]["uv"][key]:
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", line)


def test_uv_builds_with_what_the_environment_has_and_so_without_a_network():
    assert PROJECT["tool"]["uv"]["no-build-isolation-package"] == [PROJECT["project"]["name"]]
    assert PROJECT["dependency-groups"]["build"] == PROJECT["build-system"]["requires"]
    assert "build" in PROJECT["tool"]["uv"]["default-groups"]


@pytest.mark.parametrize("line", PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"])
def test_a_next_major_version_is_not_installed_by_pip(line: str):
    specifier = Requirement(line).specifier
    assert not specifier.contains("99999"), f"{line} has no upper bound"
