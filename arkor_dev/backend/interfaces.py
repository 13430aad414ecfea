"""What the backend's calls need from those above them: whose call it is, and for which project.

:mod:`arkor_dev.identity` provides both; the backend knows it by these shapes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from arkor_dev.contract.errors import ArkorError, UnauthorizedError


@dataclass(frozen=True, slots=True)
class Credentials:
    """One snapshot of who calls which backend.

    ``mode`` is ``anon`` or an account's ``oauth``/``auth0``; ``org_slug`` is known of an anonymous identity
    only; ``base_url`` has no trailing slash. The token stays out of every ``repr``.
    """

    mode: str
    token: str = field(repr=False)
    org_slug: str | None
    base_url: str


def refused(credentials: Credentials) -> ArkorError:
    """What to say when the backend does not take this identity's token."""
    if credentials.mode == "anon":
        return UnauthorizedError(
            "The backend no longer takes this anonymous identity. Run `arkor-dev login`, or move "
            "~/.arkor/credentials.json away and start Studio again for a new one.",
        )
    return UnauthorizedError("The backend no longer accepts your sign-in. Run `arkor-dev login`.")


@dataclass(frozen=True, slots=True)
class Scope:
    """The organisation and project that every project call carries."""

    org_slug: str
    project_slug: str
    project_id: str | None = None


class ScopeSource(Protocol):
    """Where a call's scope comes from; both take the snapshot that the call itself will use."""

    async def for_read(self, credentials: Credentials) -> Scope | None:
        """The usable scope, or None; never creates anything."""

    async def for_write(self, credentials: Credentials) -> Scope:
        """The scope, created where that is possible; raises ``ConflictError`` or 400."""


class IdentitySource(Protocol):
    """Where credentials come from; ``sign_in`` is the command that signs in with an account, or None."""

    sign_in: str | None

    async def credentials(self) -> Credentials:
        """One snapshot, made or refreshed as needed; raises ``ArkorError``."""

    async def renew(self, rejected: Credentials) -> Credentials:
        """Another snapshot after the backend answered 401 to ``rejected``; raises ``UnauthorizedError``."""
