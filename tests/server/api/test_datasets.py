"""``/api/datasets*``: the backend's calls, passed on; nothing else of the query is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

CONFIG: dict[str, Any] = {"model": "tiny", "datasetSource": {"type": "file", "path": "data/chats.jsonl"}}


async def call(studio: Studio, method: str, path: str, **more: Any) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/datasets{path}", **more) as answer:
        return answer.status, await answer.json()


async def test_a_dataset_view_is_opened_read_and_closed(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["datasets"]
    status, opened = await call(studio, "POST", "", json={"config": {**CONFIG, "someday": 1}})
    assert status == 201
    assert fake_backend.last("POST /v1/datasets").json() == {"config": {**CONFIG, "someday": 1}}
    path = f"/{opened['dataset']['id']}"
    assert await call(studio, "GET", path) == (200, opened)
    asked = {"from": "2", "count": "3", "studioToken": "secret", "orgSlug": "another"}
    status, rows = await call(studio, "GET", f"{path}/rows", params=asked)
    assert [row["row"] for row in rows["rows"]] == [2, 3, 4]
    sent = fake_backend.last("GET /v1/datasets/{id}/rows").url.query
    assert dict(sent) == {"from": "2", "count": "3", "orgSlug": "anon-org", "projectSlug": "demo"}
    assert (await call(studio, "GET", f"{path}/rows/1"))[1]["row"]["texts"][0] == "<s>"
    found = await call(studio, "GET", f"{path}/find", params={"want": "text", "text": "tell me"})
    assert found == (200, {"found": {"row": 21, "reached": 21}})
    assert (await call(studio, "GET", f"{path}/lengths"))[0] == 200
    assert await call(studio, "DELETE", path) == (200, {})
    assert (await call(studio, "GET", path))[0] == 404


async def test_invalid_view_requests_are_refused(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["datasets"]
    wrong: list[dict[str, Any]] = [{}, {"config": "x"}, {"config": {}}]
    for body in wrong:
        assert (await call(studio, "POST", "", json=body))[0] == 400
    assert fake_backend.count("POST /v1/datasets") == 1
    _, opened = await call(studio, "POST", "", json={"config": CONFIG})
    for below in ("rows/0", "rows/x", "nothing", "rows/1/more"):
        assert (await call(studio, "GET", f"/{opened['dataset']['id']}/{below}"))[0] == 404


async def test_dataset_views_need_the_feature(studio: Studio) -> None:
    status, answer = await call(studio, "POST", "", json={"config": CONFIG})
    assert (status, list(answer)) == (404, ["error"])
