"""``/api/jobs/:id/exports`` and below as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.fake_exports import FILES

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def call(studio: Studio, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/jobs/{path}", json=body) as answer:
        return answer.status, await answer.json() if answer.status != 204 else None


async def test_an_export_is_created_downloaded_and_deleted(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["exports"]
    job = fake_backend.add_job("completed")
    status, answer = await call(studio, "POST", f"{job}/exports", {"format": "merged"})
    assert (status, answer["export"]["state"]) == (201, "waiting")
    path = f"{job}/exports/{answer['export']['id']}"
    assert (await call(studio, "GET", path))[1]["export"]["progress"]["unit"] == "files"
    assert (await call(studio, "GET", path))[1]["export"]["proof"]["verdict"] == "same"
    assert [each["state"] for each in (await call(studio, "GET", f"{job}/exports"))[1]["exports"]] == [
        "completed"
    ]
    async with studio.session.get(f"/api/jobs/{path}/files/adapter_model.safetensors") as answer_:
        assert (answer_.status, answer_.content_type) == (200, "application/octet-stream")
        assert answer_.headers["Content-Disposition"] == "attachment"
        assert await answer_.read() == FILES["adapter_model.safetensors"]
    part = {"Range": "bytes=3-6"}
    async with studio.session.get(
        f"/api/jobs/{path}/files/adapter_model.safetensors", headers=part
    ) as answer_:
        assert (answer_.status, answer_.headers["Content-Range"]) == (206, "bytes 3-6/1024")
        assert await answer_.read() == FILES["adapter_model.safetensors"][3:7]
    assert (await call(studio, "DELETE", path)) == (200, {})
    assert (await call(studio, "GET", path))[0] == 404


async def test_invalid_export_requests_are_refused(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job("completed")
    assert (await call(studio, "POST", f"{job}/exports", {"format": "adapter"}))[0] == 404  # no such feature
    fake_backend.features = ["exports"]
    before = fake_backend.count("POST /v1/jobs/{id}/exports")
    for body in ({}, {"format": "zip"}, {"format": "adapter", "step": 0}, [1]):
        status, answer = await call(studio, "POST", f"{job}/exports", body)
        assert status == 400
        assert answer["error"]
    assert fake_backend.count("POST /v1/jobs/{id}/exports") == before
    for name in ("nothing", "..%2Fx", "%2e%2e"):
        assert (await call(studio, "GET", f"{job}/exports/exp_0001/files/{name}"))[0] == 404
