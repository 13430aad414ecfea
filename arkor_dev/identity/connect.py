"""From settings to a Backend: the managed one, or the local one of this launch."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from yarl import URL

from arkor_dev.backend.client import Backend, ProjectCalls
from arkor_dev.backend.http_client import HttpClient, open_http_client
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.backend.unix_address import socket_of
from arkor_dev.contract.errors import ArkorError, UnavailableError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.identity.file_identity import FileIdentity

from .scope import FileScopes, FixedScope
from .views import FixedIdentity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from arkor_dev.core.settings import Settings

    from .local_backend import Notice


@asynccontextmanager
async def connected(
    settings: Settings, on_notice: Callable[[Notice], None], *, idle: bool = False
) -> AsyncIterator[Backend]:
    """A backend for one launch; under ``--local`` it starts the local one and ends it afterwards.

    One that is ``idle`` starts no job: waiting ones are not for a command that ends at once.

    Raises ArkorError when the managed backend can never work as things are.
    """
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http_client())
        if settings.port is not None:
            http.own_ports.add(settings.port)
        http.on_notice = lambda text: on_notice({"notice": "message", "level": "warning", "text": text})
        if settings.local:
            from .local_backend import LocalBackend  # what only --local needs

            local = await stack.enter_async_context(LocalBackend(settings, on_notice, idle=idle))
            yield Backend(http, local, FixedScope(local.scope), ends_with_launch=True)
        else:
            identity = await stack.enter_async_context(FileIdentity(settings, http).opened())
            yield Backend(http, identity, FileScopes(settings.project, ProjectCalls(http)))


@asynccontextmanager
async def joined(
    settings: Settings, on_notice: Callable[[Notice], None], *, idle: bool = False
) -> AsyncIterator[Backend]:
    """As :func:`connected`, but joins the local backend of a running Studio where there is one."""
    if settings.local:
        async with open_http_client() as http:
            running = await _running_backend(settings, http)
            if running is not None:
                yield running
                return
        if not idle:
            from .local_backend import require_extra

            require_extra()  # whoever joins a running one needs no training libraries here
    async with connected(settings, on_notice, idle=idle) as backend:
        yield backend


async def _running_backend(settings: Settings, http: HttpClient) -> Backend | None:
    """The local backend that a running Studio has left word of, if it answers."""

    async def credentials() -> Credentials:
        # Read anew for each call: a Studio that was started again has another socket and another token.
        return _handoff(settings)[0]

    try:
        scope = _handoff(settings)[1]
        backend = Backend(http, FixedIdentity(credentials), FixedScope(scope))
        await backend.me()
    except ArkorError:
        return None
    return backend


def _handoff(settings: Settings) -> tuple[Credentials, Scope]:
    """What the running Studio has left word of. Raises UnavailableError when there is none."""
    try:
        handoff = json.loads(read_small(settings.local_data / "backend.json"))
        org = handoff["orgSlug"]
        scope = Scope(org, handoff["projectSlug"], handoff.get("projectId"))
        credentials = Credentials("anon", handoff["token"], org, handoff["baseUrl"])
        if socket_of(URL(credentials.base_url)) is None:
            raise ValueError  # left by an older version: whoever listens on its port now is not ours
        return credentials, scope
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UnavailableError(
            "Studio has ended, and the local backend with it. Start `arkor-dev --local` again."
        ) from None
