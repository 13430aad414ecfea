"""``/api/data/reviews``: judging rows over the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.reviews import FILE

if TYPE_CHECKING:
    from tests.support.studio import Studio


async def call(studio: Studio, method: str, path: str, body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/data/reviews{path}", json=body) as answer:
        return answer.status, await answer.json()


@pytest.fixture
def project(studio: Studio) -> Studio:
    folder = studio.settings.project
    (folder / "arkor.toml").write_text('[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "d.jsonl"\n')
    (folder / "d.jsonl").write_text("".join(f'{{"text": "{n}"}}\n' for n in range(3)))
    return studio


async def test_a_review_returns_the_next_row(project: Studio) -> None:
    _, row = await call(project, "GET", "/row?trainer=bot&row=1")
    ask = {"row": row["hash"], "file": row["file"], "by": "Ann"}
    told = {**ask, "verdict": "accepted", "tags": ["tone", "tone"], "comment": ""}
    assert await call(project, "POST", "", told) == (200, {})
    _, row = await call(project, "GET", "/row?trainer=bot&row=1")
    (review,) = row["reviews"]
    assert {**review, "at": ""} == {**ask, "verdict": "accepted", "tags": ["tone"], "at": ""}
    assert await call(project, "GET", "/next?trainer=bot&after=0&want=unseen&by=Ann") == (200, {"row": 2})
    assert await call(project, "GET", "/next?trainer=bot&after=0&want=&tag=tone") == (200, {"row": 1})
    ordered = "/next?trainer=bot&after=0&want=unseen&by=Ann&among="
    assert await call(project, "GET", f"{ordered}1,3,2") == (200, {"row": 3})
    assert await call(project, "GET", f"{ordered}1,9") == (200, {"row": None})
    marks = {"rows": [{"row": 1, "verdict": "accepted"}]}
    assert await call(project, "GET", "/rows?trainer=bot&from=1&count=50") == (200, marks)
    _, counts = await call(project, "GET", "?trainer=bot")
    assert (counts["accepted"], counts["unseen"], counts["rows"]) == (1, 2, 3)
    assert await call(project, "POST", "", ask) == (200, {})
    assert (await call(project, "GET", "?trainer=bot"))[1]["unseen"] == 3
    lines = (project.settings.project / FILE).read_text().splitlines()
    assert [json.loads(line).get("verdict") for line in lines] == ["accepted", None]


async def test_invalid_reviews_are_refused(project: Studio) -> None:
    row = {"row": "a" * 16, "by": "Ann"}
    for wrong in (
        {"by": "Ann"}, {"row": "x", "by": "Ann"}, {"row": "a" * 16}, {**row, "verdict": "maybe"},
        {**row, "tags": ["a\nb"]}, {**row, "tags": ["x"] * 21}, {**row, "comment": "x" * 2001},
    ):  # fmt: skip
        assert (await call(project, "POST", "", wrong))[0] == 400
    assert not (project.settings.project / FILE).exists()
    for path in (
        "/next?trainer=bot&after=0&want=all", "/next?trainer=bot&after=0&want=unseen&among=1,x",
        "/row?trainer=bot&row=0", "?trainer=nobody",
    ):  # fmt: skip
        assert (await call(project, "GET", path))[0] == 400
    assert (await call(project, "GET", "/row?trainer=bot&row=9"))[0] == 404
    (project.settings.project / "data").mkdir(exist_ok=True)
    (project.settings.project / FILE).write_text("{")
    status, answer = await call(project, "GET", "?trainer=bot")
    assert (status, "data/reviews.jsonl, line 1: not JSON" in answer["error"]) == (400, True)
