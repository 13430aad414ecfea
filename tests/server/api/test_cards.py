"""``GET /api/jobs/:id/card`` as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.fake_cards import CARD

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio


async def test_a_model_card_is_forwarded_unchanged(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job("completed")
    async with studio.session.get(f"/api/jobs/{job}/card") as answer:
        assert answer.status == 404  # a backend without the feature
    fake_backend.features = ["card"]
    fake_backend.cards.write(job)
    fake_backend.cards.write(job, 20, "<script>alert(1)</script>")
    async with studio.session.get(f"/api/jobs/{job}/card") as answer:
        assert (answer.status, await answer.json()) == (200, {"card": CARD})
    async with studio.session.get(f"/api/jobs/{job}/card?step=20") as answer:
        assert answer.content_type == "application/json"
        assert await answer.json() == {"card": "<script>alert(1)</script>"}
    assert fake_backend.last("GET /v1/jobs/{id}/card").url.query["step"] == "20"
    async with studio.session.get(f"/api/jobs/{job}/card?step=x") as answer:
        assert answer.status == 400
