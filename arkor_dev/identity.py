"""Who calls the backend, and where it is (CONTRACT §1).

The file is looked at again before each call, so that ``arkor login`` in another terminal takes effect at
once. Whatever needs the network happens once for any number of callers that wait for it: the anonymous
bootstrap and the refresh of an account's token are each one shared task.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from yarl import URL

from .backend import anonymous_identity
from .base_url import base_url_of
from .credentials_file import (
    Credentials,
    NoCredentialsError,
    Stored,
    credentials_lock,
    read_credentials,
    refused,
    signature,
    write_credentials,
)
from .errors import StudioError
from .refresh import is_due, is_expired, refreshed
from .settings import PRODUCTION_URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from .contract import CredentialsView
    from .project import Scope
    from .settings import Settings
    from .wire import Wire

__all__ = [
    "Credentials",
    "FileIdentity",
    "FixedIdentity",
    "IdentitySource",
    "credentials_view",
    "header_line",
]

LOG: Final = logging.getLogger(__name__)


class IdentitySource(Protocol):
    """Where credentials come from."""

    async def credentials(self) -> Credentials:
        """One snapshot, made or refreshed as needed; raises ``StudioError``."""

    async def renew(self, rejected: Credentials) -> Credentials:
        """Another snapshot after the backend answered 401 to ``rejected``; raises ``StudioError`` 401."""


class FixedIdentity:
    """One identity for a whole launch: the embedded backend's, awaited until that is ready."""

    def __init__(
        self, source: Credentials | Awaitable[Credentials] | Callable[[], Awaitable[Credentials]]
    ) -> None:
        self._source = source
        self._shared: asyncio.Future[Credentials] | None = None

    async def credentials(self) -> Credentials:
        """The identity."""
        if isinstance(self._source, Credentials):
            return self._source
        if isinstance(self._source, Awaitable):
            if self._shared is None:
                self._shared = asyncio.ensure_future(self._source)
            # One caller that is cancelled must not cancel what the others wait for.
            return await asyncio.shield(self._shared)
        return await self._source()

    async def renew(self, rejected: Credentials) -> Credentials:
        """The identity, if it has changed meanwhile."""
        now = await self.credentials()
        if now == rejected:
            raise StudioError(401, "The backend does not take this launch's token. Start Studio again.")
        return now


def header_line(credentials: Credentials, scope: Scope | None) -> str:
    """``<mode> · <org>[ / <project>][ · <host>]``; the host only when it is not production."""
    mode = "anonymous" if credentials.mode == "anon" else credentials.mode
    org = credentials.org_slug or (scope.org_slug if scope else "no organisation")
    line = f"{mode} · {org}"
    if scope:
        line += f" / {scope.project_slug}"
    if credentials.base_url != PRODUCTION_URL:
        line += f" · {URL(credentials.base_url).authority}"
    return line


def credentials_view(credentials: Credentials, scope: Scope | None) -> CredentialsView:
    """What the page may know; of the token enough to tell two apart, too little to be of use."""
    return {
        "mode": credentials.mode,
        "orgSlug": credentials.org_slug or (scope.org_slug if scope else None),
        "projectSlug": scope.project_slug if scope else None,
        "baseUrl": credentials.base_url,
        "token": f"{credentials.token[:4]}…" if len(credentials.token) >= 20 else "…",
    }


class _HopelessError(StudioError):
    """A bootstrap that no retry can mend."""


