"""``/api/credentials``, ``/api/me``, ``/api/manifest``: who is signed in where, and what can be trained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..fake_backend import ORG, PROJECT, TOKEN
from ..studio import running_studio
from ..test_launch import TOML

if TYPE_CHECKING:
    from arkor_dev.settings import Settings

    from ..fake_backend import FakeBackend
    from ..studio import Studio


async def test_credentials_with_a_masked_token(studio: Studio, fake_backend: FakeBackend) -> None:
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


async def test_credentials_without_a_project(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    (settings.project / ".arkor" / "state.json").unlink()
    async with running_studio(settings) as studio, studio.session.get("/api/credentials") as answer:
        assert (await answer.json())["projectSlug"] is None
    assert fake_backend.count("POST /v1/projects") == 0  # looking creates nothing


async def test_me_is_the_backends_answer(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.headers["Deprecation"] = "true"
    async with studio.session.get("/api/me") as answer:
        assert (await answer.json())["orgs"][0]["slug"] == ORG
        assert answer.headers["Deprecation"] == "true"
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"


async def test_me_when_the_backend_is_away(studio: Studio, fake_backend: FakeBackend) -> None:
    await fake_backend.stop()
    async with studio.session.get("/api/me") as answer:
        assert answer.status in (502, 503, 504)
        assert f"127.0.0.1:{fake_backend.port}" in (await answer.json())["error"]


async def test_the_manifest(studio: Studio) -> None:
    async with studio.session.get("/api/manifest") as answer:
        assert await answer.json() == {"trainer": None, "trainers": []}
    toml = studio.settings.project / "arkor.toml"
    toml.write_text(TOML)
    async with studio.session.get("/api/manifest") as answer:
        manifest = await answer.json()
    assert manifest["trainer"] == {"name": "first"}
    assert [trainer["name"] for trainer in manifest["trainers"]] == ["first"]
    toml.write_text(TOML + "steps = 0")
    async with studio.session.get("/api/manifest") as answer:
        assert answer.status == 400
        assert "arkor.toml:5" in (await answer.json())["error"]


async def test_the_manifest_is_told_once_whatever_it_is(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    seen: set[str] = set()
    for text, status in ((TOML, 200), (TOML + "steps = 0", 400), (TOML + "steps = 2", 200)):
        toml.write_text(text)
        async with studio.session.get("/api/manifest") as answer:
            assert answer.status == status
            etag = answer.headers["ETag"]
        for known in seen:
            async with studio.session.get("/api/manifest", headers={"If-None-Match": known}) as answer:
                assert answer.status == status
        async with studio.session.get("/api/manifest", headers={"If-None-Match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        seen.add(etag)
