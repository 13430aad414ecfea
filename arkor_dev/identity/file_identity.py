"""The identity in ``~/.arkor/credentials.json``: read, created, kept fresh (docs/contract.md#files).

The file is checked before each call, so that ``arkor-dev login`` in another terminal takes effect at once.
Callers that wait for the same network request share it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from yarl import URL

from arkor_dev.backend.client import anonymous_identity
from arkor_dev.backend.http_errors import origin_text
from arkor_dev.backend.interfaces import Credentials, refused
from arkor_dev.contract.errors import (
    ArkorError,
    BackendError,
    TemporaryError,
    TooOldError,
    UnauthorizedError,
    status_of,
)
from arkor_dev.core.atomic_write import check_writable
from arkor_dev.core.plain_text import sentence

from .base_url import base_url_of
from .credentials_file import (
    NoCredentialsError,
    StoredCredentials,
    credentials_lock,
    is_token,
    read_credentials,
    signature,
    write_credentials,
)
from .single_flight import SingleFlight
from .token_refresh import is_due, is_expired, is_renewable, refreshed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from arkor_dev.backend.http_client import HttpClient
    from arkor_dev.core.settings import Settings

LOG: Final = logging.getLogger(__name__)


class PermanentError(ArkorError):
    """A failed start that no retry can fix."""


class FileIdentity:
    """An `IdentitySource` on the user's own credentials. ``clock`` returns seconds since the epoch."""

    sign_in: str | None = "arkor-dev login"

    def __init__(
        self,
        settings: Settings,
        http: HttpClient,
        *,
        clock: Callable[[], float] = time.time,
        first_pause: float = 1.0,
    ) -> None:
        self._cloud_url = settings.cloud_url
        self._path = settings.arkor_home / "credentials.json"
        self._http = http
        self._clock = clock
        self._cached: tuple[object, StoredCredentials] | None = None
        self._creation: SingleFlight[StoredCredentials] = SingleFlight(first_pause)
        self._renewing: SingleFlight[StoredCredentials] = SingleFlight(first_pause)
        self._obtained: str | None = None

    async def credentials(self) -> Credentials:
        """Return a snapshot that is valid for a call right now. Raises ArkorError."""
        try:
            stored = await self._read()
        except NoCredentialsError:
            stored = await self._creation.run(self._bootstrap)
        if is_due(stored, self._clock()) and is_renewable(stored):
            stored = await self._kept_fresh(stored)
        return self._snapshot(stored)

    async def renew(self, rejected: Credentials) -> Credentials:
        """Return a new token after the backend answered 401 to this one. Raises UnauthorizedError."""
        try:
            stored = await self._read()
        except NoCredentialsError:
            raise refused(rejected) from None
        if stored.token == rejected.token:
            # A token that was just refreshed is refused: another refresh would not help.
            if stored.mode == "anon" or stored.token == self._obtained:
                raise refused(rejected)
            stored = await self._renewing.run(lambda: self._refresh(rejected.token))
            if stored.token == rejected.token:
                raise refused(rejected)
        return self._snapshot(stored)

    @asynccontextmanager
    async def opened(self, patience: float = 3.0) -> AsyncIterator[FileIdentity]:
        """Open for a launch: raise ArkorError if it can never work, else continue within ``patience`` s.

        An anonymous identity that cannot be created yet, because the backend is unavailable, is requested
        again until it succeeds. An account is only read, so that starting waits for no network.
        """
        keeper: asyncio.Task[None] | None = None
        try:
            try:
                self._snapshot(await self._read())
            except NoCredentialsError:
                base_url_of(self._cloud_url, None)
                if not await self._made_within(patience):
                    keeper = asyncio.create_task(self._keep_trying(), name="anonymous identity")
            yield self
        finally:
            if keeper is not None:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
            await self._creation.close()
            await self._renewing.close()

    async def _made_within(self, patience: float) -> bool:
        try:
            async with asyncio.timeout(patience):
                await self._creation.run(self._bootstrap)
        except (PermanentError, TooOldError):
            raise
        except ArkorError as fault:
            LOG.warning("No identity yet, Studio keeps trying: %s", fault.text)
            return False
        except TimeoutError:
            LOG.warning("No identity yet, Studio keeps trying: the backend has not answered so far.")
            return False
        return True

    async def _keep_trying(self) -> None:
        while True:
            try:
                await self._creation.run(self._bootstrap)
            except (PermanentError, TooOldError) as fault:
                LOG.error("%s", fault.text)
                return
            except ArkorError:
                await asyncio.sleep(self._creation.wait + 0.01)
            else:
                return

    async def _read(self) -> StoredCredentials:
        now = signature(self._path)
        if self._cached is None or now is None or self._cached[0] != now:
            self._cached = (now, await asyncio.to_thread(read_credentials, self._path))
        return self._cached[1]

    def _snapshot(self, stored: StoredCredentials) -> Credentials:
        return Credentials(stored.mode, stored.token, stored.org_slug, base_url_of(self._cloud_url, stored))

    async def _bootstrap(self) -> StoredCredentials:
        base_url = base_url_of(self._cloud_url, None)
        async with credentials_lock(self._path):
            try:
                return await self._read()
            except NoCredentialsError as fault:
                damaged = fault.damaged
            self._check_folder()
            document = await new_anonymous(self._http, base_url)
            try:
                write_credentials(self._path, document, exclusive=not damaged)
            except FileExistsError:
                LOG.info("Another launch was faster: using its identity.")
            except OSError as fault:
                raise self._unwritable(fault.strerror) from None
            if damaged:
                LOG.warning("%s was not JSON: replaced by a new anonymous identity.", self._path)
            return await self._read()

    def _check_folder(self) -> None:
        """Check that the file is writable before creating an identity, or each attempt would create one."""
        try:
            check_writable(self._path.parent)
        except OSError as fault:
            raise self._unwritable(fault.strerror) from None

    def _unwritable(self, why: str | None) -> PermanentError:
        return PermanentError(f"{self._path} cannot be written ({why}). Fix the folder's permissions.")

    async def _kept_fresh(self, stored: StoredCredentials) -> StoredCredentials:
        try:
            return await self._renewing.run(lambda: self._refresh(None))
        except TemporaryError:
            # The sign-in service is unavailable. The backend decides whether the token is still valid: clocks
            # differ.
            return stored
        except ArkorError:
            if is_expired(stored, self._clock()):
                raise
            return stored

    async def _refresh(self, rejected: str | None) -> StoredCredentials:
        async with credentials_lock(self._path):
            try:
                stored = await self._read()
            except NoCredentialsError:
                raise UnauthorizedError("You have been signed out. Run `arkor-dev login`.") from None
            if stored.token != rejected and not is_due(stored, self._clock()):
                return stored
            return await self._save(stored, await refreshed(self._http, stored, self._clock()))

    async def _save(self, used: StoredCredentials, fresh: StoredCredentials) -> StoredCredentials:
        try:
            now = await self._read()
        except NoCredentialsError:
            return fresh
        if now.document != used.document:
            return now  # somebody has signed in meanwhile: their credentials are newer than ours
        self._obtained = fresh.token
        try:
            write_credentials(self._path, fresh.document)
        except OSError as fault:
            LOG.warning(
                "%s cannot be written (%s): the renewed sign-in applies to this launch only.",
                self._path,
                fault.strerror,
            )
        self._cached = (signature(self._path), fresh)
        return fresh


async def new_anonymous(http: HttpClient, base_url: str) -> dict[str, object]:
    """Return the credentials file of a new anonymous identity. Raises ArkorError."""
    host = origin_text(URL(base_url))
    try:
        answer = await anonymous_identity(http, base_url)
    except (TemporaryError, TooOldError):
        raise
    except ArkorError as fault:
        permanent = PermanentError(
            f"{host} did not issue an anonymous identity: {sentence(fault.text)} "
            "Run `arkor-dev login`, check ARKOR_CLOUD_API_URL, or stay on this machine: arkor-dev --local"
        )
        permanent.answered = status_of(fault)
        raise permanent from None
    match answer:
        case {"token": str(token), "anonymousId": str(known_as), "personalOrg": {"slug": str(org)}} if (
            is_token(token) and org
        ):
            return {
                "mode": "anon",
                "token": token,
                "anonymousId": known_as,
                "arkorCloudApiUrl": base_url,
                "orgSlug": org,
            }
    raise BackendError(f"{host} answered, but not with an anonymous identity. Check ARKOR_CLOUD_API_URL.")
