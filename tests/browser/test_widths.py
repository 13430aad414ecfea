"""The finder of layout faults finds each kind, and nothing on a page that is as it should be."""

from __future__ import annotations

import itertools
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
    "a contrast of 2.32, and it must be 4.5: pale": '<p style="color: #aaa">pale</p>',
    "a contrast of 4.42, and it must be 4.5: faded": '<div style="opacity: 0.53"><p>faded</p></div>',
    "a contrast of 2.85, and it must be 3: large": '<p style="color: #999; font: 24px sans-serif">large</p>',
    "a contrast of 1.65, and it must be 4.5: on a line": (
        '<div style="background: color-mix(in srgb, black 50%, white)"><p style="background: #00000010; '
        'color: oklch(0.7 0 0)">on a line</p></div>'
    ),
    "a contrast of 2.32, and it must be 4.5: typed": '<input style="color: #aaa" value="typed">',
    "beyond the window: gone": '<p style="position: fixed; left: -400px; width: 300px">gone</p>',
}
FINE = """
<p style="font: 16px / 20px sans-serif">words</p>
<div style="opacity: 0; margin-top: -30px"><p>unseen</p></div>
<div style="clip-path: inset(50%); height: 0"><p>for screen readers</p></div>
<div style="visibility: hidden; margin-top: -30px"><p>hidden</p></div>
<button style="width: 24px; height: 24px">x</button>
<button style="width: 60px; height: 24px" disabled>off</button>
<p style="color: #767676; font: 16px / 20px sans-serif">dark enough</p>
<p style="color: #949494; font: bold 19px / 20px sans-serif">and large</p>
<div style="width: 60px; overflow: auto; white-space: nowrap">a line that can be scrolled to its end</div>
"""


async def test_layout_faults_are_found(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    for fault, html in FAULTS.items():
        await page.set_content(f"<body>{html}{FINE}</body>")
        found = await layout_faults(page, widths=(360,), zoomed=())
        assert [each for each in found if each.startswith(fault)], (fault, found)
    await context.close()


# The ways in which a page hears of its size, and Preact's: what a component does after it was drawn.
HEARD = {
    "event": "addEventListener('resize', () => { THEN; })",
    "media": "matchMedia('(width <= 400px)').addEventListener('change', () => { THEN; })",
    "observer": "new ResizeObserver(() => { THEN; }).observe(document.body)",
}
WIDE = (
    "document.body.insertAdjacentHTML('beforeend', innerWidth > 400 ? '' : '<p style=\"width: 500px\">x</p>')"
)
THEN = {
    "at once": WIDE,
    "when it is drawn": f"Promise.resolve().then(() => {WIDE})",
    "after it was drawn": f"requestAnimationFrame(() => setTimeout(() => {WIDE}))",
}


async def test_faults_of_resize_handlers_are_found(browser: Browser) -> None:
    context = await browser.new_context()
    for (heard, hears), (then, does) in itertools.product(HEARD.items(), THEN.items()):
        if (heard, then) == ("observer", "after it was drawn"):
            continue  # what an observer has for after the drawing comes a frame later
        page = await context.new_page()
        await page.set_content(f"<body>{FINE}<script>{hears.replace('THEN', does)}</script></body>")
        found = await layout_faults(page, widths=(1280, 360), zoomed=())
        await page.close()
        sideways = [each for each in found if each.startswith("the page scrolls sideways by")]
        assert sideways, (heard, then, found)
        assert all("(360)" in each for each in found), (heard, then, found)
    await context.close()


async def test_each_width_is_laid_out_and_the_size_restored(browser: Browser) -> None:
    context = await browser.new_context(viewport={"width": 1000, "height": 700})
    page = await context.new_page()
    # Each size is a fault of its own here.
    await page.set_content(
        "<body><p></p><script>addEventListener('resize', () => { document.querySelector('p').textContent = "
        "[innerWidth, innerHeight, devicePixelRatio, document.documentElement.clientWidth]; });</script>"
        "<style>p { position: fixed; left: -400px; width: 300px }</style></body>"
    )
    found = await layout_faults(page, widths=(360, 1920), zoomed=(640,))
    assert found == [
        "beyond the window: 320,450,2,320 (640 at 200 %)",
        "beyond the window: 360,900,1,360 (360)",
        "beyond the window: 1920,900,1,1920 (1920)",
    ]
    size = "[innerWidth, innerHeight, devicePixelRatio, getComputedStyle(document.documentElement).opacity]"
    assert await page.evaluate(size) == [1000, 700, 1, "1"]
    await context.close()


async def test_a_correct_page_has_no_layout_faults(browser: Browser) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.set_content(f"<body>{FINE}</body>")
    assert await layout_faults(page, widths=(360, 1280), zoomed=(1280,)) == []
    await context.close()
