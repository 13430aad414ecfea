"""``/api/adapters``: an adapter's two files reach the backend as a folder, and nothing is left of it here."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import aiohttp

from arkor_dev.project import dropped_adapter
from arkor_dev.project.dropped_adapter import FOLDER

if TYPE_CHECKING:
    import pytest

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


async def judged(studio: Studio, parts: list[tuple[str, bytes]], **query: str) -> tuple[int, Any]:
    """Send a form with these files; return the status and the answer."""
    form = aiohttp.MultipartWriter("form-data")
    for name, content in parts:
        form.append(io.BytesIO(content)).set_content_disposition("form-data", name=name, filename=name)
    async with studio.session.post("/api/adapters", params=query, data=form) as answer:
        return answer.status, await answer.json()


async def test_an_uploaded_adapter_becomes_an_evaluated_job(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["adapters", "evaluation"]
    both = [(CONFIG, b"{}"), (WEIGHTS, b"w" * 3_000_000)]
    status, answer = await judged(studio, both, name="mine", data="data/eval.jsonl", model="hub/other")
    assert status == 200
    job = answer["job"]
    assert (job["name"], job["config"]["model"]) == ("mine", "hub/other")
    assert job["evaluating"]["data"] == "data/eval.jsonl"
    assert fake_backend.evaluations.taken_in == dict(both)
    assert not (studio.settings.data / FOLDER).exists()
    async with studio.session.get("/api/jobs") as jobs:
        assert [each["id"] for each in (await jobs.json())["jobs"]] == [job["id"]]
    _, answer = await judged(studio, both, name="../../x", data="data/eval.jsonl")
    assert answer["job"]["name"] == "adapter"


async def test_invalid_adapter_uploads_are_refused_and_deleted(
    studio: Studio, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_backend.features = ["adapters", "evaluation"]
    monkeypatch.setitem(dropped_adapter.LIMITS, WEIGHTS, 1000)
    wrong: list[tuple[list[tuple[str, bytes]], int, str]] = [
        ([(CONFIG, b"{}")], 400, f"{WEIGHTS} is missing or empty"),
        ([(CONFIG, b"{}"), (WEIGHTS, b"")], 400, f"{WEIGHTS} is missing or empty"),
        ([(CONFIG, b"{}"), (CONFIG, b"{}")], 400, "two files"),
        ([("../x", b"{}")], 400, "two files"),
        ([(CONFIG, b"{}"), (WEIGHTS, b"w" * 1001)], 413, "larger than"),
        ([(CONFIG, b"refused"), (WEIGHTS, b"w")], 400, "is not JSON"),
    ]
    for parts, code, why in wrong:
        status, answer = await judged(studio, parts, name="mine", data="d.jsonl")
        assert (status, why in answer["error"]) == (code, True), answer
    assert (await judged(studio, [(CONFIG, b"{}"), (WEIGHTS, b"w")]))[0] == 400  # no rows to judge it on
    async with studio.session.post("/api/adapters?data=d", json={}) as answer:
        assert answer.status == 400
    async with studio.stranger.post("/api/adapters?data=d", json={}) as answer:
        assert answer.status == 403
    assert not (studio.settings.data / FOLDER).exists()
    assert fake_backend.jobs == {}
