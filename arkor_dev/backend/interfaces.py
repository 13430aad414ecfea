"""What the backend's calls need from higher layers: whose call it is, and for which project.

`arkor_dev.identity` provides both; the backend knows it only through these protocols.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from arkor_dev.contract.errors import ArkorError, UnauthorizedError


@dataclass(frozen=True, slots=True)
class Credentials:
    """A snapshot of who calls which backend.

    ``mode`` is ``anon`` or an account's ``oauth``/``auth0``; ``org_slug`` is known only for an anonymous
    identity; ``base_url`` has no trailing slash. ``machine`` names the one behind a socket; None for this
    one. The token is excluded from every ``repr``.
    """

    mode: str
    token: str = field(repr=False)
    org_slug: str | None
    base_url: str
    machine: str | None = None


def refused(credentials: Credentials) -> ArkorError:
    """Say that the backend does not accept this identity's token."""
    if credentials.mode == "anon":
        return UnauthorizedError(
            "The backend no longer accepts this anonymous identity. Run `arkor-dev login`, or move "
            "~/.arkor/credentials.json away and start Studio again for a new one.",
        )
    return UnauthorizedError("The backend no longer accepts your sign-in. Run `arkor-dev login`.")


@dataclass(frozen=True, slots=True)
class Scope:
    """The organisation and project of every project call."""

    org_slug: str
    project_slug: str
    project_id: str | None = None


class ScopeSource(Protocol):
    """The source of a call's scope. Both methods take the snapshot that the call itself will use."""

    async def for_read(self, credentials: Credentials) -> Scope | None:
        """Return the usable scope, or None; never create anything."""

    async def for_write(self, credentials: Credentials) -> Scope:
        """Return the scope, creating it if possible. Raises ConflictError or BadRequestError."""


class IdentitySource(Protocol):
    """The source of credentials; ``sign_in`` is the command that signs in with an account, or None."""

    sign_in: str | None

    async def credentials(self) -> Credentials:
        """Return a snapshot, created or refreshed as needed. Raises ArkorError."""

    async def renew(self, rejected: Credentials) -> Credentials:
        """Return a new snapshot after the backend answered 401 to ``rejected``. Raises UnauthorizedError."""
