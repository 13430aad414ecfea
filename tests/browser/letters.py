"""How larger letters are read: no word is cut, covered or out of reach, and all that is read is large."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .widths import layout_faults

if TYPE_CHECKING:
    from playwright.async_api import Page

# The setting has reached all that is read, charts included.
SMALL = """() => [...document.querySelectorAll("main *, dialog *")]
    .filter((node) => [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim()))
    .filter((node) => node.checkVisibility() && parseFloat(getComputedStyle(node).fontSize) < 18)
    .map((node) => `${getComputedStyle(node).fontSize}: ${node.textContent.slice(0, 40)}`)"""
BEYOND_THE_CHART = """() => [...document.querySelectorAll(".chart-tick")].flatMap((label) => {
    const [inner, outer] = [label, label.closest(".chart")].map((each) => each.getBoundingClientRect());
    const isIn = inner.left >= outer.left && inner.right <= outer.right && inner.bottom <= outer.bottom;
    return isIn ? [] : [`beyond the chart: ${label.textContent}`];
})"""
# Twice the size makes of a window what half of its width would be: a phone's has no room for words.
TWICE_WIDTHS = (768, 1280)
USUAL = 16


async def faults_of_large_letters(page: Page, widths: tuple[int, ...]) -> list[str]:
    """What is wrong with a page whose letters the browser has made larger."""
    found = await layout_faults(page, widths=widths, zoomed=())
    return [*found, *await page.evaluate(SMALL), *await page.evaluate(BEYOND_THE_CHART)]


async def faults_at_twice_the_size(page: Page) -> list[str]:
    """What is wrong when the browser's size of ordinary text is twice what it is; it is then as before."""
    session = await page.context.new_cdp_session(page)
    await session.send("Page.setFontSizes", {"fontSizes": {"standard": 2 * USUAL, "fixed": 2 * USUAL}})
    assert await page.evaluate("getComputedStyle(document.documentElement).fontSize") == f"{2 * USUAL}px"
    found = await faults_of_large_letters(page, TWICE_WIDTHS)
    await session.send("Page.setFontSizes", {"fontSizes": {"standard": USUAL, "fixed": 13}})
    await session.detach()
    return found
