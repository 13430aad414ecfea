"""``arkor-dev whoami``: what is known, in words and as JSON; never a token, never a new identity."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli import main as cli
from tests.identity.test_views import account, put
from tests.support.fake_backend import TOKEN

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

OLD = "old-access-token-0123456789"


class Whoami:
    """The command in this process, on the test's project and backend."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capsys = capsys

    async def ask(self, code: int, *more: str) -> str:
        """What it prints; ``code`` has to be its exit code."""
        arguments = ["whoami", "--project", str(self._settings.project), *more]
        assert await asyncio.to_thread(cli.main, arguments) == code
        out, err = self._capsys.readouterr()
        assert err == ""
        assert TOKEN not in out
        assert OLD not in out
        return out

    async def json(self, code: int) -> dict[str, Any]:
        """As ``--json``."""
        answer = json.loads(await self.ask(code, "--json"))
        assert isinstance(answer, dict)
        return answer


@pytest.fixture
def whoami(
    settings: Settings, fake_backend: FakeBackend, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Whoami:  # fmt: skip
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", fake_backend.url)
    return Whoami(settings, capsys)


async def test_whoami_shows_an_anonymous_identity(
    whoami: Whoami, signed_in: None, fake_backend: FakeBackend
) -> None:
    assert (await whoami.ask(0)).splitlines() == [
        f"Signed in at 127.0.0.1:{fake_backend.port} as an anonymous identity (organisation: anon-org).",
        "Project of this folder: anon-org / demo",
    ]
    found = await whoami.json(0)
    assert found.pop("credentials").endswith(".arkor/credentials.json")
    assert found == {
        "signedIn": True,
        "mode": "anon",
        "baseUrl": fake_backend.url,
        "user": {"id": "u1", "email": "a@example.org"},
        "orgs": [{"id": "id-of-anon-org", "slug": "anon-org", "name": "anon-org"}],
        "orgSlug": "anon-org",
        "projectSlug": "demo",
        "error": None,
    }


async def test_whoami_without_credentials_exits_1(
    whoami: Whoami, settings: Settings, fake_backend: FakeBackend
) -> None:
    path = settings.arkor_home / "credentials.json"
    assert (await whoami.ask(1)).splitlines() == [
        f"Not signed in. There is no {path}.",
        "Sign in with `arkor-dev login`; otherwise Studio creates an anonymous identity at its start.",
    ]
    assert (await whoami.json(1))["signedIn"] is False
    put(path, "{")
    assert (await whoami.json(1))["error"] == f"{path} is not JSON."
    assert path.read_text() == "{"
    assert fake_backend.requests == []


async def test_whoami_warns_about_a_project_of_another_organization(
    whoami: Whoami, settings: Settings, fake_backend: FakeBackend
) -> None:
    put(settings.arkor_home / "credentials.json", account(fake_backend, expiresAt=None))
    (settings.project / ".arkor").mkdir()
    state = {"orgSlug": "other", "projectSlug": "p", "projectId": "1"}
    (settings.project / ".arkor" / "state.json").write_text(json.dumps(state))
    said = await whoami.ask(0)
    assert "as a@example.org (organisation: anon-org)." in said
    assert "belongs to other, which isn't one of your organisations" in said


@pytest.mark.parametrize(("status", "signed_in_is"), [(401, False), (503, None)])
async def test_whoami_handles_errors_of_the_backend(
    whoami: Whoami, signed_in: None, fake_backend: FakeBackend, status: int, *, signed_in_is: bool | None
) -> None:
    fake_backend.fault("GET /v1/me", status=status, body=b'{"error": "No."}')
    found = await whoami.json(1)
    assert found["signedIn"] is signed_in_is
    assert found["error"]
    lines = (await whoami.ask(1)).splitlines()
    assert lines[0].endswith(f"has a sign-in for 127.0.0.1:{fake_backend.port} (mode anon).")
    assert lines[1] == found["error"]


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"user": 3, "orgs": {}}', b'{"orgs": [1, {"slug": ""}]}'])
async def test_whoami_handles_missing_fields(
    whoami: Whoami, signed_in: None, fake_backend: FakeBackend, body: bytes
) -> None:
    fake_backend.fault("GET /v1/me", status=200, body=body)
    assert "as an anonymous identity.\n" in await whoami.ask(0)


async def test_whoami_escapes_hostile_names(
    whoami: Whoami, settings: Settings, fake_backend: FakeBackend
) -> None:
    put(settings.arkor_home / "credentials.json", account(fake_backend, expiresAt=None))
    body = {"user": {"email": "\x1b[2J[red]a\nb"}, "orgs": [{"slug": "x\u202e"}]}
    fake_backend.fault("GET /v1/me", status=200, body=json.dumps(body).encode())
    said = await whoami.ask(0)
    assert "as [red]a b (organisation: x).\n" in said
