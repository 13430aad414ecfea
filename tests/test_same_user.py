"""Another account of the machine is turned away."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev import same_user, socket_owner

from .studio import running_studio

if TYPE_CHECKING:
    from arkor_dev.settings import Settings

    from .studio import Studio

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc/net is Linux's")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


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
    real = socket_owner.owner_of

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
