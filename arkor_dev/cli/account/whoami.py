"""``arkor-dev whoami``: who is signed in, where, and to which project. Creates no identity."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yarl import URL

from arkor_dev.backend.client import Backend, ProjectCalls
from arkor_dev.backend.http_client import open_http_client
from arkor_dev.backend.http_errors import origin_text
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.contract.errors import ArkorError, UnauthorizedError
from arkor_dev.core.plain_text import one_line
from arkor_dev.identity.base_url import base_url_of
from arkor_dev.identity.credentials_file import NoCredentialsError, StoredCredentials, read_credentials
from arkor_dev.identity.file_identity import FileIdentity
from arkor_dev.identity.scope import FileScopes, FixedScope, read_state, state_path
from arkor_dev.identity.views import FixedIdentity

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.backend.http_client import HttpClient
    from arkor_dev.core.settings import Settings


@dataclass(slots=True)
class Account:
    """The account of an identity as the backend reports it: ``{user, orgs}`` of ``GET /v1/me``."""

    mode: str
    user: dict[str, object] = field(default_factory=dict)
    orgs: list[dict[str, object]] = field(default_factory=list)

    @classmethod
    def of(cls, mode: str, body: bytes) -> Account:
        """Parse a response body; missing fields stay empty."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        user = answer.get("user") if isinstance(answer, dict) else None
        orgs = answer.get("orgs") if isinstance(answer, dict) else None
        return cls(
            mode,
            user if isinstance(user, dict) else {},
            [org for org in orgs if isinstance(org, dict)] if isinstance(orgs, list) else [],
        )

    @property
    def slugs(self) -> list[str]:
        return [str(org["slug"]) for org in self.orgs if org.get("slug")]

    def __str__(self) -> str:
        """``a@example.org (organisations: acme, lab)``, with the parts that are known."""
        label = "an anonymous identity"
        if self.mode != "anon":
            labels = (str(self.user[key]) for key in ("email", "name", "id") if self.user.get(key))
            label = next(labels, "an account")
        noun = "organisation" if len(self.slugs) == 1 else "organisations"
        return one_line(f"{label} ({noun}: {', '.join(self.slugs)})" if self.slugs else label, 1000)

    def scope_mismatch(self, project: Path) -> str | None:
        """Return advice if the project belongs to none of these organisations, else None."""
        try:
            scope = read_state(project)
        except ArkorError as fault:
            return fault.text
        if scope is None or not self.slugs or scope.org_slug in self.slugs:
            return None
        return (
            f"The project in {project} belongs to {scope.org_slug}, which isn't one of your organisations. "
            f"Sign in as its owner, or move {state_path(project)} away to start a new project."
        )


async def account_of(http: HttpClient, stored: StoredCredentials, base_url: str) -> Account:
    """Fetch the account of these credentials. Raises ArkorError if the backend refuses or is unreachable."""
    credentials = Credentials(stored.mode, stored.token, stored.org_slug, base_url)
    backend = Backend(http, FixedIdentity(credentials), FixedScope(Scope("", "")))
    try:
        return Account.of(stored.mode, (await backend.me()).body)
    except UnauthorizedError:
        raise UnauthorizedError("it refuses the token (401).") from None


def run_whoami(settings: Settings, *, as_json: bool = False) -> int:
    """Print who is signed in; return 0 if somebody is, else 1."""
    state = asyncio.run(_state_of(settings))
    if as_json:
        print(json.dumps(state, indent=2))  # noqa: T201
    else:
        for line in _lines(settings, state):
            print(one_line(line, 2000))  # noqa: T201
    return 0 if state["signedIn"] else 1


async def _state_of(settings: Settings) -> dict[str, object]:
    """Collect what ``--json`` prints, without tokens. ``signedIn`` is null if the backend was unreachable."""
    path = settings.arkor_home / "credentials.json"
    state: dict[str, object] = dict.fromkeys(
        ("signedIn", "mode", "baseUrl", "user", "orgs", "orgSlug", "projectSlug", "error")
    )
    state["credentials"] = str(path)
    try:
        stored = read_credentials(path)
    except NoCredentialsError as fault:
        error = f"{path} is not JSON." if fault.damaged else f"There is no {path}."
        return state | {"signedIn": False, "error": error}
    base_url = base_url_of(settings.cloud_url, stored)
    state |= {"mode": stored.mode, "baseUrl": base_url, "orgSlug": stored.org_slug}
    try:
        async with open_http_client() as http:
            identity = FileIdentity(settings, http)
            scopes = FileScopes(settings.project, ProjectCalls(http))
            account = Account.of(stored.mode, (await Backend(http, identity, scopes).me()).body)
            scope = await scopes.for_read(await identity.credentials())
    except ArkorError as fault:
        refused = isinstance(fault, UnauthorizedError)
        return state | {"signedIn": False if refused else None, "error": fault.text}
    if scope is not None:
        state |= {"orgSlug": scope.org_slug, "projectSlug": scope.project_slug}
    return state | {"signedIn": True, "user": account.user, "orgs": account.orgs}


def _lines(settings: Settings, state: dict[str, object]) -> list[str]:
    if state["mode"] is None:
        step = "Sign in with `arkor-dev login`; otherwise Studio creates an anonymous identity at its start."
        return [f"Not signed in. {state['error']}", step]
    host = origin_text(URL(str(state["baseUrl"])))
    if not state["signedIn"]:
        return [
            f"{state['credentials']} has a sign-in for {host} (mode {state['mode']}).",
            str(state["error"]),
        ]
    account = Account(str(state["mode"]), state["user"], state["orgs"])  # type: ignore[arg-type]
    lines = [f"Signed in at {host} as {account}."]
    if state["projectSlug"]:
        lines.append(f"Project of this folder: {state['orgSlug']} / {state['projectSlug']}")
    mismatch = account.scope_mismatch(settings.project)
    return [*lines, mismatch] if mismatch else lines
