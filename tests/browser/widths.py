"""What is wrong with a page at each width: it scrolls sideways, text is cut or covered, a target too small.

To the layout zoom is a narrower window: 1,280 px at 200 % are 640 CSS pixels at twice the density.
Of each layout that the styles have the narrowest window is looked at, where the least room is: from 320, 360,
480, 720 and 960 CSS pixels on; besides a usual one, and the widest. ``ARKOR_TEST_WIDTHS=all`` looks at twice
as many.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page

FINDER = Path(__file__).with_name("widths.js")
ALL = "ARKOR_TEST_WIDTHS" in os.environ
WIDTHS = (360, 390, 480, 640, 720, 768, 1024, 1280, 1920) if ALL else (360, 480, 720, 1280, 1920)
ZOOM = 2
ZOOMED = (640, 768, 1024, 1280, 1920) if ALL else (640, 1920)
HEIGHT = 900
DRAWN = "(drawn) => { document.documentElement.style.opacity = drawn ? '' : '0'; }"
"""Laid out all the same, but not painted where nobody looks."""


async def layout_faults(
    page: Page, widths: tuple[int, ...] = WIDTHS, zoomed: tuple[int, ...] = ZOOMED
) -> list[str]:
    """Every fault with the widths at which it shows; resizes the page, never reloads it."""
    session = await page.context.new_cdp_session(page)
    finder = FINDER.read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    await page.evaluate(DRAWN, False)
    for width, zoom in [*((width, 1) for width in widths), *((width, ZOOM) for width in zoomed)]:
        await _resize(session, width // zoom, zoom)
        for fault in cast("list[str]", await page.evaluate(finder)):
            found.setdefault(fault, []).append(f"{width}" if zoom == 1 else f"{width} at {zoom * 100} %")
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


async def _resize(session: CDPSession, width: int, zoom: int) -> None:
    metrics = {"width": width, "height": HEIGHT // zoom, "deviceScaleFactor": zoom, "mobile": False}
    # What shows it stays as large as it was: nobody looks.
    await session.send("Emulation.setDeviceMetricsOverride", {**metrics, "dontSetVisibleSize": True})
