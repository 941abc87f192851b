"""The build hook, with the real npm asking a small registry on this machine."""

import base64
import hashlib
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hatch_build
from hatch_build import AssetError, cache_folder, check, collect, fetch, parse, select

ROOT = Path(hatch_build.__file__).parent


def packed(files: dict[str, str], folder: str = "package/") -> bytes:
    """Make a tarball as npm does."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(folder + name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def integrity(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


class Registry(ThreadingHTTPServer):
    """A package registry that npm can ask: it has what is put into `tarballs`, all of it at version 1.0.0."""

    def __init__(self) -> None:
        self.tarballs: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def about(self, name: str) -> bytes:
        url = f"{self.url}/{name}/-/{name}-1.0.0.tgz"
        dist = {"tarball": url, "integrity": integrity(self.tarballs[name])}
        versions = {"1.0.0": {"name": name, "version": "1.0.0", "dist": dist}}
        return json.dumps({"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": versions}).encode()


class Answer(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        name = self.path.split("/")[1]
        self.server.asked.append(self.path)
        body = b"" if name not in self.server.tarballs else self.server.about(name)
        if body and self.path.endswith(".tgz"):
            body = self.server.tarballs[name]
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test an empty cache of its own."""
    monkeypatch.setenv("LOSSBOARD_ASSET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("npm_config_registry", server.url)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project" / "app").mkdir(parents=True)
    return tmp_path / "project"


def test_collects_what_the_table_names_and_then_asks_for_nothing_more(registry: Registry, project: Path):
    one = packed({"dist/one.min.js": "1", "README.md": "", "LICENSE": "MIT"})
    two = packed({"css/a.css": "a", "css/b.css": "b", "package.json": '{"name": "two", "license": "ISC"}'})
    registry.tarballs = {"one": one, "two": two}
    table = f"""
one@1.0.0 {integrity(one)}
    dist/one.min.js  js/one.js
two@1.0.0 {integrity(two)}
    css/*.css        css/
"""
    collect(project, table)

    assets = project / "app" / "assets"
    assert files_in(assets) == {
        "js/one.js",
        "css/a.css",
        "css/b.css",
        "licenses/one/LICENSE",
        "licenses/two/package.txt",
        "stamp.txt",
    }
    assert (assets / "js/one.js").read_text() == "1"
    assert "license: ISC" in (assets / "licenses/two/package.txt").read_text()
    assert files_in(project / "build") == set()

    asked = len(registry.asked)
    collect(project, table)
    assert len(registry.asked) == asked


def test_collects_again_when_the_table_changed_or_a_file_is_gone(registry: Registry, project: Path):
    data = packed({"one.js": "1", "two.js": "2", "LICENSE": "MIT"})
    registry.tarballs = {"one": data}
    table = f"one@1.0.0 {integrity(data)}\n    one.js  js/one.js\n"
    collect(project, table)

    (project / "app/assets/js/one.js").unlink()
    collect(project, table)
    assert (project / "app/assets/js/one.js").read_text() == "1"

    collect(project, table + "    two.js  js/two.js\n")
    assert files_in(project / "app/assets/js") == {"one.js", "two.js"}

    collect(project, table)  # what the table no longer names does not stay behind
    assert files_in(project / "app/assets/js") == {"one.js"}


def test_a_build_that_fails_half_way_leaves_everything_as_it_was(registry: Registry, project: Path):
    good, other = packed({"good.js": "good", "LICENSE": ""}), packed({"other.js": "", "LICENSE": ""})
    registry.tarballs = {"good": good, "other": other}
    table = f"good@1.0.0 {integrity(good)}\n    good.js  js/good.js\n"
    collect(project, table)
    before = files_in(project)

    with pytest.raises(AssetError, match=r"other@1\.0\.0 is not what it should be"):
        collect(project, f"{table}other@1.0.0 {integrity(b'')}\n    other.js  js/other.js\n")

    assert files_in(project) == before


def test_a_failed_download_says_what_failed_and_how_to_go_on(registry: Registry, project: Path):
    with pytest.raises(AssetError) as caught:
        collect(project, f"nowhere@1.0.0 {integrity(b'')}\n    a.js  js/a.js\n")

    text = str(caught.value)
    assert "did not bring nowhere@1.0.0" in text
    assert "npm error code E404" in text
    assert "npm_config_registry" in text
    assert "run the same command again" in text
    assert not (project / "app" / "assets").exists()


