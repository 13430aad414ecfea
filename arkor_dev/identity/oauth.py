"""Signing in with an account: the authorization code flow with PKCE (RFC 7636) for a command (RFC 8252).

The browser gets a challenge, and only the holder of its verifier can exchange the code for tokens, so a
stolen or injected code is useless. The state ties the browser's answer to this attempt, the nonce ties the
service's answer to it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from arkor_dev.contract.errors import (
    ArkorError,
    BackendError,
    BadRequestError,
    ForbiddenError,
    UnauthorizedError,
)
from arkor_dev.core.plain_text import one_line

from .credentials_file import is_token
from .token_refresh import lifetime, service_url, tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.backend.http_client import HttpClient

SCOPE: Final = "openid profile email offline_access"
CALLBACK_PATH: Final = "/callback"
PORTS: Final = 20
"""Maximum number of callback ports of a deployment to try."""
CLOCK_LEEWAY: Final = 120.0
AGAIN: Final = "Run `arkor-dev login` again."
BROKEN: Final = (
    "Tell the operator of this deployment, or use an anonymous identity: arkor-dev login --anonymous"
)


@dataclass(frozen=True, slots=True)
class Service:
    """A deployment's account sign-in; ``ports`` are the allowed callback ports."""

    domain: str
    client_id: str
    audience: str
    ports: tuple[int, ...]

    @classmethod
    def of(cls, config: Mapping[str, object], host: str) -> Service:
        """Read ``GET /v1/auth/cli/config`` of ``host``. Raises BadRequestError without account sign-in."""
        texts = [config.get(key) for key in ("auth0Domain", "clientId", "audience")]
        if not all(isinstance(text, str) and text for text in texts):
            raise BadRequestError(
                f"{host} has no account sign-in. Use an anonymous identity (arkor-dev login --anonymous), "
                "or train on this machine: arkor-dev --local",
            )
        domain, client_id, audience = (str(text) for text in texts)
        listed = config.get("callbackPorts")
        ports = tuple(port for port in listed if _is_port(port)) if isinstance(listed, list) else ()
        try:
            service_url(domain, "/authorize")
        except ValueError:
            raise BackendError(f"{host} names an invalid host as its sign-in service. {BROKEN}") from None
        if not ports:
            raise BackendError(f"{host} has no callback port for the sign-in. {BROKEN}")
        return cls(domain, client_id, audience, ports[:PORTS])


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in in progress, with its callback on ``port``."""

    service: Service
    port: int
    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)

    @property
    def redirect_uri(self) -> str:
        """The address to which the service redirects the browser."""
        return f"http://127.0.0.1:{self.port}{CALLBACK_PATH}"

    @property
    def address(self) -> str:
        """The address where the user signs in."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "response_type": "code",
            "client_id": self.service.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "audience": self.service.audience,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{service_url(self.service.domain, '/authorize')}?{urlencode(query)}"

    def is_answered_by(self, answer: Mapping[str, list[str]]) -> bool:
        """Return whether the callback's query belongs to this attempt, not to an old tab or somebody else."""
        states = answer.get("state", [])
        return len(states) == 1 and hmac.compare_digest(_bytes(states[0]), _bytes(self.state))

    def code(self, answer: Mapping[str, list[str]]) -> str:
        """Return the code in the callback's query. Raises BadRequestError without one for this attempt."""
        if not self.is_answered_by(answer):
            raise BadRequestError(f"The browser's response belongs to another sign-in. {AGAIN}")
        if error := answer.get("error"):
            reason = one_line((answer.get("error_description") or error)[0], 300)
            if error == ["access_denied"]:
                raise BadRequestError(f"You were not signed in: {reason}. {AGAIN}")
            raise BadRequestError(f"The sign-in service refused: {reason}. {AGAIN}")
        codes = answer.get("code", [])
        if len(codes) != 1 or not codes[0] or len(codes[0]) > 4096:
            raise BadRequestError(f"The sign-in service sent the browser back without a code. {AGAIN}")
        return codes[0]

    async def credentials(self, http: HttpClient, code: str, base_url: str, now: float) -> dict[str, object]:
        """Exchange ``code`` for the credentials file. ``now`` is in seconds since the epoch."""
        service = self.service
        form = {
            "grant_type": "authorization_code",
            "client_id": service.client_id,
            "code": code,
            "code_verifier": self.verifier,
            "redirect_uri": self.redirect_uri,
        }
        try:
            answer = await tokens(
                http, service_url(service.domain, "/oauth/token"), form, [code, self.verifier]
            )
        except (BadRequestError, UnauthorizedError, ForbiddenError) as fault:
            raise BadRequestError(
                "The sign-in service rejected the code: already used, expired, or of another sign-in "
                f"({one_line(fault.text, 300)}). {AGAIN}"
            ) from None
        except ArkorError as fault:
            raise fault.reworded(f"The sign-in was not finished. {fault.text}") from None
        self._check_identity(answer.get("id_token"), now)
        renewing = answer.get("refresh_token")
        if not is_token(renewing):
            raise BackendError(
                f"The sign-in service sent no refresh token, so the sign-in would expire soon. {BROKEN}"
            )
        document: dict[str, object] = {
            "mode": "oauth",
            "accessToken": answer["access_token"],
            "refreshToken": renewing,
            "auth0Domain": service.domain,
            "audience": service.audience,
            "clientId": service.client_id,
            "arkorCloudApiUrl": base_url,
        }
        if (lasts := lifetime(answer)) is not None:
            document["expiresAt"] = int(now + lasts)
        return document

    def _check_identity(self, id_token: object, now: float) -> None:
        """Check the ID token (OIDC Core §3.1.3.7); the token endpoint's TLS replaces the signature."""
        claims = _claims(id_token)
        issuer = str(service_url(self.service.domain, "/"))
        if str(claims.get("iss")).rstrip("/") != issuer.rstrip("/"):
            raise BackendError(f"The sign-in service's issuer is not {issuer}. {BROKEN}")
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        authorized = claims.get("azp", self.service.client_id if len(audiences) == 1 else None)
        if self.service.client_id not in audiences or authorized != self.service.client_id:
            raise BackendError(f"The sign-in service's response is meant for another program. {BROKEN}")
        ends = claims.get("exp")
        if isinstance(ends, bool) or not isinstance(ends, (int, float)) or not ends > now - CLOCK_LEEWAY:
            raise BackendError(
                f"The sign-in service's response has expired. Check this machine's clock. {AGAIN}"
            )
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not hmac.compare_digest(_bytes(nonce), _bytes(self.nonce)):
            raise BackendError(
                f"The sign-in service's response belongs to another sign-in (its nonce differs). {AGAIN}",
            )


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535


def _bytes(text: str) -> bytes:
    # compare_digest raises for str operands with non-ASCII characters.
    return text.encode("utf-8", "surrogatepass")


def _claims(id_token: object) -> dict[str, object]:
    try:
        if not isinstance(id_token, str) or not id_token.isascii():
            raise ValueError
        _, middle, _ = id_token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise BackendError(f"The sign-in service did not say who has signed in (id_token). {BROKEN}")
    return claims
