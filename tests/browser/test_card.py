"""The model card on a job's page: read, copied as it is, and asked for only when it is opened."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.fake_cards import CARD

from .states import trained
from .steps import COPIED, soon

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_a_model_card_is_shown_and_copied(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.features = ["card"]
    job = trained(fake_backend, "support-bot")
    fake_backend.cards.write(job)
    fake_backend.cards.write(job, 400, "# That of a checkpoint\n")
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        button = page.get_by_role("button", name="Actions for Final adapter")
        await expect(button).to_be_visible()
        assert fake_backend.count("GET /v1/jobs/{id}/card") == 0
        await button.focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("menuitem", name="Blind test").press("ArrowDown")
        await page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name="Model card")
        await expect(dialog.get_by_role("table")).to_contain_text("64 general questions")
        assert "arkor-dev:" not in await dialog.inner_text()
        await dialog.get_by_role("button", name="Copy the card as Markdown").click()
        await expect(dialog.get_by_text("Copied")).to_be_visible()
        await soon(partial(page.evaluate, COPIED, CARD))
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await expect(button).to_be_focused()
        await page.get_by_role("button", name="Actions for Step 400").click()
        await page.get_by_role("menuitem", name="Model card").click()
        await expect(page.get_by_role("heading", name="That of a checkpoint")).to_be_visible()
    assert fake_backend.last("GET /v1/jobs/{id}/card").url.query["step"] == "400"


async def test_without_the_feature_there_is_no_card(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = trained(fake_backend, "support-bot")
    async with open_page(studio.url, f"/#/jobs/{job}") as page:
        await page.get_by_role("button", name="Actions for Final adapter").click()
        await expect(page.get_by_role("menuitem", name="Blind test")).to_be_visible()
        await expect(page.get_by_role("menuitem", name="Model card")).to_have_count(0)
