"""The browser's files: all are there, and all pages find them on this machine."""

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import assets
from app.api.docs import add_docs
from app.middleware.behind_proxy import BehindProxy
from app.settings import Settings

STATIC_URL = re.compile(r"""static_url\(\s*['"]([^'"]+)['"]\s*\)""")
LINK = re.compile(r"""(?:src|href)=["']([^"']+)["']|url: ['"]([^'"]+)['"]""")


def visdom_folder() -> Path:
    """Find Visdom without importing it, which takes seconds."""
    spec = find_spec("visdom")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def visdom_pages() -> list[Path]:
    return sorted((visdom_folder() / "static").glob("*.html"))


def test_the_assets_are_there():
    assets.require()


def test_a_missing_asset_is_named_with_the_command_that_brings_it(tmp_path: Path):
    with pytest.raises(assets.AssetsMissingError, match=r"stamp\.txt is missing"):
        assets.require(tmp_path)

    (tmp_path / "stamp.txt").write_text("hash\nhere.js\ngone.js")
    (tmp_path / "here.js").touch()
    with pytest.raises(assets.AssetsMissingError, match=r"gone\.js is missing.*uv sync --reinstall-package"):
        assets.require(tmp_path)

    (tmp_path / "gone.js").touch()
    assets.require(tmp_path)


@pytest.mark.parametrize("page", visdom_pages(), ids=lambda page: page.name)
def test_everything_that_visdoms_pages_ask_for_is_there(page: Path):
    wanted = set(STATIC_URL.findall(page.read_text(encoding="utf-8")))
    assert wanted
    wanted -= {"../user/style.css"}  # a file in the user's folder, which Visdom serves itself
    own = {name for name in wanted if (page.parent / name).is_file()}
    assert {name for name in wanted - own if not (assets.VISDOM / name).is_file()} == set()


def test_everything_that_visdom_would_download_is_there():
    text = (visdom_folder() / "server" / "build.py").read_text(encoding="utf-8")
    names = re.findall(r"""^\s+(?:["%].*)?: "([\w.#-]+)",""", text, re.MULTILINE)
    assert len(names) == 21
    have = {path.name for path in assets.VISDOM.rglob("*")}
    assert {name.partition("#")[0] for name in names} - have == set()


@pytest.mark.parametrize("folder", [assets.VISDOM, assets.SWAGGER], ids=lambda folder: folder.name)
def test_everything_that_the_style_sheets_ask_for_is_there(folder: Path):
    for sheet in folder.rglob("*.css"):
        for url in re.findall(r"""url\(["']?([^"')]+)""", sheet.read_text(encoding="utf-8")):
            if not url.startswith("data:"):
                assert (sheet.parent / re.split("[?#]", url)[0]).is_file(), f"{sheet.name} asks for {url}"


def test_every_package_keeps_its_licence():
    folders = sorted((assets.FOLDER / "licenses").iterdir())
    assert "plotly.js-dist-min" in [folder.name for folder in folders]
    for folder in folders:
        assert any(path.stat().st_size > 20 for path in folder.iterdir()), folder.name


@pytest.mark.parametrize("root", ["", "/lossboard"])
def test_the_page_of_the_api_asks_this_machine_only(root: str):
    app = FastAPI(title="Lossboard", openapi_url=None, docs_url=None, redoc_url=None)
    add_docs(app)
    app.add_middleware(BehindProxy, settings=Settings(root_path=root))
    client = TestClient(app)
    page = client.get(f"{root}/docs")
    assert page.status_code == 200

    urls = [one or other for one, other in LINK.findall(page.text)]
    assert len(urls) == 4  # script, style, icon and schema
    for url in urls:
        assert not url.startswith("/")  # relative: the board may live below a path that only the browser knows
        assert client.get(urljoin(f"{root}/docs", url)).status_code == 200, url
    assert client.get(f"{root}/openapi.json").json().get("servers") == ([{"url": root}] if root else None)
    assert "://" not in page.text
    assert '"validatorUrl": null' in page.text


def test_the_page_of_the_api_is_not_part_of_the_api():
    app = FastAPI(docs_url=None, redoc_url=None)
    add_docs(app)
    assert app.openapi()["paths"] == {}
