"""A whole Studio on a real socket of 127.0.0.1, served exactly as ``arkor-dev`` serves it."""

from __future__ import annotations

import functools
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import aiohttp

from arkor_dev.contract.shapes import STUDIO_TOKEN_HEADER
from arkor_dev.server import static_page
from arkor_dev.server.serve import bind, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from aiohttp import web

    from arkor_dev.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Studio:
    """A Studio that is running. ``session`` sends the token with every call, ``stranger`` never does.

    Both sessions have the base URL set, so that ``studio.session.get("/api/jobs")`` is enough.
    """

    settings: Settings
    app: web.Application
    port: int
    session: aiohttp.ClientSession
    stranger: aiohttp.ClientSession

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """The launch's token."""
        return self.settings.studio_token


bundle = functools.cache(static_page.load_assets)
"""The page's files, which a test process reads from the disk once."""


def serve_script(path: str, text: str) -> None:
    """Let every Studio of this process serve a test's own script, too: the page's policy allows no other."""
    script = static_page.Asset("text/javascript; charset=utf-8", "no-cache", {"": text.encode()})
    bundle(static_page.STATIC)[path] = script


@asynccontextmanager
async def running_studio(settings: Settings, port: int = 0) -> AsyncIterator[Studio]:
    """Serve ``settings`` on ``port``, or on a free one, while the block runs."""
    sock = bind(port)
    port = sock.getsockname()[1]
    settings = replace(settings, port=port)
    url = f"http://127.0.0.1:{port}"
    async with (
        _serving(settings, sock) as app,
        aiohttp.ClientSession(url, headers={STUDIO_TOKEN_HEADER: settings.studio_token}) as session,
        aiohttp.ClientSession(url) as stranger,
    ):
        yield Studio(settings, app, port, session, stranger)


@asynccontextmanager
async def _serving(settings: Settings, sock: socket.socket) -> AsyncIterator[web.Application]:
    async with AsyncExitStack() as stack:
        with patch.object(static_page, "load_assets", bundle):
            app = await stack.enter_async_context(serving(settings, sock))
        yield app
