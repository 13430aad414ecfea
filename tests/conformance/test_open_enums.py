"""Studio as a reader: what the contract does not name passes it unchanged (docs/contract.md#contract)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def get(studio: Studio, path: str) -> Any:
    async with studio.session.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


@pytest.fixture
def job(fake_backend: FakeBackend) -> str:
    """Serve a job in an unknown state, with an unknown event, after which it completes."""
    job = fake_backend.add_job("dreaming", mood={"calm": True})
    fake_backend.emit(job, "training.dreamed", sheep=[1, None, {"é": 1e300}])
    fake_backend.emit_raw(job, b"id: odd\nevent: training.log\ndata: not JSON\n\n", "odd")
    return job


async def test_unknown_statuses_and_fields_of_jobs_are_forwarded(
    studio: Studio, fake_backend: FakeBackend, job: str
) -> None:
    listed = await get(studio, "/api/jobs")
    assert listed == {"jobs": [fake_backend.jobs[job]]}
    assert listed["jobs"][0]["status"] == "dreaming"


@pytest.mark.parametrize("form", ["events", "history"])
async def test_unknown_events_and_invalid_data_are_forwarded(
    studio: Studio, fake_backend: FakeBackend, job: str, form: str
) -> None:
    fake_backend.finish(job)
    async with studio.session.get(f"/api/jobs/{job}/{form}") as answer:
        body = await answer.read()
    assert all(frame in body for _, frame in fake_backend.frames[job])
    assert body.index(b"event: training.dreamed") < body.index(b"data: not JSON") < body.index(b"event: end")


async def test_unknown_features_are_forwarded(studio: Studio, fake_backend: FakeBackend) -> None:
    named = {"features": ["queue", "telepathy"], "more": {"x": 1}}
    fake_backend.fault("GET /v1/capabilities", status=200, body=json.dumps(named).encode())
    assert await get(studio, "/api/capabilities") == named


async def test_unknown_fields_of_deployments_are_forwarded(studio: Studio, fake_backend: FakeBackend) -> None:
    body = {
        "slug": "ab", "target": {"kind": "base_model", "baseModel": "m"}, "authMode": "none", "mood": [1],
    }  # fmt: skip
    async with studio.session.post("/api/deployments", json=body) as answer:
        assert (await answer.json())["deployment"]["mood"] == [1]
    assert fake_backend.last("POST /v1/endpoints").json() == body
