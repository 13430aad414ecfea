"""The identity behind backend calls: the snapshot for each call, and its public view.

For the managed backend ``file_identity.py`` provides the snapshot; the local one has one per launch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from yarl import URL

from arkor_dev.backend.http_errors import origin_text
from arkor_dev.backend.interfaces import Credentials
from arkor_dev.backend.unix_address import socket_of
from arkor_dev.contract.errors import UnauthorizedError
from arkor_dev.core.settings import PRODUCTION_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.backend.interfaces import Scope
    from arkor_dev.contract.shapes import CredentialsView


class FixedIdentity:
    """One identity for a whole launch: the local backend's, awaited until it is ready."""

    sign_in: str | None = None

    def __init__(
        self, source: Credentials | Awaitable[Credentials] | Callable[[], Awaitable[Credentials]]
    ) -> None:
        self._source = source
        self._shared: asyncio.Future[Credentials] | None = None

    async def credentials(self) -> Credentials:
        if isinstance(self._source, Credentials):
            return self._source
        if isinstance(self._source, Awaitable):
            if self._shared is None:
                self._shared = asyncio.ensure_future(self._source)
            # Cancelling one caller must not cancel the shared wait.
            return await asyncio.shield(self._shared)
        return await self._source()

    async def renew(self, rejected: Credentials) -> Credentials:
        """Return the identity if it has changed in the meantime."""
        now = await self.credentials()
        if now == rejected:
            raise UnauthorizedError("The backend does not accept this launch's token. Start Studio again.")
        return now


def header_line(credentials: Credentials, scope: Scope | None) -> str:
    """Return ``<mode> · <org>[ / <project>][ · <host>]``; the host only if it is not production."""
    mode = "anonymous" if credentials.mode == "anon" else credentials.mode
    org = credentials.org_slug or (scope.org_slug if scope else "no organisation")
    line = f"{mode} · {org}"
    if scope:
        line += f" / {scope.project_slug}"
    if credentials.base_url != PRODUCTION_URL:
        url = URL(credentials.base_url)
        line += f" · {(credentials.machine or 'this machine') if socket_of(url) else origin_text(url)}"
    return line


def _shown_url(credentials: Credentials) -> str:
    if socket_of(URL(credentials.base_url)) is None:
        return credentials.base_url
    # A socket's address would tell a person nothing.
    return f"ssh://{credentials.machine}" if credentials.machine else "http://localhost"


def credentials_view(
    credentials: Credentials, scope: Scope | None, sign_in: str | None = None
) -> CredentialsView:
    """Return the page's view. The token's preview distinguishes two tokens but is too short to use."""
    view: CredentialsView = {
        "mode": credentials.mode,
        "orgSlug": credentials.org_slug or (scope.org_slug if scope else None),
        "projectSlug": scope.project_slug if scope else None,
        "baseUrl": _shown_url(credentials),
        "token": f"{credentials.token[:4]}…" if len(credentials.token) >= 20 else "…",
    }
    if sign_in is not None and credentials.mode == "anon":
        view["signIn"] = sign_in
    return view
