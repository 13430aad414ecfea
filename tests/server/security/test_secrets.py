"""No secret goes where it does not belong: not the backend's to the page, not the launch's to a child."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.core.settings import Settings
from arkor_dev.project import data_check
from arkor_dev.server.static_page import STATIC
from tests.support.fake_backend import TOKEN
from tests.support.processes import training_command

from .test_guards import api_routes

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

pytestmark = pytest.mark.usefixtures("node_on_path")

BODIES: dict[tuple[str, str], object] = {
    ("POST", "/api/inference/chat"): {
        "messages": [{"role": "user", "content": "hi"}], "baseModel": "tiny",
    },
    ("POST", "/api/deployments"): {
        "slug": "my-bot", "target": {"kind": "base_model", "baseModel": "m"}, "authMode": "none",
    },
    ("PATCH", "/api/deployments/id"): {"enabled": False},
    ("POST", "/api/deployments/id/keys"): {"label": "key"},
}  # fmt: skip


async def every_answer(studio: Studio) -> list[tuple[str, bytes]]:
    """Head and body of every route's answer, the page and its assets too."""
    answers = []
    for method, path in [("GET", "/"), ("GET", "/nothing.js"), *api_routes(studio.app)]:
        async with (
            asyncio.timeout(60),
            studio.session.request(method, path, json=BODIES.get((method, path))) as answer,
        ):
            head = f"{answer.status} {answer.reason} {answer.raw_headers!r}".encode()
            answers.append((f"{method} {path} {answer.status}", head + await answer.read()))
    return answers


ECHOES = [
    {"status": 400, "body": json.dumps({"error": f"Bearer {TOKEN} may not do this."}).encode()},
    {"status": 500, "body": f"<pre>Authorization: Bearer {TOKEN}</pre>".encode()},
    {"status": 401, "body": json.dumps({"error": TOKEN, "token": TOKEN}).encode()},
    {"status": 302, "headers": {"Location": f"http://evil.example/?token={TOKEN}"}},
    {"status": 200, "body": b'{"jobs": []}', "headers": {"Warning": f'299 - "token {TOKEN}"'}},
    {"garbage": f"HTTP/1.1 200 {TOKEN}\r\nBroken {TOKEN}\r\n\r\n".encode()},
    {"status": 426, "body": TOKEN.encode()},
]


@pytest.mark.parametrize("echo", ECHOES, ids=lambda echo: str(echo.get("status", "garbage")))
async def test_the_backend_token_is_in_no_response(
    echo: dict[str, object],
    studio: Studio,
    fake_backend: FakeBackend,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the backend itself echoes it, in a body, a header, a redirect or nonsense."""

    async def asks_no_backend(*_: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(data_check, "check_in_child", asks_no_backend)
    fake_backend.fault("*", **echo)  # type: ignore[arg-type]
    answers = await every_answer(studio)
    assert len(answers) > 15
    assert [name for name, answer in answers if TOKEN.encode() in answer] == []
    assert fake_backend.requests, "the backend has not even been asked"
    assert all(seen.headers.get("Authorization") == f"Bearer {TOKEN}" for seen in fake_backend.requests)
    assert TOKEN not in caplog.text


async def test_the_studio_token_is_in_the_page_only(studio: Studio) -> None:
    training_command(studio.settings.project, "print('out')")
    having = [name for name, answer in await every_answer(studio) if studio.token.encode() in answer]
    assert having == ["GET / 200"]


DUMP = """
import os, sys
print(dict(os.environ), sys.argv)
pid = os.getpid()
while pid > 1:
    for name in ("cmdline", "environ"):
        try:
            print(open(f"/proc/{pid}/{name}").read())
        except OSError:
            pass
    if pid == DAEMON:
        break
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
print(os.listdir("/proc/self/fd"))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_training_commands_do_not_get_the_studio_token(studio: Studio) -> None:
    """Neither from its environment nor from the command lines of the processes above it."""
    program = DUMP.replace("DAEMON", str(os.getpid()))
    training_command(studio.settings.project, program)
    async with studio.session.post("/api/train") as answer:
        printed = await answer.text()
    assert "HOME" in printed
    assert "supervisor.py" in printed
    assert studio.token not in printed
    assert TOKEN not in printed
    # Standard input, output and error, and the folder being listed: no pipe or socket of the daemon's.
    assert "['0', '1', '2', '3']" in printed


def test_the_page_puts_no_token_in_urls() -> None:
    """The bundle knows the header; the query's name is EventSource's, and the page uses fetch."""
    scripts = [path.read_text() for path in Path(STATIC).rglob("*.js")]
    assert scripts
    assert any("X-Arkor-Studio-Token" in text for text in scripts)
    assert not any("studioToken=" in text or "EventSource" in text for text in scripts)


def test_settings_do_not_show_the_token() -> None:
    folder = Path()
    one, other = (Settings(project=folder, home=folder, data=folder, cache=folder) for _ in range(2))
    assert len(one.studio_token) == 43  # 32 bytes in base64url
    assert one.studio_token != other.studio_token
    assert one.studio_token not in repr(one)
