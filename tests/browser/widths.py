"""What is wrong with a page at each width: it scrolls sideways, text is cut, covered or pale, targets small.

To the layout zoom is a narrower window: 1,280 px at 200 % are 640 CSS pixels at twice the density.
Of each layout that the styles have, CI looks at the narrowest window, where the least room is: from 320, 360,
480, 720 and 960 CSS pixels on; besides the widest. Elsewhere it is a phone's, a tablet's and the widest.
``ARKOR_TEST_WIDTHS=all`` looks at nine, ``=ci`` at those of CI.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from playwright.async_api import Page

FINDER = Path(__file__).with_name("widths.js")
SET = os.environ.get("ARKOR_TEST_WIDTHS", "ci" if "CI" in os.environ else "")
SETS = {
    "all": ((1920, 1280, 1024, 768, 720, 640, 480, 390, 360), (1920, 1280, 1024, 768, 640)),
    "ci": ((1920, 720, 480, 360), (1920, 640)),
    "": ((1920, 720), (640,)),
}
ZOOM = 2
WIDTHS, ZOOMED = SETS[SET]
"""The widths of windows, and of those that are zoomed in."""
HEIGHT = 900
DRAWN = "(drawn) => { document.documentElement.style.opacity = drawn ? '' : '0'; }"
"""Laid out all the same, but not painted where nobody looks."""


async def layout_faults(
    page: Page,
    widths: tuple[int, ...] = WIDTHS,
    zoomed: tuple[int, ...] = ZOOMED,
    *,
    dark: bool = False,
    stays: bool = True,
) -> list[str]:
    """Every fault with the widths at which it shows; resizes the page, never reloads it.

    ``dark`` looks at the last of ``widths`` in dark. Without ``stays`` a page without a fault keeps the
    last size and scheme.
    """
    session = await page.context.new_cdp_session(page)

    async def resize(width: int, zoom: int = 1) -> None:
        # What shows it stays as large as it was: nobody looks.
        metrics = {
            "width": width // zoom,
            "height": HEIGHT // zoom,
            "deviceScaleFactor": zoom,
            "mobile": False,
        }
        await session.send("Emulation.setDeviceMetricsOverride", {**metrics, "dontSetVisibleSize": True})

    # Not by the page's `evaluate`, which compiles it anew each time.
    finder = {"expression": FINDER.read_text("utf-8"), "awaitPromise": True, "returnByValue": True}
    found: dict[str, list[str]] = {}

    async def look(where: str) -> None:
        answer = await session.send("Runtime.evaluate", finder)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        for fault in cast("list[str]", answer["result"]["value"]):
            found.setdefault(fault, []).append(where)

    await page.evaluate(DRAWN, False)
    for width in zoomed:
        await resize(width, ZOOM)
        await look(f"{width} at {ZOOM * 100} %")
    for width in widths[:-1] if dark else widths:
        await resize(width)
        await look(f"{width}")
    if dark:
        await resize(widths[-1])
        await page.emulate_media(color_scheme="dark")
        await look(f"{widths[-1]} in dark")
    if stays or found:
        if dark:
            await page.emulate_media(color_scheme="light")
        await page.evaluate(DRAWN, True)
        await session.send("Emulation.clearDeviceMetricsOverride")
        await session.detach()
        await _as_before(page)
    return [f"{fault} ({', '.join(where)})" for fault, where in found.items()]


async def _as_before(page: Page) -> None:
    """Give the page the size again that it had: a Chromium with a window has that one's size now."""
    size = page.viewport_size
    if size and await page.evaluate("[innerWidth, innerHeight]") != [size["width"], size["height"]]:
        # Playwright sets no size that it takes for the page's.
        await page.set_viewport_size({**size, "height": size["height"] + 1})
        await page.set_viewport_size(size)
