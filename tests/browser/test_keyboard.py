"""The main path by the keyboard alone: a run, its job, an export, an answer, the data, the jobs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .states.data import finding
from .states.home import TRAINER, declare
from .steps import MINUTE
from .talk import send

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MOST_TABS = 80
FOCUS = "(node) => node === document.activeElement && node.matches(':focus-visible')"


async def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until ``target`` has the focus, and shows it."""
    await expect(target).to_be_visible()
    for _ in range(MOST_TABS):
        if await target.evaluate(FOCUS):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"{target} is not reached by {MOST_TABS} presses of Tab")


async def press(page: Page, target: Locator, key: str = "Enter") -> None:
    """Go to ``target`` by Tab, and press it."""
    await tab_to(page, target)
    await page.keyboard.press(key)


async def test_the_main_path_needs_no_pointer(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    declare(studio.settings.project, TRAINER)
    fake_backend.features = ["datasets", "exports"]
    fake_backend.datasets.findings = [finding("secret", "warning", "1 row holds what looks like a key", [3])]
    async with open_page(studio.url) as page:
        await press(page, page.get_by_role("button", name="Run training"))
        opened = page.get_by_role("link", name="Open job")
        await expect(opened).to_be_visible(timeout=MINUTE)
        (job,) = fake_backend.jobs
        fake_backend.log(job, step=200, loss=1.5)
        fake_backend.emit(job, "checkpoint.saved", step=200)
        fake_backend.checkpoints[job].add(200)
        await press(page, opened)
        await expect(page.get_by_role("heading", name="support-bot", level=1)).to_be_focused()
        fake_backend.finish(job)
        await press(page, page.get_by_role("button", name="Export adapter"))
        export = page.get_by_role("article", name="Adapter")
        await expect(export).to_contain_text("Verified")
        await tab_to(page, export.get_by_role("button", name="Save .zip"))
        checkpoints = page.get_by_role("region", name="Checkpoints")
        await press(page, checkpoints.get_by_role("link", name="Try Step 200"))
        await expect(page).to_have_url(re.compile("#/playground"))
        await tab_to(page, page.get_by_label("Message"))
        await page.keyboard.type("Where is my parcel?")
        await send(page)
        await expect(page.locator(".chat-answer").first).to_contain_text(re.compile(r"\w"))
        await page.keyboard.press("Control+k")
        await page.keyboard.type("go to data")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Row 1 ")).to_be_visible()
        findings = page.get_by_role("region", name="Findings")
        await press(page, findings.locator("summary"))
        await press(page, findings.get_by_role("button", name="Exclude row 3"))
        await expect(page.get_by_text("1 row excluded", exact=True)).to_be_visible()
        await page.keyboard.type("gj")
        await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_focused()
        await page.keyboard.press("j")
        await expect(page.get_by_role("link", name="support-bot")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(f"#/jobs/{job}"))
