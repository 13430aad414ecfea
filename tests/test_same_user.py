"""Whose a loopback connection is: the kernel's tables read rightly, and another account turned away."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev import same_user
from arkor_dev.same_user import owner_of

from .studio import running_studio

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.settings import Settings

    from .studio import Studio

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net is Linux's")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
# 127.0.0.1:50000 → 127.0.0.1:4000 as a little-endian kernel prints it, in IPv4 and mapped into IPv6.
REST = "01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0"
MAPPED = "0000000000000000FFFF00000100007F"
ROW = f"   0: 0100007F:C350 0100007F:0FA0 {REST}"
BACK = f"   1: 0100007F:0FA0 0100007F:C350 {REST}"
ROW6 = f"   0: {MAPPED}:C350 {MAPPED}:0FA0 {REST}"
PEER, OWN = ("127.0.0.1", 50000), ("127.0.0.1", 4000)
little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the rows are a little-endian kernel's")


def table(path: Path, *rows: str) -> Path:
    """A file as /proc/net/tcp has it."""
    path.write_text("\n".join([HEAD, *rows, ""]))
    return path


@little_endian
def test_the_owner_of_a_listed_socket(tmp_path: Path) -> None:
    listed = table(tmp_path / "tcp", BACK.format(uid=7, inode=8), ROW.format(uid=1001, inode=9))
    assert owner_of(PEER, OWN, [listed]) == 1001
    assert owner_of(OWN, PEER, [listed]) == 7
    assert owner_of(("127.0.0.1", 50001), OWN, [listed]) is None
    assert owner_of(("127.0.0.2", 50000), OWN, [listed]) is None


@little_endian
def test_a_socket_of_ipv6_that_talks_ipv4(tmp_path: Path) -> None:
    tables = [table(tmp_path / "tcp"), table(tmp_path / "tcp6", ROW6.format(uid=1002, inode=9))]
    assert owner_of(PEER, OWN, tables) == 1002


@little_endian
def test_an_orphan_is_nobodys(tmp_path: Path) -> None:
    """A socket whose process has ended is listed as root's, with inode 0."""
    assert owner_of(PEER, OWN, [table(tmp_path / "tcp", ROW.format(uid=0, inode=0))]) is None


def test_missing_tables_tell_nothing(tmp_path: Path) -> None:
    assert owner_of(PEER, OWN, [tmp_path / "tcp", tmp_path / "tcp6"]) is None


@linux
def test_a_true_socket_is_mine() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
    ):
        assert owner_of(mine.getsockname(), mine.getpeername()) == os.getuid()


@linux
def test_a_true_socket_of_ipv6_is_mine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as mine:
        mine.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
        assert owner_of(("127.0.0.1", mine.getsockname()[1]), server.getsockname()) == os.getuid()


@pytest.mark.parametrize(
    ("peer", "own", "status"),
    [
        (os.getuid(), os.getuid(), 200),
        (os.getuid() + 1, os.getuid(), 403),
        (None, os.getuid(), 403),  # gone already: nobody is left to read the page
        (None, None, 200),  # no such tables (another system): nothing to judge by
    ],
)
async def test_verdicts(
    peer: int | None, own: int | None, status: int, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(same_user, "owner_of", lambda local, _: own if local[1] == studio.port else peer)
    for path, known in (("/", b"arkor-studio-token"), ("/api/train", b"runs")):
        async with studio.session.get(path) as answer:
            assert answer.status == status
            body = await answer.read()
        assert (known in body) == (status == 200)
        if status == 403:
            assert b"--allow-other-users" in body
            assert studio.token.encode() not in body


async def test_one_look_serves_a_connection(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    real = same_user.owner_of

    def counted(*args: object) -> int | None:
        looks.append(args)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(same_user, "owner_of", counted)
    for _ in range(3):
        async with studio.session.get("/api/train") as answer:
            assert answer.status == 200
            await answer.read()
    assert len(looks) == 1


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
    out, _ = await asyncio.wait_for(child.communicate(), 20)
    head, _, body = out.decode().partition("\r\n\r\n")
    return int(head.split()[1]), body


@linux
@as_root
async def test_another_account_is_turned_away(studio: Studio) -> None:
    for path in ("/", "/index.html", "/api/jobs"):
        status, said = await visit_as_nobody(studio, path)
        assert status == 403
        assert "--allow-other-users" in said
        assert studio.token not in said


@linux
@as_root
async def test_allow_other_users(settings: Settings, signed_in: None) -> None:
    async with running_studio(replace(settings, allow_other_users=True)) as studio:
        assert (await visit_as_nobody(studio, "/"))[0] == 200
        assert (await visit_as_nobody(studio, "/api/jobs"))[0] == 403  # the token is needed all the same
