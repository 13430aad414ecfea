"""The local backend's process as the daemon sees it: a true one, and stand-ins that go wrong."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sqlite3
import stat
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from yarl import URL

from arkor_dev.backend.unix_address import socket_of
from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.core.torch_build import install_advice
from arkor_dev.identity import engine, local_backend
from arkor_dev.identity import local_backend_log as backend_log
from arkor_dev.identity.engine import missing_extra
from arkor_dev.identity.local_backend import LocalBackend
from arkor_dev.identity.local_backend_log import BackendLog
from tests.support.processes import alive, gone, script
from tests.support.waiting import until

if TYPE_CHECKING:
    from arkor_dev.backend.interfaces import Credentials
    from arkor_dev.core.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture
def local(settings: Settings) -> Settings:
    """A launch with --local."""
    return replace(settings, local=True, cloud_url=None)


async def status_of_me(credentials: Credentials, token: str | None = None) -> int:
    """What the backend answers to ``GET /v1/me``."""
    headers = {"Authorization": f"Bearer {token or credentials.token}", "X-Arkor-Client": "test/1"}
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket_at(credentials)))) as session,
        session.get("http://localhost/v1/me", headers=headers) as answer,
    ):
        return answer.status


def socket_at(credentials: Credentials) -> Path:
    """Where the backend listens."""
    socket = socket_of(URL(credentials.base_url))
    assert socket is not None
    return socket


def pid_of(backend: Settings) -> int:
    """The process that holds the data folder."""
    return int((backend.local_data / "lock").read_text().split()[0])


async def test_the_backend_process_starts_serves_and_ends(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_backend, "END_TIMEOUT", 60)  # it ends by itself, and takes all with it
    handoff = local.local_data / "backend.json"
    async with LocalBackend(local) as backend:
        credentials = await backend.credentials()
        assert await status_of_me(credentials) == 200
        assert await status_of_me(credentials, "wrong") == 401
        pid, socket = pid_of(local), socket_at(credentials)
        assert pid != os.getpid()
        assert stat.S_ISSOCK(socket.stat().st_mode)
        assert socket.parent.stat().st_mode & 0o777 == 0o700
        assert handoff.stat().st_mode & 0o777 == 0o600
        word = json.loads(handoff.read_text())
        assert (word["baseUrl"], word["token"], word["pid"]) == (
            credentials.base_url, credentials.token, os.getpid(),
        )  # fmt: skip
        assert credentials.token not in (await asyncio.to_thread(cmdline, pid))
        with pytest.raises(ArkorError, match="refused its own token"):
            await backend.renew(credentials)
    assert not alive(pid)
    assert not handoff.exists()
    assert not socket.parent.exists()
    assert not local.arkor_home.exists()  # nothing of the user's, nothing in the project
    assert list(local.project.iterdir()) == []


def cmdline(pid: int) -> str:
    """A process's argument line and environment, where the system shows them."""
    if sys.platform != "linux":
        return ""
    with open(f"/proc/{pid}/cmdline") as arguments, open(f"/proc/{pid}/environ") as environment:  # noqa: PTH123
        return arguments.read() + environment.read()


async def test_a_killed_backend_is_restarted(local: Settings, forked_backends: None) -> None:
    async with LocalBackend(local) as backend:
        first = await backend.credentials()
        os.kill(pid := pid_of(local), signal.SIGKILL)
        assert await gone([pid], 20) == []
        faults = []
        second = first
        async with asyncio.timeout(60):
            while second == first:
                await asyncio.sleep(0.05)
                try:
                    second = await backend.credentials()
                except ArkorError as fault:
                    faults.append(fault.text)
        assert all("ended unexpectedly (exit code -9" in fault for fault in faults)
        assert await status_of_me(second) == 200
        assert await backend.renew(first) == second


async def test_a_data_folder_in_use_is_refused(local: Settings) -> None:
    notices: list[dict[str, object]] = []
    async with LocalBackend(local) as first:
        await first.credentials()
        async with LocalBackend(local, notices.append) as second:
            with pytest.raises(ArkorError, match=f"process {os.getpid()}") as fault:
                await second.credentials()
            assert status_of(fault.value) == 503
        assert await status_of_me(await first.credentials()) == 200
        # The second has not taken the first one's word away.
        assert json.loads((local.local_data / "backend.json").read_text())["token"]
    assert [notice["level"] for notice in notices] == ["error"]