def test_an_installer_shows_the_error_and_no_traceback(registry: Registry, tmp_path: Path):
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "app").mkdir()

    build = [sys.executable, "-c", "import hatchling.build; hatchling.build.build_editable('dist')"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    first, *_, last = done.stderr.splitlines()
    assert first == f"lossboard: Collecting {len(parse(hatch_build.TABLE))} npm packages for the browser."
    assert "did not bring jquery@3.7.1, bootstrap@3.4.1, react@16.2.0 and 13 more." in done.stderr
    assert last.endswith("Then run the same command again.")
    assert "Traceback" not in done.stderr


def test_a_registry_that_never_answers_ends_in_an_error(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with pytest.raises(AssetError, match=r"npm was stopped after 2 seconds and did not bring one@1\.0\.0"):
            fetch({"one@1.0.0": integrity(b"")}, cache, tmp_path, patience_s=2)


def test_an_npm_that_is_stopped_goes_on_as_long_as_it_brings_something(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[list[str]] = []

    def bring_one(specs: Sequence[str], folder: Path, patience_s: float) -> list[str]:
        asked.append(list(specs))
        if specs[0] != "c@1":
            hatch_build.tarball(folder, specs[0]).write_bytes(b"data")
        return ["npm was stopped"]

    monkeypatch.setattr(hatch_build, "run_npm", bring_one)
    with pytest.raises(AssetError, match="npm was stopped and did not bring c@1"):
        fetch({spec: integrity(b"data") for spec in ("a@1", "b@1", "c@1")}, cache, tmp_path)
    assert asked == [["a@1", "b@1", "c@1"], ["b@1", "c@1"], ["c@1"]]


def test_a_build_takes_packages_from_the_cache_without_npm(
    registry: Registry, project: Path, monkeypatch: pytest.MonkeyPatch
):
    data = packed({"one.js": "1", "LICENSE": "MIT"})
    registry.tarballs = {"one": data}
    table = f"one@1.0.0 {integrity(data)}\n    one.js  js/one.js\n"
    collect(project, table)

    copy = project.with_name("copy")
    (copy / "app").mkdir(parents=True)
    monkeypatch.setattr(hatch_build, "run_npm", lambda *_: pytest.fail("npm was started"))
    collect(copy, table)
    assert files_in(copy / "app" / "assets") == files_in(project / "app" / "assets")
    assert (copy / "app/assets/js/one.js").read_text() == "1"


def test_a_damaged_package_in_the_cache_is_brought_again(registry: Registry, project: Path, cache: Path):
    data = packed({"one.js": "1", "LICENSE": "MIT"})
    registry.tarballs = {"one": data}
    table = f"one@1.0.0 {integrity(data)}\n    one.js  js/one.js\n"
    collect(project, table)
    [entry] = cache.iterdir()
    entry.write_bytes(packed({"one.js": "changed", "LICENSE": "MIT"}))

    shutil.rmtree(project / "app" / "assets")
    collect(project, table)
    assert (project / "app/assets/js/one.js").read_text() == "1"
    assert entry.read_bytes() == data


def test_what_came_before_an_error_is_not_asked_for_again(registry: Registry, project: Path, cache: Path):
    data = packed({"one.js": "1", "LICENSE": "MIT"})
    registry.tarballs = {"one": data, "two": packed({"two.js": "2"})}
    with pytest.raises(AssetError, match=r"two@1\.0\.0 is not what it should be"):
        fetch({"one@1.0.0": integrity(data), "two@1.0.0": integrity(b"")}, cache, project)
    assert [entry.read_bytes() for entry in cache.iterdir()] == [data]


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    registry: Registry, project: Path, cache: Path, capsys: pytest.CaptureFixture[str]
):
    data = packed({"one.js": "1", "LICENSE": "MIT"})
    registry.tarballs = {"one": data}
    cache.write_text("a file where the folder should be")
    collect(project, f"one@1.0.0 {integrity(data)}\n    one.js  js/one.js\n")
    assert (project / "app/assets/js/one.js").read_text() == "1"
    assert f"The next build will need the network again: cannot write to {cache}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "/home/ada/.cache/lossboard/assets"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/lossboard/assets"),
        ("darwin", {}, "/home/ada/Library/Caches/lossboard/assets"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/lossboard/assets"),
        ("win32", {}, "/home/ada/AppData/Local/lossboard/assets"),
        ("linux", {"LOSSBOARD_ASSET_CACHE": "/mine"}, "/mine"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    platform: str, variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "LOSSBOARD_ASSET_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    assert cache_folder() == Path(folder)


def test_a_tarball_with_another_integrity_is_refused_by_name():
    with pytest.raises(AssetError, match=r"thing@2\.0\.0 .* integrity is sha512-.*, not sha512-other"):
        check("thing@2.0.0", "sha512-other", packed({"a.js": "changed on the way"}))


def test_a_file_that_the_package_lacks_is_named():
    data = packed({"a.js": ""})
    with pytest.raises(AssetError, match=r"thing@2\.0\.0 has no b\.js"):
        select("thing@2.0.0", {"b.js": "js/b.js"}, data)


@pytest.mark.parametrize("name", ["js/../../../out.js", "js/..\\..\\out.js", "js//out.js"])
def test_only_declared_files_are_taken_and_none_leads_out_of_the_folder(name: str):
    data = packed({name: "", "secret.js": "", "LICENSE": "", "deep/LICENSE": "", "LICENSE\\..\\..\\out": ""})
    taken = select("thing@2.0.0", {"js/*.js": "js/"}, data)
    assert set(taken) == {"js/out.js", "licenses/thing/LICENSE"}


def test_a_link_in_a_tarball_is_no_file():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo("package/a.js")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("package/LICENSE"))
    data = buffer.getvalue()
    with pytest.raises(AssetError, match=r"has no a\.js"):
        select("thing@2.0.0", {"a.js": "js/a.js"}, data)


def test_the_table_pins_each_package_and_gives_each_file_a_place_of_its_own():
    packages = parse(hatch_build.TABLE)
    places = [place for _, files in packages.values() for place in files.values()]
    assert len(places) == len(set(places))
    for spec, (wanted, files) in packages.items():
        assert re.fullmatch(r"[a-z0-9.-]+@\d+\.\d+\.\d+", spec)
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", wanted)
        for name, place in files.items():
            assert place.startswith(("visdom/", "swagger/"))
            assert ("*" in name) == place.endswith("/")


def test_no_host_is_named_in_the_hook():
    text = (ROOT / "hatch_build.py").read_text(encoding="utf-8")
    assert not re.search(r"://|\b[a-z0-9-]+\.(com|org|net|io|ly)\b", text)
