"""From settings to a `Backend`: the managed one, the local one of this launch, or one reached over ssh."""

from __future__ import annotations

import json
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from yarl import URL

from arkor_dev.backend.client import Backend, ProjectCalls
from arkor_dev.backend.http_client import HttpClient, open_http_client
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.backend.unix_address import socket_of
from arkor_dev.contract.errors import ArkorError, UnavailableError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.identity.file_identity import FileIdentity
from arkor_dev.identity.scope import FileScopes, FixedScope
from arkor_dev.identity.views import FixedIdentity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from arkor_dev.core.settings import Settings
    from arkor_dev.identity.local_backend import Notice

    from .ssh.backend import SshBackend

    Connect = Callable[[Settings, Callable[[Notice], None]], AbstractAsyncContextManager[Backend]]
    """Opens the backend of one launch, as `connected` does."""


ENDED: Final = "Studio has ended, and the local backend with it."
GONE_SECONDS: Final = 10.0
"""How long a Studio that has ended may take to restart before a command that joined it gives up."""


class BackendEndedError(ArkorError):
    """The joined local backend has ended, and so has the process that started it."""


@asynccontextmanager
async def connected(
    settings: Settings,
    on_notice: Callable[[Notice], None],
    *,
    idle: bool = False,
    on_demand: bool = False,
    ask: Callable[[str], bool] | None = None,
    opened: SshBackend | None = None,
    awaits_engine: bool = False,
) -> AsyncIterator[Backend]:
    """Yield a backend for one launch; with ``--local`` start the local one and end it afterwards.

    With ``--ssh`` it is started on the other machine if necessary, and stays there; ``ask`` confirms large
    uploads. ``opened`` is a backend that is already connected.

    An ``idle`` backend starts no job: waiting jobs are not for a command that ends at once. With
    ``on_demand`` it starts none before a job is added or resumed or the queue is changed. With
    ``awaits_engine`` the local one answers once the training libraries are installed.

    Raises ArkorError if the managed backend cannot work with these settings.
    """
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(open_http_client())
        if settings.port is not None:
            http.own_ports.add(settings.port)
        http.on_notice = lambda text: on_notice({"notice": "message", "level": "warning", "text": text})
        if settings.ssh is not None:
            from .ssh.backend import SshBackend  # only --ssh needs it

            ssh = opened
            if ssh is None:
                ssh = await stack.enter_async_context(SshBackend(settings, on_notice, ask))
            ssh.on_notice = on_notice
            yield Backend(http, ssh, FixedScope(ssh.scope))
        elif settings.local:
            from arkor_dev.identity.local_backend import LocalBackend  # only --local needs it

            options = {"idle": idle, "on_demand": on_demand, "awaits_engine": awaits_engine}
            local = await stack.enter_async_context(LocalBackend(settings, on_notice, **options))
            yield Backend(http, local, FixedScope(local.scope), ends_with_launch=True)
        else:
            identity = await stack.enter_async_context(FileIdentity(settings, http).opened())
            yield Backend(http, identity, FileScopes(settings.project, ProjectCalls(http)))


@asynccontextmanager
async def joined(
    settings: Settings,
    on_notice: Callable[[Notice], None],
    *,
    idle: bool = False,
    on_demand: bool = False,
    ask: Callable[[str], bool] | None = None,
) -> AsyncIterator[Backend]:
    """Like `connected`, but join the local backend of a running Studio, or of ``serve``, if there is one.

    Only an ``idle`` caller joins an idle backend, which would never train and ends soon.
    """
    if settings.local and settings.ssh is None:
        async with open_http_client() as http:
            running = await _running_backend(settings, http, idle=idle)
            if running is not None:
                yield running
                return
        if not idle:
            from arkor_dev.identity.engine import require_extra

            require_extra(settings)  # joining a running backend needs no training libraries here
    async with connected(settings, on_notice, idle=idle, on_demand=on_demand, ask=ask) as backend:
        yield backend


async def _running_backend(settings: Settings, http: HttpClient, *, idle: bool = False) -> Backend | None:
    """Return the local backend recorded by the process that started it, if it answers."""
    try:
        handoff = _handoff(settings)
        if handoff.idle and not idle:
            return None
        identity = FixedIdentity(_Followed(settings, handoff).credentials)
        backend = Backend(http, identity, FixedScope(handoff.scope), ends_with_launch=handoff.idle)
        await backend.me()
    except ArkorError:
        return None
    return backend


class _Followed:
    """The credentials of a running local backend, followed over its restarts."""

    def __init__(self, settings: Settings, handoff: Handoff) -> None:
        self._settings = settings
        self._owner = handoff.pid
        self._visible = _lives(handoff.pid)  # unlike in another container that shares the data folder
        self._gone_since: float | None = None

    async def credentials(self) -> Credentials:
        """Read the credentials again: a restarted backend has a new socket and token.

        Raises UnavailableError if it is not running now, and BackendEndedError if it will not restart.
        """
        try:
            handoff = _handoff(self._settings)
            self._owner = handoff.pid
        except UnavailableError:
            self._check()
            raise
        self._check()
        return handoff.credentials

    def _check(self) -> None:
        now = time.monotonic()
        if not self._visible or _lives(self._owner):
            self._gone_since = None
        elif now - (self._gone_since or now) > GONE_SECONDS:
            raise BackendEndedError(ENDED)
        else:
            self._gone_since = self._gone_since or now


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return pid > 0


@dataclass(frozen=True, slots=True)
class Handoff:
    """The record of the process ``pid`` about the local backend that it has started."""

    credentials: Credentials
    scope: Scope
    pid: int
    idle: bool


def _handoff(settings: Settings) -> Handoff:
    """Read the record of a running Studio or command. Raises UnavailableError if there is none."""
    try:
        record = json.loads(read_small(settings.local_data / "backend.json"))
        org = record["orgSlug"]
        scope = Scope(org, record["projectSlug"], record.get("projectId"))
        credentials = Credentials("anon", record["token"], org, record["baseUrl"])
        if socket_of(URL(credentials.base_url)) is None:
            raise ValueError  # another process may listen on this port now
        return Handoff(credentials, scope, int(record["pid"]), record.get("idle") is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UnavailableError(f"{ENDED} Start `arkor-dev --local` again.") from None
