"""Another account of the machine is turned away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
import pytest

from arkor_dev.contract.errors import ArkorError
from arkor_dev.server import serve
from arkor_dev.server.app import create_app
from arkor_dev.server.security import same_user
from arkor_dev.server.serve import bind, serving
from tests.support.daemon import running_daemon
from tests.support.limits import no_descriptors
from tests.support.processes import script
from tests.support.studio import running_studio
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.pytest_plugin import AiohttpClient

    from arkor_dev.core.settings import Settings
    from arkor_dev.server.security.socket_owner import Address, SocketOwners
    from tests.support.daemon import Daemon
    from tests.support.studio import Studio

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net is Linux's")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


class Owners:
    """What the kernel says, made up: ``uid`` is everybody's, None when it shows nobody."""

    def __init__(self, uid: int | None) -> None:
        self.uid = uid
        self.looks = 0
        self.open = True

    def owner_of(self, peer: Address, own: Address) -> int | None:
        self.looks += 1
        return self.uid

    def close(self) -> None:
        self.open = False


@linux
@pytest.mark.parametrize(
    ("uid", "status"),
    [
        (os.getuid(), 200),
        (os.getuid() + 1, 403),
        (None, 403),  # not shown to be anybody's: never the benefit of the doubt
    ],
)
async def test_connections_of_other_users_are_refused(
    uid: int | None, status: int, settings: Settings, signed_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = Owners(uid)
    monkeypatch.setattr(same_user, "open_owners", lambda: owners)
    async with running_studio(settings) as studio:
        for path, known in (("/", b"arkor-studio-token"), ("/api/train", b"runs")):
            async with studio.session.get(path) as answer:
                assert answer.status == status
                body = await answer.read()
            assert (known in body) == (status == 200)
            if status == 403:
                assert b"--allow-other-users" in body
                assert answer.headers["Connection"] == "close"
                assert studio.token.encode() not in body
        assert owners.looks == (1 if status == 200 else 2)  # one look serves a connection
    assert not owners.open


@linux
async def test_a_connection_of_unknown_owner_is_refused(
    settings: Settings, signed_in: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blind(Owners):
        def owner_of(self, peer: Address, own: Address) -> int | None:
            raise OSError("gone already")

    monkeypatch.setattr(same_user, "open_owners", lambda: Blind(os.getuid()))
    async with running_studio(settings) as studio, studio.session.get("/") as answer:
        assert answer.status == 403


async def test_without_the_listener_every_request_is_refused(
    settings: Settings, signed_in: None, aiohttp_client: AiohttpClient
) -> None:
    """The guard does not rest on how the application is served."""
    client = await aiohttp_client(create_app(settings))
    async with client.get("/") as answer:
        assert answer.status == 403


@linux
async def test_a_system_without_socket_owners_needs_an_option(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed() -> SocketOwners:
        raise OSError("this system does not report the owner of a connection")

    monkeypatch.setattr(same_user, "open_owners", closed)
    with pytest.raises(ArkorError, match=r"does not report .* --allow-other-users"):
        async with serving(settings, bind(0)):
            raise AssertionError("it must not start")


async def test_the_number_of_connections_is_limited(
    settings: Settings, signed_in: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serve, "connections_at_most", lambda: 3)
    async with running_studio(settings) as studio:
        idle = [await asyncio.open_connection("127.0.0.1", studio.port) for _ in range(6)]
        refused = [reader for reader, _ in idle[3:]]
        for reader in refused:
            async with asyncio.timeout(30):
                assert await closed_by_peer(reader)
        assert [record.getMessage() for record in caplog.records] == [
            "Too many connections are open, so a new one was refused. Close some tabs."
        ]
        idle[0][1].close()
        await idle[0][1].wait_closed()
        assert await served(studio)
        for _, writer in idle:
            writer.close()


async def served(studio: Studio) -> bool:
    """Whether the page is, asked again while connections are refused."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with studio.session.get("/") as answer:
                    return answer.status == 200
            await asyncio.sleep(0.02)


async def test_serving_resumes_after_descriptors_run_out(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as mine:
        mine.setblocking(False)
        with no_descriptors():
            await loop.sock_connect(mine, ("127.0.0.1", studio.port))
            await until(lambda: "Too many open files" in caplog.text)
        await loop.sock_sendall(mine, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(30):
            assert (await loop.sock_recv(mine, 100)).startswith(b"HTTP/1.1 200")


async def closed_by_peer(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection that brings nothing."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


# Becomes somebody else before it connects, as another account's process would.
STRANGER = """
import os, socket, sys
path, port = sys.argv[1], int(sys.argv[2])
os.setgroups([]); os.setgid(65534); os.setuid(65534)
mine = socket.socket()
mine.connect((socket.inet_ntoa(bytes([127, 0, 0, 1])), port))
mine.sendall(f"GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n".encode())
while data := mine.recv(65536):
    os.write(1, data)
"""


async def visit_as_nobody(studio: Studio, path: str) -> tuple[int, str]:
    """Status and body that another account of this machine gets."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", STRANGER, path, str(studio.port), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(child.communicate(), 60)
    head, _, body = out.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@linux
@as_root
async def test_another_user_is_refused(studio: Studio) -> None:
    for path in ("/", "/index.html", "/api/jobs"):
        status, said = await visit_as_nobody(studio, path)
        assert status == 403
        assert "--allow-other-users" in said
        assert studio.token not in said


@linux
@as_root
async def test_allow_other_users_serves_other_users(settings: Settings, signed_in: None) -> None:
    async with running_studio(replace(settings, allow_other_users=True)) as studio:
        assert (await visit_as_nobody(studio, "/"))[0] == 200
        assert (await visit_as_nobody(studio, "/api/jobs"))[0] == 403  # the token is needed all the same


# Becomes somebody else, opens as many connections as it may, keeps those that are kept, and then asks on some
# of them for the page. Says what was answered.
FLOOD = """
import os, resource, select, socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 64, count + 64))
os.setgroups([]); os.setgid(65534); os.setuid(65534)
held = []
for _ in range(count):
    mine = socket.socket()
    mine.settimeout(1)
    try:
        mine.connect((socket.inet_ntoa(bytes([127, 0, 0, 1])), port))
    except OSError:
        continue
    held.append(mine)
print("open", flush=True)
sys.stdin.readline()
answers = []
for mine in held[:8]:
    try:
        mine.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
        said = b""
        while data := mine.recv(65536):
            said += data
    except OSError:
        continue
    if said:
        answers.append(f"{said[9:12].decode()} {b'studio-token' in said}")
print(sorted(set(answers)), flush=True)
sys.stdin.read()
"""
FLOOD_SIZE = 320


@linux
@as_root
async def test_a_flood_of_another_user_blocks_nobody(
    home: Path, tmp_path: Path, signed_in: None, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More idle connections of another account than the daemon may have open files."""
    limited = script(
        tmp_path / "python",
        "import os, resource, sys\nresource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))\n"
        f"os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])",
    )
    real = sys.executable
    monkeypatch.setattr(sys, "executable", str(limited))
    async with running_daemon(home, unused_tcp_port, "--project", str(tmp_path / "project")) as daemon:
        child = await asyncio.create_subprocess_exec(
            real, "-I", "-S", "-c", FLOOD, str(unused_tcp_port), str(FLOOD_SIZE),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert child.stdin
        assert child.stdout
        async with asyncio.timeout(100):
            assert await child.stdout.readline() == b"open\n"
            during = await answers_within(daemon, 20)
            child.stdin.write(b"\n")
            answers = await child.stdout.readline()
        child.stdin.close()
        await child.wait()
        after = await answers_within(daemon, 20)
    assert b"True" not in answers
    assert answers in (b"[]\n", b"['403 False']\n")
    assert (during, after) == (True, True)


async def answers_within(daemon: Daemon, seconds: float) -> bool:
    """Whether the owner's page and API are served in that time, asked again while they are not."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    return (await daemon.api("GET", "/api/train")) == {"runs": []}
                await asyncio.sleep(0.05)
    return False