async def test_a_database_of_a_newer_version_is_refused(local: Settings, forked_backends: None) -> None:
    local.local_data.mkdir(parents=True)
    with closing(sqlite3.connect(local.local_data / "backend.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
    notices: list[dict[str, object]] = []
    async with LocalBackend(local, notices.append) as backend:
        with pytest.raises(ArkorError, match=r"in a format that .* Use that version, or") as fault:
            await backend.credentials()
        # It is told once, and not tried again and again.
        assert notices == [{"notice": "message", "level": "error", "text": fault.value.text}]
        assert backend._task is not None
        assert backend._task.done()


async def test_project_modules_do_not_shadow_libraries(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("random", "json", "aiohttp", "sqlite3"):
        (local.project / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(local.project)
    async with LocalBackend(local) as backend:
        assert await status_of_me(await backend.credentials()) == 200


async def test_an_uncreatable_data_folder_is_an_error(local: Settings) -> None:
    local.data.parent.mkdir(parents=True, exist_ok=True)
    local.data.write_text("a file")
    async with LocalBackend(local) as backend:
        with pytest.raises(ArkorError, match=r"cannot be started: .*Not a directory") as fault:
            await backend.credentials()
        assert status_of(fault.value) == 503


def stand_in(monkeypatch: pytest.MonkeyPatch, path: Path, body: str) -> None:
    """Start ``body`` in the backend's place."""
    program = script(path / "stand-in", "import json, os, sys, time\n" + body)
    monkeypatch.setattr(sys, "executable", str(program))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "sys.stderr.write('Traceback\\nBoom: it broke\\n'); sys.exit(3)",
            r"\(exit code 3: Boom: it broke\)",
        ),
        ("sys.exit(0)", r"\(exit code 0\)"),
        ("sys.stderr.write('\\x1b[31mred\\n'); sys.exit(1)", r"\(exit code 1: red\)"),
        ("print('x' * 3_000_000)", "cannot be started"),
    ],
)
async def test_a_backend_that_fails_to_start_reports_its_error(
    body: str, said: str, local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path, body)
    async with LocalBackend(local) as backend:
        with pytest.raises(ArkorError, match=said):
            await backend.credentials()


TRACEBACK = """Traceback (most recent call last):
  File "somewhere.py", line 1
Boom: it broke
"""


async def test_a_start_error_contains_the_end_of_the_log(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f"sys.stderr.write('x' * 70_000 + '\\n' + {TRACEBACK!r})\nsys.exit(3)"
    stand_in(monkeypatch, tmp_path, body)
    path = local.local_data / "backend.log"
    async with LocalBackend(local) as backend:
        with pytest.raises(ArkorError) as fault:
            await backend.credentials()
        assert path.stat().st_mode & 0o777 == 0o600
        first, *lines = fault.value.text.splitlines()
        assert first.endswith(f"(exit code 3: Boom: it broke). The end of its log, {path}:")
        assert lines[0] == "x" * (backend_log.LINE_CHARACTERS - 1) + "…"
        assert lines[1:] == [line.strip() for line in TRACEBACK.splitlines()]
        assert TRACEBACK in path.read_text()


async def test_a_start_timeout_shows_the_log(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path, "sys.stderr.write('waiting for a disk\\n')\nsys.stdin.read()")
    async with LocalBackend(local) as backend:
        await until(backend._log.ending, 30)
        monkeypatch.setattr(local_backend, "START_TIMEOUT", 0.2)
        with pytest.raises(ArkorError, match=r"did not start in 0\.2 s\. Its log is .*backend\.log\.$"):
            await backend.credentials()


async def test_an_unwritable_log_is_a_warning(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in(monkeypatch, tmp_path, f"sys.stderr.write({TRACEBACK!r})\nsys.exit(3)")
    (local.local_data / "backend.log").mkdir(parents=True)
    async with LocalBackend(local) as backend:
        with pytest.raises(ArkorError, match=r"\(exit code 3: Boom: it broke\)\.$"):
            await backend.credentials()
    assert "backend.log cannot be written (Is a directory)." in caplog.text


async def test_the_log_file_is_rotated_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_log, "LIMIT", 1000)
    path = tmp_path / "backend.log"
    kept = BackendLog(path)
    for number in range(5):
        stderr = asyncio.StreamReader()
        stderr.feed_data(b"%d" % number * 400 + b"\nlast")
        stderr.feed_eof()
        await kept.keep(stderr, number)
        assert kept.last_line == "last"
    assert {each.name for each in tmp_path.iterdir()} == {"backend.log", "backend.log.1"}
    assert all(each.stat().st_size <= 1000 for each in tmp_path.iterdir())
    assert path.read_text().count("process") == 1
    assert "4" * 400 in path.read_text()


async def test_notices_are_forwarded_and_invalid_lines_ignored(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["not json", "[1]", '{"socket": 9}', '{"notice": "message", "level": "info", "text": "hello"}']
    stand_in(
        monkeypatch,
        tmp_path,
        f'for line in {lines!r}: print(line)\nprint(\'{{"socket": "/x/y"}}\', flush=True)\nsys.stdin.read()',
    )
    notices: list[dict[str, object]] = []
    async with LocalBackend(local, notices.append) as backend:
        assert socket_at(await backend.credentials()) == Path("/x/y")
    assert notices == [{"notice": "message", "level": "info", "text": "hello"}]


async def test_the_handoff_file_is_written_once_a_full_disk_has_space(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, tmp_path, """print('{"socket": "/x/y"}', flush=True)\nsys.stdin.read()""")
    monkeypatch.setattr(local_backend, "PUBLISH_PAUSE", 0.01)
    full, flush = True, os.fsync

    def fsync(handle: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    notices: list[dict[str, object]] = []
    handoff = local.local_data / "backend.json"
    async with LocalBackend(local, notices.append) as backend:
        await backend.credentials()
        assert not handoff.exists()
        full = False
        await until(handoff.exists)
    assert not handoff.exists()
    assert ["No space left" in str(notice["text"]) for notice in notices] == [True]


async def test_notices_sent_during_shutdown_are_forwarded(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_backend, "END_TIMEOUT", 60)
    last = '{"notice": "message", "level": "info", "text": "bot stands after step 20"}'
    stand_in(
        monkeypatch,
        tmp_path,
        'print(\'{"socket": "/x/y"}\', flush=True)\nsys.stdin.read()\n'
        f'print({last!r})\nprint(\'{{"socket": "/too/late"}}\', flush=True)',
    )
    notices: list[dict[str, object]] = []
    async with LocalBackend(local, notices.append) as backend:
        await backend.credentials()
    assert notices == [{"notice": "message", "level": "info", "text": "bot stands after step 20"}]
    assert not (local.local_data / "backend.json").exists()


async def test_a_backend_that_does_not_stop_is_killed(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(
        monkeypatch,
        tmp_path,
        "print(json.dumps({'socket': str(os.getpid())}), flush=True)\nwhile True: time.sleep(1)",
    )
    monkeypatch.setattr(local_backend, "END_TIMEOUT", 0.5)
    async with LocalBackend(local) as backend:
        pid = int(str(socket_at(await backend.credentials())))
        assert alive(pid)
    assert not alive(pid)


async def test_a_slow_start_times_out(
    local: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_backend, "START_TIMEOUT", 0.2)
    stand_in(monkeypatch, tmp_path, "sys.stdin.read()")
    async with LocalBackend(local) as backend:
        with pytest.raises(ArkorError, match=r"did not start in 0\.2 s"):
            await backend.credentials()


async def test_a_backend_starts_once_the_engine_is_installed(
    local: Settings, forked_backends: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = ["torch"]
    monkeypatch.setattr(local_backend, "SETUP_POLL", 0.01)
    monkeypatch.setattr(local_backend, "missing_extra", lambda _: " ".join(missing) or None)
    async with LocalBackend(local, awaits_engine=True) as backend:
        for _ in range(2):
            with pytest.raises(ArkorError, match="not installed yet"):
                await backend.credentials()
            await asyncio.sleep(0)
        missing.clear()
        async with asyncio.timeout(60):
            while True:
                try:
                    credentials = await backend.credentials()
                    break
                except ArkorError:
                    await asyncio.sleep(0.01)
        assert await status_of_me(credentials) == 200


def test_missing_engine_packages_are_named_with_the_install_command(
    local: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "REQUIRED", ("json", "no_such_package"))
    text = missing_extra(local)
    assert text is not None
    assert "no_such_package" in text
    assert install_advice() in text
    monkeypatch.setattr(engine, "REQUIRED", ("json",))
    assert missing_extra(local) is None
