"""One launch of Studio, from binding a socket to the last signal."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from aiohttp import web

from arkor_dev.contract.errors import InternalError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.process import connections_at_most
from arkor_dev.core.settings import DEFAULT_PORT, PORT_TRIES
from arkor_dev.server.security.http_protocol import protocol_factory
from arkor_dev.server.security.listener import Listener
from arkor_dev.server.security.same_user import strangers

from .app import create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from arkor_dev.identity.local_backend import Notice

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
TOKEN_PATIENCE = 1.0
"""Seconds to wait for another launch to write or remove its token."""
SHUTDOWN_SECONDS = 0.5
"""Seconds that unfinished responses get at shutdown."""


def bind(port: int | None) -> socket.socket:
    """Bind a socket on 127.0.0.1 to ``port``, or to the first free one of ten from 4000 if it is None.

    Raises ArkorError if the explicit port, or all ten, are taken.
    """
    tries = [port] if port is not None else range(DEFAULT_PORT, DEFAULT_PORT + PORT_TRIES)
    for candidate in tries:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((HOST, candidate))
            sock.listen(
                512
            )  # a flood fills the backlog and is drained at once; the owner's tab must still fit in
        except OSError as error:
            sock.close()
            reason = error.strerror or str(error)
            continue
        return sock
    if port is not None:
        raise InternalError(f"Port {port} cannot be used: {reason}. Choose another with --port.")
    last = DEFAULT_PORT + PORT_TRIES - 1
    raise InternalError(f"Ports {DEFAULT_PORT} to {last} are all taken. Choose another with --port.")


@asynccontextmanager
async def serving(
    settings: Settings,
    sock: socket.socket,
    on_notice: Callable[[Notice], None] = lambda _: None,
    make: Callable[[Settings, Callable[[Notice], None]], web.Application] = create_app,
) -> AsyncIterator[web.Application]:
    """Serve Studio, or the application from ``make``, on ``sock`` within the block. Raises ArkorError."""
    async with AsyncExitStack() as stack:
        stack.callback(sock.close)
        is_stranger = stack.enter_context(strangers(allow_other_users=settings.allow_other_users))
        # Store the actual port: a backend address that is this Studio is refused.
        app = make(replace(settings, port=sock.getsockname()[1]), on_notice)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_SECONDS)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        assert runner.server is not None
        listener = Listener(sock, protocol_factory(runner.server), is_stranger, connections_at_most())
        stack.callback(listener.close)
        yield app


@contextlib.contextmanager
def token_file(settings: Settings) -> Iterator[None]:
    """Keep the launch's token in ``~/.arkor/studio-token`` for a front end's dev server.

    Studio itself does not need the file, so an unwritable home is only a warning. A later launch's token is
    left alone: a lock on the folder serialises writing and removing.
    """
    path = settings.arkor_home / "studio-token"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.parent):
            write_private(path, settings.studio_token.encode())
    except OSError as error:
        log.warning("%s cannot be written (%s): a dev server will not find Studio.", path, error.strerror)
    try:
        yield
    finally:
        with contextlib.suppress(OSError), _locked(path.parent) as alone:
            if alone and read_small(path) == settings.studio_token.encode():
                path.unlink()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold the folder's lock; yield False if :data:`TOKEN_PATIENCE` seconds were not enough."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    deadline = time.monotonic() + TOKEN_PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        except OSError:  # the file system has no locks
            return False
        else:
            return True
