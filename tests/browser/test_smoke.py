"""Each page once, in whichever browser: it is drawn, its console quiet, nothing wider than the window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .states import trained

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.smoke]


@pytest.mark.quick
async def test_each_page_opens(studio: Studio, fake_backend: FakeBackend, open_page: OpenPage) -> None:
    job = trained(fake_backend, "support-bot", steps=120, of=120)
    pages = {
        "/#/": ".home",
        "/#/jobs": f"a[href='#/jobs/{job}']",
        f"/#/jobs/{job}": ".chart-curve >> nth=0",
        f"/#/compare?jobs={job}": ".chart-curve >> nth=0",
        "/#/playground": ".pg-opener >> nth=0",
        "/#/endpoints": "main h1",
    }
    async with open_page(studio.url, None) as page:
        for path, shown in pages.items():
            await page.goto(studio.url + path)
            await expect(page.locator(shown)).to_be_visible()
            for width in (1280, 390):
                await page.set_viewport_size({"width": width, "height": 900})
                # What is drawn by its size follows a frame later.
                await page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth")
