"""``/api/jobs/:id/evaluate`` and ``…/evaluation`` as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def call(studio: Studio, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/jobs/{path}", json=body) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json()


async def test_an_evaluation_is_requested_and_returned(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed")
    assert (await call(studio, "GET", f"{job}/evaluation"))[0] == 404
    status, answer = await call(studio, "POST", f"{job}/evaluate", {})
    assert (status, answer["job"]["evaluating"]["state"]) == (200, "running")
    assert (await call(studio, "GET", job))[1]["job"]["evaluating"]["progress"]["unit"] == "rows"
    assert "evaluating" not in (await call(studio, "GET", job))[1]["job"]
    status, found = await call(studio, "GET", f"{job}/evaluation")
    assert (status, found["evaluation"]["verdict"], len(found["rows"])) == (200, "mixed", 12)


async def test_a_checkpoint_is_evaluated_by_its_step(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed")
    fake_backend.evaluations.judge(job, 20)
    assert (await call(studio, "GET", f"{job}/evaluation"))[0] == 404
    status, found = await call(studio, "GET", f"{job}/evaluation?step=20")
    assert (status, found["evaluation"]["step"]) == (200, 20)
    assert fake_backend.last("GET /v1/jobs/{id}/evaluation").url.query["step"] == "20"


async def test_invalid_evaluation_requests_are_refused(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job("completed")
    assert (await call(studio, "POST", f"{job}/evaluate", {}))[0] == 404  # a backend without the feature
    fake_backend.features = ["evaluation"]
    before = fake_backend.count("POST /v1/jobs/{id}/evaluate")
    for body in ({"step": 0}, {"step": "x"}, {"force": 1}, {"data": ""}, {"data": 1}, {"data": "a\nb"}, [1]):
        status, answer = await call(studio, "POST", f"{job}/evaluate", body)
        assert status == 400
        assert answer["error"]
    assert fake_backend.count("POST /v1/jobs/{id}/evaluate") == before
    fake_backend.evaluations.changed.add(job)
    assert (await call(studio, "POST", f"{job}/evaluate", {}))[0] == 409
    assert (await call(studio, "POST", f"{job}/evaluate", {"force": True}))[0] == 200


async def test_two_adapters_are_compared_on_the_same_rows(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["evaluation"]
    one, two = fake_backend.add_job("completed"), fake_backend.add_job("completed")
    path = f"{one}/evaluation?against={two}&againstStep=20&data=data%2Fx.jsonl&other=1"
    assert (await call(studio, "GET", path))[0] == 404
    fake_backend.evaluations.judge(one, data="data/x.jsonl")
    fake_backend.evaluations.judge(two, 20, "data/x.jsonl")
    status, found = await call(studio, "GET", path)
    assert (status, found["comparison"]["verdict"]) == (200, "better")
    asked = dict(fake_backend.last("GET /v1/jobs/{id}/evaluation").url.query)
    assert {key: asked.get(key) for key in ("against", "againstStep", "data", "other")} == {
        "against": two,
        "againstStep": "20",
        "data": "data/x.jsonl",
        "other": None,
    }
    fake_backend.evaluations.unlike.add(two)
    status, answer = await call(studio, "GET", path)
    assert status == 409
    assert "different rows" in answer["error"]
