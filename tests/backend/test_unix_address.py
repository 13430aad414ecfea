"""A backend on a Unix socket: its address, and whom Studio talks to there."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from yarl import URL

from arkor_dev.backend.http_client import HttpClient, open_http_client
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.backend.unix_address import address_of, socket_of
from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.identity.base_url import clean_base_url
from arkor_dev.identity.views import credentials_view, header_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder with a short path, which pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with open_http_client() as http:
        yield http


async def listen(path: Path, says: str) -> web.AppRunner:
    """A server that answers with its own words, the path asked for and the host's name."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response([says, request.path_qs, request.headers["Host"]])

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    return runner


@pytest.mark.parametrize("path", ["/run/User/0/arkor-dev-a_b/backend.sock", "/tmp/ä b%/?#s", "/tmp/\udcff/s"])
def test_an_address_round_trips_to_its_socket_path(path: str) -> None:
    for url in (URL(address_of(path)), URL(f"{address_of(path)}/v1/jobs?x=1", encoded=True)):
        assert socket_of(url) == Path(path)


@pytest.mark.parametrize("url", ["http://2f", "http+unix:///x", "http+unix://zz/x", "http+unix://2", "2f"])
def test_other_urls_are_not_unix_addresses(url: str) -> None:
    assert socket_of(URL(url)) is None


def test_a_unix_address_in_settings_is_refused() -> None:
    """A backend's address in a file or the environment is a web address."""
    with pytest.raises(ArkorError, match="is not a web address"):
        clean_base_url(address_of("/tmp/s"), "ARKOR_CLOUD_API_URL")


async def test_calls_go_over_the_unix_socket(folder: Path, http: HttpClient) -> None:
    http.own_ports.add(80)  # what a bare "localhost" would be
    runner = await listen(folder / "s", "first")
    url = URL(address_of(folder / "s") + "/v1/jobs%2Fx?a=%20b", encoded=True)
    answer = await http.call("GET", url, headers={})
    assert answer.body == b'["first", "/v1/jobs%2Fx?a=%20b", "localhost"]'
    # Started again, it listens somewhere else.
    again = await listen(folder / "t", "second")
    await runner.cleanup()
    other = URL(address_of(folder / "t") + "/v1", encoded=True)
    assert b"second" in (await http.call("GET", other, headers={})).body
    with pytest.raises(ArkorError, match=r"The local backend does not answer\. Start Studio again") as fault:
        await http.call("GET", url, headers={})
    assert status_of(fault.value) == 502
    await again.cleanup()


async def test_a_socket_without_a_server_is_an_error(folder: Path, http: HttpClient) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(folder / "s"))
    with pytest.raises(ArkorError, match="The local backend does not answer"):
        await http.call("GET", URL(address_of(folder / "s") + "/v1", encoded=True), headers={})


async def test_a_socket_in_a_shared_folder_is_refused(folder: Path, http: HttpClient) -> None:
    runner = await listen(folder / "s", "anybody")
    folder.chmod(0o755)
    url = URL(address_of(folder / "s") + "/v1", encoded=True)
    with pytest.raises(ArkorError, match="is not private to this user"):
        await http.call("GET", url, headers={"Authorization": "secret"})
    folder.chmod(0o700)
    assert b"anybody" in (await http.call("GET", url, headers={})).body
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
        with pytest.raises(ArkorError, match="is not private to this user"):
            await http.call("GET", url, headers={"Authorization": "secret"})
        os.chown(folder, 0, 0)
    await runner.cleanup()


def test_a_unix_address_is_shown_as_this_machine() -> None:
    credentials = Credentials("anon", "t" * 40, "local", address_of("/tmp/arkor-dev-x/backend.sock"))
    scope = Scope("local", "bot", "bot")
    assert header_line(credentials, scope) == "anonymous · local / bot · this machine"
    assert credentials_view(credentials, scope)["baseUrl"] == "http://localhost"
