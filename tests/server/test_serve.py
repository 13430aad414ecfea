"""One launch: its port, its token file, its end."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract import regular_files
from arkor_dev.contract.errors import ArkorError
from arkor_dev.server import serve
from arkor_dev.server import static_page as bundle
from arkor_dev.server.serve import bind, serving, token_file
from tests.support.daemon import free_port
from tests.support.raw import exchange
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


def taken(count: int) -> list[socket.socket]:
    """``count`` neighbouring ports that are in use, elsewhere for each process that tests."""
    for number in range(200):
        first = 20_000 + (os.getpid() + number) % 200 * 50
        socks: list[socket.socket] = []
        try:
            for port in range(first, first + count):
                sock = socket.socket()
                socks.append(sock)
                sock.bind(("127.0.0.1", port))
                sock.listen()
        except OSError:
            for sock in socks:
                sock.close()
            continue
        return socks
    raise AssertionError("no free neighbours")


def test_the_next_free_port_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used = taken(3)
    first = used[0].getsockname()[1]
    monkeypatch.setattr(serve, "DEFAULT_PORT", first)
    with bind(None) as sock:
        assert sock.getsockname() == ("127.0.0.1", first + 3)
    for each in used:
        each.close()
    with bind(None) as sock:
        assert sock.getsockname()[1] == first


def test_at_most_ten_ports_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    used = taken(10)
    first = used[0].getsockname()[1]
    monkeypatch.setattr(serve, "DEFAULT_PORT", first)
    with pytest.raises(ArkorError, match=f"Ports {first} to {first + 9} are all taken"):
        bind(None)
    for each in used:
        each.close()


def test_an_explicit_port_in_use_is_an_error() -> None:
    (used,) = taken(1)
    port = used.getsockname()[1]
    with pytest.raises(ArkorError, match=rf"Port {port} cannot be used: Address already in use.* --port"):
        bind(port)
    used.close()


async def test_only_loopback_is_served(studio: Studio) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.2", studio.port)


def test_the_token_file_is_private_and_deleted(settings: Settings) -> None:
    path = settings.arkor_home / "studio-token"
    with token_file(settings):
        assert path.read_text() == settings.studio_token
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.exists()
    assert list(settings.arkor_home.iterdir()) == []


@pytest.mark.timeout(60)
def test_a_fifo_at_the_token_path_does_not_block_the_end(settings: Settings) -> None:
    path = settings.arkor_home / "studio-token"
    with token_file(settings):
        path.unlink()
        os.mkfifo(path)
    assert path.is_fifo()


def test_the_token_of_a_later_launch_is_kept(settings: Settings) -> None:
    later = replace(settings, studio_token="later")
    with token_file(settings), token_file(later):
        pass
    path = settings.arkor_home / "studio-token"
    with token_file(settings):
        path.write_text("later")
    assert path.read_text() == "later"


def test_concurrent_start_and_end_keep_the_new_token(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes the file between the other's look and the other's removal, as close as two processes get."""
    monkeypatch.setattr(serve, "TOKEN_PATIENCE", 60)
    later = replace(settings, studio_token="later")
    path, real = settings.arkor_home / "studio-token", regular_files.read_small
    written, over = threading.Event(), threading.Event()

    def live() -> None:
        with token_file(later):
            written.set()
            over.wait(60)

    other = threading.Thread(target=live)

    def read(file: Path) -> bytes:
        content = real(file)
        if file == path and not other.is_alive():
            other.start()
            written.wait(0.2)
        return content

    with token_file(settings):
        monkeypatch.setattr(serve, "read_small", read)
    monkeypatch.setattr(serve, "read_small", real)
    assert written.wait(60)
    assert path.read_text() == "later"
    over.set()
    other.join(60)
    assert not path.exists()


def test_a_locked_folder_delays_the_end_briefly(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Studio that stands still in the middle of its own look."""
    monkeypatch.setattr(serve, "TOKEN_PATIENCE", 0.05)
    settings.arkor_home.mkdir(mode=0o700)
    held = os.open(settings.arkor_home, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    path = settings.arkor_home / "studio-token"
    with token_file(settings):
        assert path.read_text() == settings.studio_token
    assert path.read_text() == settings.studio_token  # not shown to be safe to take away
    os.close(held)


def test_an_unwritable_home_is_a_warning(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.arkor_home.write_text("a file in the folder's place")
    with token_file(settings):
        pass
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert settings.studio_token not in caplog.text


async def test_open_streams_do_not_delay_shutdown(
    settings: Settings, signed_in: None, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "SHUTDOWN_SECONDS", 60)  # what answers would get that do not end by themselves
    job = fake_backend.add_job()
    sock = bind(0)
    port = sock.getsockname()[1]
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    async with serving(settings, sock):
        token = f"X-Arkor-Studio-Token: {settings.studio_token}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /api/jobs/{job}/events HTTP/1.1\r\nHost: localhost\r\n{token}\r\n".encode())
        await reader.readuntil(b"training.started")
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        began = loop.time()
    assert loop.time() - began < 10
    await asyncio.wait_for(reader.read(), 30)
    assert await asyncio.wait_for(idle.read(), 30) == b""
    writer.close()
    idle_writer.close()

    def left() -> list[str]:
        names = (task.get_name() for task in asyncio.all_tasks() - before if not task.done())
        return [name for name in names if name.startswith(("events", "jobs", "run"))]

    await until(lambda: not left())


async def test_a_failed_start_frees_the_port(settings: Settings) -> None:
    port = free_port()
    sock = bind(port)
    with pytest.raises(ArkorError, match="set but empty"):
        async with serving(replace(settings, cloud_url=""), sock):
            raise AssertionError("it must not start")
    with bind(port):
        pass


async def test_a_missing_bundle_fails_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bundle.bundle_handler, "__defaults__", (tmp_path,))
    with pytest.raises(ArkorError, match=r"index\.html"):
        async with serving(settings, bind(0)):
            raise AssertionError("it must not start")


async def test_studio_serves_the_page(studio: Studio) -> None:
    answer = await exchange(studio.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.status == 200
    assert answer.header("server") == "arkor-dev"
