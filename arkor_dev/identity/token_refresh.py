"""Tokens from the sign-in service (RFC 6749, as Auth0 serves it), and new ones before the old ones end."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from yarl import URL

from arkor_dev.backend.http_client import is_loopback
from arkor_dev.contract.errors import (
    ArkorError,
    BackendError,
    BadRequestError,
    ForbiddenError,
    UnauthorizedError,
)

from .credentials_file import Stored, is_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from arkor_dev.backend.http_client import HttpClient

DOMAIN: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
RENEWING: Final = ("auth0Domain", "clientId", "refreshToken")
EARLY: Final = 60.0
LONGEST: Final = 10 * 366 * 86_400.0
"""Seconds beyond which a token's life is not believed."""


def is_due(stored: Stored, now: float) -> bool:
    """Whether the token ends within a minute; never for one whose end nobody knows."""
    return stored.mode != "anon" and stored.expires_at is not None and now >= stored.expires_at - EARLY


def is_expired(stored: Stored, now: float) -> bool:
    """Whether the token has ended."""
    return stored.mode != "anon" and stored.expires_at is not None and now >= stored.expires_at


def is_renewable(stored: Stored) -> bool:
    """Whether the file has all that a new token can be requested with."""
    return all(stored.text(key) for key in RENEWING)


async def refreshed(http: HttpClient, stored: Stored, now: float) -> Stored:
    """The same file with new tokens and end, every other field as it was.

    Raises ``UnauthorizedError`` when the sign-in service says no, and its 5xx when that cannot be reached.
    """
    domain, client, token = (stored.text(key) for key in RENEWING)
    if not (domain and client and token):
        raise UnauthorizedError(
            "Your sign-in has ended and cannot be renewed by itself. Run `arkor-dev login`."
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
        document["expiresAt"] = _like(stored.document.get("expiresAt"), now + lasts)
    return Stored(document)


async def tokens(
    http: HttpClient, url: URL, form: Mapping[str, str], secrets: Iterable[str]
) -> dict[str, object]:
    """What the token endpoint answers to ``form``; ``access_token`` in it can be sent in a header.

    Raises ``ArkorError``: the service's own status and words, rid of ``secrets``, or 502 without a token.
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
    """Seconds that the access token of an answer is good for; None where it does not say so in earnest."""
    seconds = answer.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    return float(seconds) if 0 < seconds <= LONGEST else None


def token_url(domain: str) -> URL:
    """``https://<domain>/oauth/token``; raises ``UnauthorizedError`` when the file's domain is none."""
    try:
        return service_url(domain, "/oauth/token")
    except ValueError:
        raise UnauthorizedError(
            "auth0Domain in ~/.arkor/credentials.json is no host name. Run `arkor-dev login`."
        ) from None


def service_url(domain: str, path: str) -> URL:
    """``https://<domain><path>``; plain http for a sign-in service on this machine only.

    Raises ``ValueError`` for a ``domain`` that is more or less than a host and a possible port.
    """
    if not DOMAIN.fullmatch(domain):
        raise ValueError(domain)
    url = URL(f"https://{domain}{path}")
    return url.with_scheme("http") if is_loopback(url.host) else url


def _like(old: object, moment: float) -> object:
    """The moment in the form that the file had it, since another program reads it too."""
    if isinstance(old, str):
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(old, (int, float)) and old > 1e11:
        return int(moment * 1000)
    return int(moment)