class FileIdentity:
    """The identity of ``~/.arkor/credentials.json``: read, bootstrapped, refreshed."""

    def __init__(self, settings: Settings, wire: Wire, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._wire = wire
        self._clock = clock
        self._path = settings.arkor_home / "credentials.json"
        self._cached: tuple[object, Stored] | None = None
        self._tasks: dict[str, asyncio.Task[Stored]] = {}
        self._failed: dict[str, tuple[StudioError, float, float]] = {}
        self._obtained: str | None = None

    async def credentials(self) -> Credentials:
        """One snapshot of who we are and where the backend is, fit for a call right now."""
        try:
            stored = self._read()
        except NoCredentialsError:
            stored = await self._once("bootstrap", self._bootstrap)
        if is_due(stored, self._clock()):
            stored = await self._keep_fresh(stored)
        return self._snapshot(stored)

    async def renew(self, rejected: Credentials) -> Credentials:
        """Another token than the one that the backend just answered 401 to, or ``StudioError`` 401."""
        try:
            stored = self._read()
        except NoCredentialsError:
            raise refused(rejected) from None
        if stored.token == rejected.token:
            if stored.mode == "anon" or stored.token == self._obtained:
                raise refused(rejected)
            stored = await self._once("refresh", lambda: self._refresh(rejected.token))
            if stored.token == rejected.token:
                raise refused(rejected)
        return self._snapshot(stored)

    @asynccontextmanager
    async def opened(self, patience: float = 3.0) -> AsyncIterator[FileIdentity]:
        """A launch: raises ``StudioError`` when this can never work, else goes on within ``patience`` seconds.

        An anonymous identity that cannot be had yet, because the backend is briefly away, is asked for again
        until it is there; an account is only read, so that starting waits for no network.
        """
        keeper: asyncio.Task[None] | None = None
        try:
            try:
                self._snapshot(self._read())
            except NoCredentialsError:
                self._bootstrap_url()
                keeper = await self._first_try(patience)
            yield self
        finally:
            tasks = [task for task in (keeper, *self._tasks.values()) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _first_try(self, patience: float) -> asyncio.Task[None] | None:
        attempt = asyncio.ensure_future(self._once("bootstrap", self._bootstrap))
        done, _ = await asyncio.wait({attempt}, timeout=patience)
        if done:
            fault = attempt.exception()
            if fault is None:
                return None
            if isinstance(fault, _HopelessError) or not isinstance(fault, StudioError):
                raise fault
            LOG.warning("No identity yet, trying again: %s", fault.text)
        else:
            attempt.cancel()
            LOG.warning("No identity yet: the backend has not answered so far; Studio keeps trying.")
        return asyncio.create_task(self._keep_trying())

    async def _keep_trying(self) -> None:
        while True:
            try:
                await self.credentials()
            except _HopelessError as fault:
                LOG.error("%s", fault.text)
                return
            except StudioError:
                await asyncio.sleep(0.5)
            else:
                return

    async def _once(self, what: str, work: Callable[[], Coroutine[object, object, Stored]]) -> Stored:
        """Run ``work`` once for all who ask meanwhile; after a fault, answer that for a while."""
        task = self._tasks.get(what)
        if task is None or task.done():
            fault, until, _ = self._failed.get(what, (None, 0.0, 0.0))
            if fault is not None and time.monotonic() < until:
                raise fault
            task = self._tasks[what] = asyncio.create_task(self._remembering(what, work))
            task.add_done_callback(_look_at)
        return await asyncio.shield(task)

    async def _remembering(self, what: str, work: Callable[[], Coroutine[object, object, Stored]]) -> Stored:
        try:
            stored = await work()
        except StudioError as fault:
            _, _, before = self._failed.get(what, (None, 0.0, 0.5))
            pause = min(before * 2, 30.0)
            jittered = pause * random.uniform(0.75, 1.0)  # noqa: S311 - spreads retries, guards nothing
            self._failed[what] = (fault, time.monotonic() + jittered, pause)
            raise
        self._failed.pop(what, None)
        return stored

    def _read(self) -> Stored:
        now = signature(self._path)
        if self._cached is None or now is None or self._cached[0] != now:
            self._cached = (now, read_credentials(self._path))
        return self._cached[1]

    def _snapshot(self, stored: Stored) -> Credentials:
        return Credentials(
            stored.mode, stored.token, stored.org_slug, base_url_of(self._settings.cloud_url, stored)
        )

    def _bootstrap_url(self) -> str:
        return base_url_of(self._settings.cloud_url, None)

    async def _bootstrap(self) -> Stored:
        base_url = self._bootstrap_url()
        async with credentials_lock(self._path):
            try:
                return self._read()
            except NoCredentialsError as fault:
                damaged = fault.damaged
            document = await self._new_anonymous(base_url)
            try:
                write_credentials(self._path, document, exclusive=not damaged)
            except FileExistsError:
                LOG.info("Another launch was quicker: using its identity.")
            except OSError as fault:
                raise _HopelessError(
                    500, f"{self._path} cannot be written ({fault.strerror}). Fix the folder's permissions."
                ) from None
            else:
                if damaged:
                    LOG.warning("%s was not JSON: replaced by a new anonymous identity.", self._path)
            return self._read()

    async def _new_anonymous(self, base_url: str) -> dict[str, object]:
        host = URL(base_url).authority
        try:
            answer = await anonymous_identity(self._wire, base_url)
        except StudioError as fault:
            if fault.status >= 500 or fault.status in (408, 425, 429):
                raise
            raise _HopelessError(
                fault.status,
                f"{host} gives out no anonymous identity: {fault.text} "
                "Run `arkor login`, check ARKOR_CLOUD_API_URL, or stay on this machine: arkor-dev --local",
            ) from None
        match answer:
            case {
                "token": str(token),
                "anonymousId": str(anonymous_id),
                "personalOrg": {"slug": str(slug)},
            } if token and slug:
                return {
                    "mode": "anon",
                    "token": token,
                    "anonymousId": anonymous_id,
                    "arkorCloudApiUrl": base_url,
                    "orgSlug": slug,
                }
        raise StudioError(
            502, f"{host} answered, but not with an anonymous identity. Check ARKOR_CLOUD_API_URL."
        )

    async def _keep_fresh(self, stored: Stored) -> Stored:
        try:
            return await self._once("refresh", lambda: self._refresh(None))
        except StudioError:
            # The refresh starts a little early, so a token may outlive a short outage of the sign-in service.
            if is_expired(stored, self._clock()):
                raise
            return stored

    async def _refresh(self, rejected: str | None) -> Stored:
        async with credentials_lock(self._path):
            try:
                stored = self._read()
            except NoCredentialsError:
                raise StudioError(401, "You have been signed out. Run `arkor login`.") from None
            if stored.token != rejected and not is_due(stored, self._clock()):
                return stored
            fresh = await refreshed(self._wire, stored, self._clock())
            return self._save(stored, fresh)

    def _save(self, used: Stored, fresh: Stored) -> Stored:
        try:
            now = self._read()
        except NoCredentialsError:
            return fresh
        if now.document != used.document:
            return now
        self._obtained = fresh.token
        try:
            write_credentials(self._path, fresh.document)
        except OSError as fault:
            LOG.warning(
                "%s cannot be written (%s): the new sign-in lasts for this launch.",
                self._path,
                fault.strerror,
            )
        self._cached = (signature(self._path), fresh)
        return fresh


def _look_at(task: asyncio.Task[Stored]) -> None:
    """All who waited may have left: a fault that nobody heard is no unhandled one."""
    if not task.cancelled():
        task.exception()
