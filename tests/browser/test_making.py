"""From a dropped document to rows in a trainer's data set, on the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from tests.support.scripted_teacher import right, scripted

from .states.data import PAGE, shown_in
from .states.home import TRAINER

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = pytest.mark.browser


async def test_a_document_becomes_rows_to_review(
    studio: Studio, settings: Settings, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    shown_in(settings.project, fake_backend, [], TRAINER)
    document = {"name": "Harbour.md", "mimeType": "text/markdown", "buffer": PAGE.encode()}
    with scripted(lambda _, body: right(body)) as teacher:
        async with open_page(studio.url, "/#/data?make=documents") as page:
            await page.get_by_label("Documents", exact=True).set_input_files(document)  # type: ignore[arg-type]
            await expect(page.get_by_text("documents/harbour.md")).to_be_visible()
            make = page.get_by_role("button", name="Make rows", exact=True)
            await expect(make).to_be_disabled()
            await page.get_by_label("Address").fill(teacher.url)
            model = page.get_by_label("Model", exact=True)
            await model.focus()
            await expect(page.locator("#making-model-list option[value=wise]")).to_be_attached()
            await model.fill("wise")
            await make.click()
            await page.get_by_role("button", name="Add to support-bot and judge").click()
            await expect(page.get_by_role("heading", level=1, name="Data")).to_be_visible()
    assert "data/made/harbour-qa.jsonl" in (settings.project / "arkor.toml").read_text()
    assert (settings.project / "data" / "made" / "harbour-qa.jsonl").read_text().count("\n") == 1
