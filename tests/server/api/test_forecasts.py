"""``/api/forecast*`` as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

CONFIG: dict[str, Any] = {"model": "tiny", "datasetSource": {"type": "file", "path": "data/rows.jsonl"}}


async def call(studio: Studio, method: str, path: str = "", body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/forecast{path}", json=body) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_a_forecast_is_started_read_and_cancelled(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["forecast"]
    status, first = await call(studio, "POST", body={"config": CONFIG})
    assert (status, first["forecast"]["state"]) == (200, "measuring")
    assert fake_backend.last("POST /v1/forecast").json() == {"config": CONFIG}
    path = f"/{first['forecast']['id']}"
    status, second = await call(studio, "GET", path)
    assert (status, second["forecast"]["seconds"]) == (200, 110.4)
    assert await call(studio, "DELETE", path) == (200, {})
    assert (await call(studio, "GET", path))[0] == 404


async def test_invalid_forecast_requests_are_refused(studio: Studio, fake_backend: FakeBackend) -> None:
    assert (await call(studio, "POST", body={"config": CONFIG}))[0] == 404  # a backend without the feature
    fake_backend.features = ["forecast"]
    before = fake_backend.count("POST /v1/forecast")
    for body in ({}, {"config": 1}, [CONFIG]):
        status, answer = await call(studio, "POST", body=body)
        assert status == 400
        assert answer["error"]
    assert fake_backend.count("POST /v1/forecast") == before
    status, answer = await call(studio, "POST", body={"config": {**CONFIG, "maxSteps": 0}})
    assert (status, answer["error"]) == (400, "maxSteps has to be a number of at least 1.")
