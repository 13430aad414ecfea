"""Tokens from the sign-in service (RFC 6749, as Auth0 serves it), refreshed before they expire."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from yarl import URL

from arkor_dev.contract.errors import (
    ArkorError,
    BackendError,
    BadRequestError,
    ForbiddenError,
    UnauthorizedError,
)
from arkor_dev.contract.placement import is_loopback

from .credentials_file import StoredCredentials, is_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arkor_dev.backend.http_client import HttpClient

DOMAIN: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
RENEWING: Final = ("auth0Domain", "clientId", "refreshToken")
EARLY: Final = 60.0
LONGEST: Final = 10 * 366 * 86_400.0
"""Token lifetimes beyond this many seconds are not believed."""


def is_due(stored: StoredCredentials, now: float) -> bool:
    """Return whether the token expires within a minute; False if its end is unknown."""
    return stored.mode != "anon" and stored.expires_at is not None and now >= stored.expires_at - EARLY


def is_expired(stored: StoredCredentials, now: float) -> bool:
    return stored.mode != "anon" and stored.expires_at is not None and now >= stored.expires_at


def is_renewable(stored: StoredCredentials) -> bool:
    """Return whether the file has everything that a refresh needs."""
    return all(stored.text(key) for key in RENEWING)


async def refreshed(http: HttpClient, stored: StoredCredentials, now: float) -> StoredCredentials:
    """Return the file with new tokens and expiry; other fields stay.

    Raises UnauthorizedError if the sign-in service refuses, and its 5xx if it cannot be reached.
    """
    domain, client, token = (stored.text(key) for key in RENEWING)
    if not (domain and client and token):
        raise UnauthorizedError(
            "Your sign-in has expired and cannot be renewed automatically. Run `arkor-dev login`."
        )
    form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": token}
    try:
        answer = await tokens(http, token_url(domain), form, [token, stored.token])
    except (BadRequestError, UnauthorizedError, ForbiddenError):
        raise UnauthorizedError("Your sign-in has ended or was revoked. Run `arkor-dev login`.") from None
    except ArkorError as fault:
        raise fault.reworded(f"Your sign-in could not be renewed. {fault.text}") from None
    document = {**stored.document, "accessToken": answer["access_token"]}
    if isinstance(answer.get("refresh_token"), str):
        document["refreshToken"] = answer["refresh_token"]
    document.pop("expiresAt", None)
    if (lasts := lifetime(answer)) is not None:
        document["expiresAt"] = _as_written(stored.document.get("expiresAt"), now + lasts)
    return StoredCredentials(document)


async def tokens(
    http: HttpClient, url: URL, form: Mapping[str, str], secrets: Iterable[str]
) -> dict[str, object]:
    """Return the token endpoint's answer to ``form``; its ``access_token`` is valid in a header.

    Raises ArkorError: the service's own status and message without ``secrets``, or 502 without a token.
    """
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    answer = await http.call("POST", url, headers=headers, data=urlencode(form).encode(), secrets=secrets)
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not is_token(document.get("access_token")):
        raise BackendError(
            "The sign-in service answered without a token. Try again, or run `arkor-dev login`."
        )
    return document


def lifetime(answer: Mapping[str, object]) -> float | None:
    """Return how many seconds an answer's access token is valid; None without a plausible value."""
    seconds = answer.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    return float(seconds) if 0 < seconds <= LONGEST else None


def token_url(domain: str) -> URL:
    """Return ``https://<domain>/oauth/token``. Raises UnauthorizedError if the file's domain is invalid."""
    try:
        return service_url(domain, "/oauth/token")
    except ValueError:
        raise UnauthorizedError(
            "auth0Domain in ~/.arkor/credentials.json is not a host name. Run `arkor-dev login`."
        ) from None


def service_url(domain: str, path: str) -> URL:
    """Return ``https://<domain><path>``; plain http only for a sign-in service on this machine.

    Raises ValueError for a ``domain`` that is more or less than a host and an optional port.
    """
    if not DOMAIN.fullmatch(domain):
        raise ValueError(domain)
    url = URL(f"https://{domain}{path}")
    return url.with_scheme("http") if is_loopback(url.host) else url


def _as_written(example: object, time: float) -> object:
    """Return the time in the file's own format, since another program reads it, too."""
    if isinstance(example, str):
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(example, (int, float)) and example > 1e11:
        return int(time * 1000)
    return int(time)
