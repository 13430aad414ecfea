"""``/api/jobs/:id/votes`` as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

BALLOT = {
    "voter": "Ann",
    "one": "base:tiny",
    "other": "final:x",
    "choice": "tie",
    "left": "one",
    "question": "Where?",
}


async def test_votes_are_forwarded_and_listed(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["votes"]
    job = fake_backend.add_job("completed")
    path = f"/api/jobs/{job}/votes"
    async with studio.session.post(path, json=BALLOT) as answer:
        assert answer.status == 201
        vote = (await answer.json())["vote"]
    async with studio.session.get(path) as answer:
        assert await answer.json() == {"votes": [vote]}


async def test_invalid_votes_are_not_forwarded(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.features = ["votes"]
    job = fake_backend.add_job("completed")
    for body in (
        {},
        {**BALLOT, "choice": "x"},
        {**BALLOT, "other": "base:tiny"},
        {**BALLOT, "voter": "\u202ex"},
    ):
        async with studio.session.post(f"/api/jobs/{job}/votes", json=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]
    assert fake_backend.count("POST /v1/jobs/{id}/votes") == 0


async def test_votes_need_the_feature(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job("completed")
    async with studio.session.get(f"/api/jobs/{job}/votes") as answer:
        assert answer.status == 404
