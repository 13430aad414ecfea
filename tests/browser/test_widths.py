"""The finder of layout faults finds each kind, and nothing on a page that is as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .widths import layout_faults

if TYPE_CHECKING:
    from playwright.async_api import Browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.chromium_only("pages are resized by the protocol of Chromium's tools"),
]

FAULTS = {
    "the page scrolls sideways by": '<p style="width: 500px">wide</p>',
    "one over the other: above / below": (
        '<div style="height: 60px; font: 16px / 20px sans-serif"><div><span>above</span></div>'
        '<div style="margin-top: -12px"><span>below</span></div></div>'
    ),
    "cut by <div box>: a long word": (
        '<div class="box" style="width: 40px; overflow: hidden; white-space: nowrap">a long word</div>'
    ),
    "lines of 8px for letters of 16px": '<p style="font: 16px / 8px sans-serif">tight</p>',
    "a target of 10 \u00d7 10 px: <button tiny>": (
        '<button class="tiny" style="width: 10px; height: 10px; padding: 0; border: 0"></button>'
    ),
    "beyond the window: gone": '<p style="position: fixed; left: -400px; width: 300px">gone</p>',
}
FINE = """
<p style="font: 16px / 20px sans-serif">words</p>
<div style="opacity: 0; margin-top: -30px"><p>unseen</p></div>
<div style="clip-path: inset(50%); height: 0"><p>for screen readers</p></div>
<div style="visibility: hidden; margin-top: -30px"><p>hidden</p></div>
<button style="width: 24px; height: 24px">x</button>
<div style="width: 60px; overflow: auto; white-space: nowrap">a line that can be scrolled to its end</div>
"""


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_found(browser: Browser, fault: str) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content(f"<body>{FAULTS[fault]}{FINE}</body>")
    found = await layout_faults(page, widths=(360,), zoomed=())
    await context.close()
    assert [each for each in found if each.startswith(fault)], found


async def test_nothing_is_found_where_nothing_is_wrong(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content(f"<body>{FINE}</body>")
    assert await layout_faults(page, widths=(360, 1280), zoomed=(1280,)) == []
    await context.close()
