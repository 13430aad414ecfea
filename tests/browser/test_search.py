"""The playground of an embedder: a search over many texts, which the page sends in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SEARCH = "POST /v1/inference/search"


async def test_many_texts_are_searched_in_parts_and_two_embedders_compared(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["search"]
    jobs = [fake_backend.add_job("completed", name=name) for name in ("finder", "seeker")]
    for job in jobs:
        fake_backend.jobs[job]["config"]["method"] = "embed"
    texts = [f"document {number} of the shop" for number in range(119)] + ["lost parcel"]
    address = f"/#/playground?target=final:{jobs[0]}&against=final:{jobs[1]}"
    async with open_page(studio.url, address) as page:
        await page.get_by_label("Own texts, one per line").fill("\n".join(texts))
        await page.get_by_label("Query", exact=True).fill("lost parcel")
        await page.keyboard.press("Enter")
        for name in ("finder", "seeker"):
            column = page.get_by_role("region", name=f"{name}, final adapter")
            await expect(column.get_by_role("status")).to_have_text("120 texts, the best 50, by cosine")
            await expect(column.get_by_role("listitem")).to_have_count(10)
            await expect(column.get_by_role("listitem").first).to_contain_text("lost parcel")
            await column.get_by_role("button", name="Show all 50").click()
            await expect(column.get_by_role("listitem")).to_have_count(50)
    sent = [seen.json() for seen in fake_backend.requests if seen.route == SEARCH]
    assert sorted(len(body["texts"]) for body in sent) == [20, 20, 50, 50, 50, 50]
