"""The bundle: the page with this launch's token, assets in the smallest form, and no other file, ever."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from yarl import URL

from arkor_dev.contract.errors import ArkorError
from arkor_dev.server.static_page import STATIC, TOKEN_PLACEHOLDER, bundle_handler, load_assets

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.pytest_plugin import AiohttpClient
    from aiohttp.test_utils import TestClient

    from tests.support.studio import Studio

    Client = TestClient[web.Request, web.Application]

PAGE = b'<!doctype html><meta name="arkor-studio-token" content="__ARKOR_STUDIO_TOKEN__">'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small bundle: one asset in three forms, one in one, a favicon, and a secret beside the bundle."""
    bundle = tmp_path / "static"
    (bundle / "assets").mkdir(parents=True)
    (bundle / "index.html").write_bytes(PAGE)
    (bundle / "assets" / "app-1a2b.js").write_bytes(b"plain script")
    (bundle / "assets" / "app-1a2b.js.gz").write_bytes(b"gzipped")
    (bundle / "assets" / "app-1a2b.js.br").write_bytes(b"brotlied")
    (bundle / "assets" / "app-3c4d.css").write_bytes(b"style")
    (bundle / "favicon.svg").write_bytes(b"<svg/>")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    return bundle


@pytest.fixture
async def client(folder: Path, aiohttp_client: AiohttpClient) -> Client:
    """The bundle's handler alone."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", bundle_handler('to"ken', folder))
    return await aiohttp_client(app, auto_decompress=False)


@pytest.mark.parametrize("path", ["/", "/index.html", "/jobs", "/jobs/job-1", "/a/b/", "/assets/missing"])
async def test_the_page_contains_the_token(path: str, client: Client) -> None:
    answer = await client.get(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert 'content="to&quot;ken"' in await answer.text()


@pytest.mark.parametrize(
    "path",
    [
        "/missing.js", "/assets/app-1a2b.js.gz", "/assets/app-1a2b.js.br", "/../secret.txt",
        "/%2e%2e/secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt",
        "/.env", "/.git/config",   "/%00", "/a%0ab", "/..%5c..%5csecret", "/api/x", "/api",
    ],
)  # fmt: skip
async def test_other_paths_are_404(path: str, client: Client) -> None:
    answer = await client.get(URL(path, encoded=True))
    assert answer.status == 404
    assert await answer.read() != b"secret"


@pytest.mark.parametrize(
    ("accepted", "coding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"brotlied"),
        ("gzip", "gzip", b"gzipped"),
        ("GZIP;q=0.5", "gzip", b"gzipped"),
        ("br;q=0, gzip", "gzip", b"gzipped"),
        ("br;q=0.0, gzip;q=0", None, b"plain script"),
        ("abr", None, b"plain script"),
        ("identity", None, b"plain script"),
    ],
)
async def test_the_smallest_accepted_encoding_is_sent(
    accepted: str, coding: str | None, body: bytes, client: Client
) -> None:
    answer = await client.get("/assets/app-1a2b.js", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == coding
    assert await answer.read() == body
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Vary"] == "Accept-Encoding"


async def test_files_without_a_hash_are_revalidated(client: Client) -> None:
    answer = await client.get("/favicon.svg")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["Content-Type"] == "image/svg+xml"


async def test_head_and_other_methods_are_answered(client: Client) -> None:
    answer = await client.head("/assets/app-3c4d.css")
    assert (answer.status, await answer.read(), answer.headers["Content-Length"]) == (200, b"", "5")
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"  # nosniff: nothing else is applied
    answer = await client.post("/")
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) == {"GET", "HEAD"}


def test_a_missing_bundle_names_the_build_command(tmp_path: Path) -> None:
    with pytest.raises(ArkorError, match="scripts/build-web"):
        bundle_handler("token", tmp_path)


@pytest.mark.parametrize("page", [b"none", PAGE + TOKEN_PLACEHOLDER])
def test_a_page_needs_exactly_one_token_placeholder(page: bytes, folder: Path) -> None:
    (folder / "index.html").write_bytes(page)
    with pytest.raises(ValueError, match="exactly once"):
        bundle_handler("token", folder)


async def test_the_committed_bundle_is_complete_and_self_contained(studio: Studio) -> None:
    """The committed one: all that the page refers to is there, and nothing comes from elsewhere."""
    async with studio.stranger.get("/") as answer:
        page = await answer.text()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert named
    for name in named:
        if name.startswith("data:"):
            continue
        async with studio.stranger.get(name) as asset:
            assert asset.status == 200, name
    assert "style=" not in page
    assert "<script>" not in page
    assets = load_assets(STATIC)
    assert all(name.startswith("/") for name in assets)
    assert "application/octet-stream" not in {asset.content_type for asset in assets.values()}
