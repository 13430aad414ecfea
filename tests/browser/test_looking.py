"""A page is looked at often until it shows what is expected, and what never comes fails at its time-out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright._impl._locator import Locator
from playwright.async_api import expect

from .looking import PART

if TYPE_CHECKING:
    from .conftest import OpenPage

pytestmark = pytest.mark.browser


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time-outs that Playwright gets, which looks the oftener the shorter they are."""
    asked: list[float] = []
    look = Locator._expect

    async def noted(self: Locator, expression: str, options: Any, title: Any = None) -> Any:
        asked.append(options["timeout"])
        return await look(self, expression, options, title)

    monkeypatch.setattr(Locator, "_expect", noted)
    return asked


async def test_expect_waits_for_late_content(open_page: OpenPage, asked: list[float]) -> None:
    async with open_page("about:blank", "") as page:
        await page.set_content("<p>no</p>")
        await page.evaluate("setTimeout(() => { document.querySelector('p').textContent = 'yes'; }, 3000)")
        await expect(page.locator("p")).to_have_text("yes")
    assert len(asked) > 1
    assert set(asked) == {PART}


async def test_a_failed_expectation_names_the_present_content(
    open_page: OpenPage, asked: list[float]
) -> None:
    async with open_page("about:blank", "") as page:
        await page.set_content("<p>no</p><p>not</p>")
        begun = time.monotonic()
        with pytest.raises(AssertionError, match="Actual value: no"):
            await expect(page.locator("p").first).to_have_text("yes", timeout=PART + 600)
        assert time.monotonic() - begun >= (PART + 600) / 1000
        assert asked[0] == PART
        assert 0 < asked[1] <= 600
        # A fault of the test is told at once.
        with pytest.raises(AssertionError, match="strict mode violation"):
            await expect(page.locator("p")).to_have_text("no", timeout=PART * 100)
        assert len(asked) == 3


async def test_announced_text_is_found_once(open_page: OpenPage) -> None:
    async with open_page("about:blank", "") as page:
        await page.set_content(
            "<main><p>Paused</p></main><div class='visually-hidden' role='status'>Paused</div>"
            "<p class='ui-said'>Paused</p>"
        )
        await expect(page.get_by_text("Paused")).to_have_count(1)
        await expect(page.locator("body").get_by_text("Paused", exact=True)).to_have_count(1)
        await expect(page.locator(".ui-said")).to_have_text("Paused")
