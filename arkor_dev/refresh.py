"""A new access token for an account, before the old one ends (RFC 6749 §6, as Auth0 serves it)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from yarl import URL

from .credentials_file import Stored, is_token
from .errors import StudioError
from .wire import is_loopback

if TYPE_CHECKING:
    from .wire import Wire

EARLY: Final = 60.0
LONGEST: Final = 10 * 365 * 86_400
"""Seconds; no token lasts ten years, so a number past that says nothing."""


def is_due(stored: Stored, now: float) -> bool:
    """Whether the token ends within a minute; never for one whose end nobody knows."""
    return stored.mode != "anon" and stored.expires_at is not None and now >= stored.expires_at - EARLY


def is_expired(stored: Stored, now: float) -> bool:
    """Whether the token has ended."""
    return stored.mode != "anon" and stored.expires_at is not None and now >= stored.expires_at


async def refreshed(wire: Wire, stored: Stored, now: float) -> Stored:
    """The same file with new tokens and end, every other field as it was.

    Raises ``StudioError`` 401 when the sign-in service says no, and its 5xx when that cannot be reached.
    """
    domain, client, token = (stored.text(key) for key in ("auth0Domain", "clientId", "refreshToken"))
    if not (domain and client and token):
        raise StudioError(401, "Your sign-in has ended and cannot be renewed by itself. Run `arkor login`.")
    form = {"grant_type": "refresh_token", "client_id": client, "refresh_token": token}
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        answer = await wire.call(
            "POST",
            token_url(domain),
            headers=headers,
            data=urlencode(form).encode(),
            secrets=[token, stored.token],
        )
    except StudioError as fault:
        if fault.status in (400, 401, 403):
            raise StudioError(401, "Your sign-in has ended or was revoked. Run `arkor login`.") from None
        raise StudioError(fault.status, f"Your sign-in could not be renewed. {fault.text}") from None
    return _with_answer(stored, answer.body, now)


def token_url(domain: str) -> URL:
    """``https://<domain>/oauth/token``; plain http for a sign-in service on this machine only."""
    try:
        url = URL(f"https://{domain}/oauth/token")
        plain = (
            url.host is not None and url.user is None and url.path == "/oauth/token" and not url.query_string
        )
    except ValueError:
        plain = False
    if not plain:
        raise StudioError(401, "auth0Domain in ~/.arkor/credentials.json is no host name. Run `arkor login`.")
    return url.with_scheme("http") if is_loopback(url.host) else url


def _with_answer(stored: Stored, body: bytes, now: float) -> Stored:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    access = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(answer, dict) or not is_token(access):
        raise StudioError(
            502, "The sign-in service answered without a token. Try again, or run `arkor login`."
        )
    document = {**stored.document, "accessToken": access}
    if isinstance(answer.get("refresh_token"), str):
        document["refreshToken"] = answer["refresh_token"]
    document.pop("expiresAt", None)
    lasts = answer.get("expires_in")
    if isinstance(lasts, (int, float)) and 0 <= lasts <= LONGEST:
        document["expiresAt"] = _like(stored.document.get("expiresAt"), now + lasts)
    return Stored(document)


def _like(old: object, moment: float) -> object:
    """The moment in the form that the file had it, since another program reads it too."""
    if isinstance(old, str):
        return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(old, (int, float)) and old > 1e11:
        return int(moment * 1000)
    return int(moment)
