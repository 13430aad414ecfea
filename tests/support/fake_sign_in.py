"""An identity provider of the tests' own: a real HTTP server that plays Auth0's part of a sign-in.

It is as strict as the real one: a code is good once, for its client, its redirect address and its PKCE
verifier. Nothing in it imports the product. ``Browser`` plays the person's side.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fake_backend import FakeBackend

CLIENT = "client-of-the-tests"
AUDIENCE = "https://audience.example"
ACCESS, REFRESH = "account-access-token-0123456789", "account-refresh-token-0123456789"
ORG = "acme"


@dataclass
class FakeSignIn:
    """The server. Whatever a test wants otherwise is set on it before the sign-in.

    ``redirect`` changes the callback's query, ``claims`` the identity's, ``answer`` the token endpoint's.
    """

    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    redirect: Callable[[dict[str, str]], dict[str, str]] = lambda query: query
    claims: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _runner: web.AppRunner | None = None

    async def start(self, backend: FakeBackend, ports: object) -> None:
        """Listen, and let ``backend`` name this service with callback ``ports``."""
        app = web.Application()
        app.add_routes([web.get("/authorize", self._authorize), web.post("/oauth/token", self._token)])
        self._runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        backend.cli_config = {
            "auth0Domain": self.domain, "clientId": CLIENT, "audience": AUDIENCE, "callbackPorts": ports,
        }  # fmt: skip
        backend.tokens[ACCESS] = {ORG}

    async def close(self) -> None:
        """Stop."""
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def domain(self) -> str:
        """Host and port, as the deployment names it."""
        return f"127.0.0.1:{self.port}"

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        self.requests.append(("authorize", asked))
        if asked.get("client_id") != CLIENT or asked.get("response_type") != "code":
            return web.Response(status=400, text="no such client")
        code = f"code-{len(self.requests)}-0123456789"
        self.codes[code] = asked
        query = self.redirect({"code": code, "state": asked["state"]})
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(query)}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.requests.append(("token", form))
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("client_id") != CLIENT
            or form.get("redirect_uri") != asked["redirect_uri"]
            or asked["code_challenge_method"] != "S256"
            or challenge != asked["code_challenge"]
        ):
            body = {"error": "invalid_grant", "error_description": "Invalid authorization code"}
            return web.json_response(body, status=403)
        claims = {
            "iss": f"http://{self.domain}/", "aud": CLIENT, "sub": "auth0|1", "nonce": asked["nonce"],
            "iat": int(time.time()), "exp": int(time.time()) + 3600, **self.claims,
        }  # fmt: skip
        answer = {
            "access_token": ACCESS, "refresh_token": REFRESH, "token_type": "Bearer", "expires_in": 86400,
            "id_token": id_token(claims), **self.answer,
        }  # fmt: skip
        return web.json_response(
            {key: value for key, value in answer.items() if value is not None}, status=self.status
        )


def id_token(claims: dict[str, Any]) -> str:
    """A token with these claims; its signature is nobody's."""
    parts = ({"alg": "RS256"}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*encoded, "c2lnbmF0dXJl"])


class Browser:
    """The person: goes where the command says, and follows every redirect. Keeps the last page."""

    def __init__(self) -> None:
        self.address: str | None = None
        self.status = 0
        self.page = ""
        self.headers: dict[str, str] = {}

    async def visit(self, address: str) -> None:
        """Go there and read what comes in the end."""
        self.address = address
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            self.status, self.page = answer.status, await answer.text()
            self.headers = dict(answer.headers)
