"""The build hook, with the real npm asking a small registry on this machine."""

import base64
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import hatch_build
from hatch_build import AssetError, collect, fetch, parse, select

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
        collect(project, "nowhere@1.0.0 sha512-x\n    a.js  js/a.js\n")

    text = str(caught.value)
    assert "did not bring nowhere@1.0.0" in text
    assert "npm error code E404" in text
    assert "npm_config_registry" in text
    assert "run the same command again" in text
    assert not (project / "app" / "assets").exists()


def test_an_npm_that_hangs_is_stopped(registry: Registry, tmp_path: Path):
    with pytest.raises(AssetError, match=r"npm was stopped after 0.01 seconds and did not bring one@1\.0\.0"):
        fetch(["one@1.0.0"], tmp_path, timeout=0.01)


def test_a_tarball_with_another_integrity_is_refused_by_name():
    data = packed({"a.js": "changed on the way"})
    with pytest.raises(AssetError, match=r"thing@2\.0\.0 .* integrity is sha512-.*, not sha512-other"):
        select("thing@2.0.0", "sha512-other", {"a.js": "js/a.js"}, data)


def test_a_file_that_the_package_lacks_is_named():
    data = packed({"a.js": ""})
    with pytest.raises(AssetError, match=r"thing@2\.0\.0 has no b\.js"):
        select("thing@2.0.0", integrity(data), {"b.js": "js/b.js"}, data)


@pytest.mark.parametrize("name", ["js/../../../out.js", "js/..\\..\\out.js", "js//out.js"])
def test_only_declared_files_are_taken_and_none_leads_out_of_the_folder(name: str):
    data = packed({name: "", "secret.js": "", "LICENSE": "", "deep/LICENSE": "", "LICENSE\\..\\..\\out": ""})
    taken = select("thing@2.0.0", integrity(data), {"js/*.js": "js/"}, data)
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
        select("thing@2.0.0", integrity(data), {"a.js": "js/a.js"}, data)


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
