"""``/api/credentials``, ``/api/me``, ``/api/capabilities``: who is signed in, what the backend can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from arkor_dev.server.api.session import UNNAMED
from tests.support.fake_backend import ORG, PROJECT, TOKEN
from tests.support.studio import running_studio

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def test_credentials_have_a_masked_token(studio: Studio, fake_backend: FakeBackend) -> None:
    async with studio.session.get("/api/credentials") as answer:
        body = await answer.text()
    assert json.loads(body) == {
        "mode": "anon",
        "orgSlug": ORG,
        "projectSlug": PROJECT,
        "baseUrl": fake_backend.url,
        "token": f"{TOKEN[:4]}…",
        "signIn": "arkor-dev login",
    }
    assert TOKEN not in body


async def test_credentials_may_lack_a_project(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    (settings.project / ".arkor" / "state.json").unlink()
    async with running_studio(settings) as studio, studio.session.get("/api/credentials") as answer:
        assert (await answer.json())["projectSlug"] is None
    assert fake_backend.count("POST /v1/projects") == 0  # looking creates nothing


async def test_me_is_forwarded_from_the_backend(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.headers["Deprecation"] = "true"
    async with studio.session.get("/api/me") as answer:
        assert (await answer.json())["orgs"][0]["slug"] == ORG
        assert answer.headers["Deprecation"] == "true"
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_me_of_an_unreachable_backend_is_an_error(studio: Studio, fake_backend: FakeBackend) -> None:
    await fake_backend.stop()
    async with studio.session.get("/api/me") as answer:
        assert answer.status in (502, 503, 504)
        assert f"127.0.0.1:{fake_backend.port}" in (await answer.json())["error"]


async def test_capabilities_are_forwarded(studio: Studio, fake_backend: FakeBackend) -> None:
    async with studio.session.get("/api/capabilities") as answer:
        assert (answer.status, await answer.json()) == (200, UNNAMED)
    body = json.dumps({"features": ["pause", "endpoints"], "later": 1}).encode()
    fake_backend.fault("GET /v1/capabilities", status=200, body=body)
    async with studio.session.get("/api/capabilities") as answer:
        assert await answer.json() == {"features": ["pause", "endpoints"], "later": 1}


async def test_capabilities_of_an_unreachable_backend_are_an_error(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    await fake_backend.stop()
    async with studio.session.get("/api/capabilities") as answer:
        assert answer.status == 502


async def test_capabilities_need_no_project(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    (settings.project / ".arkor" / "state.json").unlink()
    async with running_studio(settings) as studio, studio.session.get("/api/capabilities") as answer:
        assert (answer.status, await answer.json()) == (200, UNNAMED)
    assert fake_backend.count("GET /v1/capabilities") == 1
    assert fake_backend.count("POST /v1/projects") == 0
