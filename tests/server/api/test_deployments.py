"""``/api/deployments*`` as in docs/contract.md#studio-calls; what is wrong is refused first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.studio import running_studio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

BASE: dict[str, Any] = {"kind": "base_model", "baseModel": "tiny"}
GOOD: dict[str, Any] = {"slug": "my-bot", "target": BASE, "authMode": "none"}


@pytest.fixture
async def newcomer(settings: Settings) -> AsyncIterator[Studio]:
    """A Studio whose project has no scope yet; its anonymous identity is made at launch."""
    async with running_studio(settings) as studio:
        yield studio


async def call(studio: Studio, method: str, path: str = "", /, **body: Any) -> tuple[int, Any]:
    """One call, its status and JSON."""
    url = f"/api/deployments{path}"
    async with studio.session.request(method, url, json=body or None) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_a_deployment_is_created_changed_and_deleted(studio: Studio, fake_backend: FakeBackend) -> None:
    assert await call(studio, "GET") == (200, {"deployments": []})
    status, made = await call(studio, "POST", **GOOD, runRetentionMode="days", runRetentionDays=7, someday=1)
    assert status == 201
    sent = fake_backend.last("POST /v1/endpoints").json()
    assert sent == {**GOOD, "runRetentionMode": "days", "runRetentionDays": 7, "someday": 1}
    path = f"/{made['deployment']['id']}"
    assert await call(studio, "GET", path) == (200, made)
    assert (await call(studio, "POST", **GOOD))[0] == 409
    target = {"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": "j", "step": 5}}
    status, changed = await call(studio, "PATCH", path, enabled=False, target=target)
    assert (status, changed["deployment"]["target"]) == (200, target)
    assert fake_backend.last("PATCH /v1/endpoints/{id}").json() == {"enabled": False, "target": target}
    assert await call(studio, "DELETE", path) == (200, {})
    assert (await call(studio, "GET", path))[0] == 404
    assert (await call(studio, "DELETE", path))[0] == 404


async def test_a_key_is_created_listed_and_revoked(studio: Studio) -> None:
    _, made = await call(studio, "POST", **{**GOOD, "authMode": "fixed_api_key"})
    path = f"/{made['deployment']['id']}/keys"
    status, key = await call(studio, "POST", path, label="  mine ☃ ")
    assert status == 201
    assert key["key"]["label"] == "mine ☃"
    assert key["key"]["plaintext"]
    _, listed = await call(studio, "GET", path)
    assert "plaintext" not in listed["keys"][0]
    assert await call(studio, "DELETE", f"{path}/{key['key']['id']}") == (200, {})
    assert (await call(studio, "DELETE", f"{path}/{key['key']['id']}"))[0] == 404
    assert await call(studio, "GET", path) == (200, {"keys": [{**listed["keys"][0], "enabled": False}]})


async def test_without_a_scope_lists_are_empty_and_no_request_is_sent(
    newcomer: Studio, fake_backend: FakeBackend
) -> None:
    assert await call(newcomer, "GET") == (200, {"deployments": [], "scopeMissing": True})
    assert (await call(newcomer, "GET", "/d/keys"))[0] == 404
    assert not [seen for seen in fake_backend.requests if "endpoints" in seen.route]


@pytest.mark.parametrize("status", [404, 501])
async def test_a_backend_without_deployments_is_not_an_error(
    studio: Studio, fake_backend: FakeBackend, status: int
) -> None:
    fake_backend.fault("GET /v1/endpoints", status=status, body=b'{"error": "No such thing here."}')
    assert await call(studio, "GET") == (200, {"deployments": [], "unsupported": True})


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "", {}, "The request's body is not JSON."),
        ("POST", "", {"slug": "a1"}, "target is missing: it must be a JSON object."),
        ("POST", "", {**GOOD, "slug": "-x"}, "slug must be 2 to 50 characters of a-z, 0-9 and dashes"),
        ("POST", "", {**GOOD, "target": {}}, 'target.kind is missing: it must be one of "adapter"'),
        ("PATCH", "/d", {}, "The request's body is not JSON."),
        ("PATCH", "/d", {"enabled": "yes"}, 'enabled must be true or false, not "yes".'),
        ("POST", "/d/keys", {}, "The request's body is not JSON."),
        ("POST", "/d/keys", {"label": "  "}, 'label must be text of 1 to 80 characters, not "  ".'),
    ],
)
async def test_an_invalid_body_creates_no_scope(
    newcomer: Studio, fake_backend: FakeBackend, method: str, path: str, body: dict[str, Any], said: str
) -> None:
    status, told = await call(newcomer, method, path, **body)
    assert status == 400
    assert told["error"].startswith(said)
    assert not fake_backend.count("POST /v1/projects")
    assert not (newcomer.settings.project / ".arkor").exists()


async def test_a_valid_body_creates_the_scope(newcomer: Studio, fake_backend: FakeBackend) -> None:
    assert (await call(newcomer, "POST", **GOOD))[0] == 201
    assert fake_backend.count("POST /v1/projects") == 1
    assert (newcomer.settings.project / ".arkor" / "state.json").is_file()


@pytest.mark.parametrize("path", ["", "/d", "/d/keys"])
async def test_errors_and_notices_are_forwarded(studio: Studio, fake_backend: FakeBackend, path: str) -> None:
    fake_backend.fault("*", times=1, status=403, body=b'{"error": "Not yours."}', headers={"Sunset": "soon"})
    async with studio.session.get(f"/api/deployments{path}") as answer:
        assert (answer.status, await answer.json()) == (403, {"error": "Not yours."})
        assert answer.headers["Sunset"] == "soon"
