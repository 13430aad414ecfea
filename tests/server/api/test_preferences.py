"""``/api/preferences``: votes and ratings, written into the project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

PROMPT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}]
VOTE = {"prompt": PROMPT, "chosen": "Here.", "rejected": "There.", "models": ["final:a", "base:b"]}
RATING = {"prompt": PROMPT, "completion": "Here.", "label": False, "models": ["final:a"], "by": "Ann"}


async def call(studio: Studio, method: str, path: str = "", body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/preferences{path}", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_vote_can_be_removed_until_a_job_trains_on_it(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    assert (await call(studio, "GET"))[1]["rows"] == []
    status, vote = await call(studio, "POST", "", VOTE)
    assert (status, vote["kind"], vote["models"]) == (200, "pair", ["final:a", "base:b"])
    _, rating = await call(studio, "POST", "", RATING)
    _, found = await call(studio, "GET")
    assert (found["pairs"], found["ratings"], found["rows"][1]["by"]) == (1, 1, "Ann")
    assert await call(studio, "POST", "/undo", {"id": vote["id"]}) == (200, {})
    job = fake_backend.add_job("completed", name="bot")
    fake_backend.jobs[job]["createdAt"] = "2999-01-01T00:00:00Z"
    fake_backend.jobs[job]["config"]["datasetSource"] = {"type": "file", "path": "data/ratings.jsonl"}
    status, refused = await call(studio, "POST", "/undo", {"id": rating["id"]})
    assert status == 409
    assert "bot has learned from this" in refused["error"]
    assert (await call(studio, "POST", "/undo", {"id": vote["id"]}))[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": []},
        {"prompt": [PROMPT[0]]},
        {"chosen": None},
        {"chosen": " ", "rejected": "There."},
        {"rejected": " Here."},
        {"label": True},
        {"completion": "x", "label": True},
        {"models": ["final:a"]},
        {"models": ["final:a", "two\nlines"]},
        {"by": "x" * 301},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
async def test_invalid_preferences_are_refused(studio: Studio, wrong: dict[str, Any]) -> None:
    status, answer = await call(studio, "POST", "", {**VOTE, **wrong})
    assert (status, bool(answer["error"])) == (400, True)
    assert not (studio.settings.project / "data").exists()


async def test_preferences_need_the_studio_token(studio: Studio) -> None:
    for path in ("", "/undo"):
        async with studio.stranger.post(f"/api/preferences{path}", json=VOTE) as answer:
            assert answer.status == 403
