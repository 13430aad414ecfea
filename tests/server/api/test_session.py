"""``/api/credentials``, ``/api/me``, ``/api/manifest``: who is signed in where, and what can be trained."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.project.test_training_command import TOML
from tests.support.fake_backend import ORG, PROJECT, TOKEN
from tests.support.studio import running_studio

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


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
    toml.write_text(TOML + "steps = ")
    async with studio.session.get("/api/manifest") as answer:
        assert answer.status == 400
        assert "arkor.toml:5" in (await answer.json())["error"]


async def test_a_wrong_trainer_leaves_the_others_alone(studio: Studio) -> None:
    project = studio.settings.project
    (project / "data.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    text = TOML + TOML.replace("first", "second") + "steps = 0\n"
    text += '[[trainer]]\nname = "third"\nmodel = "m"\ndataset = "data.jsonl"\n'
    (project / "arkor.toml").write_text(text)
    async with studio.session.get("/api/manifest") as answer:
        assert answer.status == 200
        first, second, third = (await answer.json())["trainers"]
    assert "problem" not in first
    assert set(second) == {"name", "problem"}
    assert (second["name"], third["name"]) == ("second", "third")
    assert second["problem"].startswith("arkor.toml:9: steps = 0 is not possible.")
    assert third["problem"].startswith("data.jsonl, line 2: has the keys prompt; wanted messages")
    assert third["rows"] == 2
    for wrong in (second, third):
        async with studio.session.post("/api/train", json={"trainer": wrong["name"]}) as answer:
            assert (answer.status, await answer.json()) == (400, {"error": wrong["problem"]})
    async with studio.session.get("/api/train") as answer:
        assert await answer.json() == {"runs": []}


async def test_the_manifest_is_told_once_whatever_it_is(studio: Studio) -> None:
    toml = studio.settings.project / "arkor.toml"
    seen: set[str] = set()
    for text, status in ((TOML, 200), (TOML + "steps = ", 400), (TOML + "steps = 2", 200)):
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


async def test_capabilities_are_the_backends(studio: Studio, fake_backend: FakeBackend) -> None:
    async with studio.session.get("/api/capabilities") as answer:
        assert (answer.status, await answer.json()) == (
            200,
            {"features": []},
        )  # this one does not know the call
    body = json.dumps({"features": ["pause", "endpoints"], "later": 1}).encode()
    fake_backend.fault("GET /v1/capabilities", status=200, body=body)
    async with studio.session.get("/api/capabilities") as answer:
        assert await answer.json() == {"features": ["pause", "endpoints"], "later": 1}


async def test_capabilities_of_a_backend_that_is_away_are_not_none(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    await fake_backend.stop()
    async with studio.session.get("/api/capabilities") as answer:
        assert answer.status == 502


async def test_capabilities_are_known_before_there_is_a_project(
    settings: Settings, signed_in: None, fake_backend: FakeBackend
) -> None:
    (settings.project / ".arkor" / "state.json").unlink()
    async with running_studio(settings) as studio, studio.session.get("/api/capabilities") as answer:
        assert (answer.status, await answer.json()) == (200, {"features": []})
    assert fake_backend.count("GET /v1/capabilities") == 1
    assert fake_backend.count("POST /v1/projects") == 0
