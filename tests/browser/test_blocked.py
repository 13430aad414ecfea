"""Browsers that forbid storage, channels and locks: the page works all the same, for this tab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

from .conftest import FIREFOX
from .states import trained
from .talk import answers, ask

if TYPE_CHECKING:
    from playwright.async_api import Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# What Firefox does with all cookies blocked; Chromium does all of it but the channel's part.
REFUSING = """
    const refuse = () => { throw new DOMException('The operation is insecure.', 'SecurityError'); };
    IDBFactory.prototype.open = refuse;
    Object.defineProperty(window, 'localStorage', { get: refuse });
    Object.defineProperty(window, 'sessionStorage', { get: refuse });
    if (window.LockManager) {
        LockManager.prototype.request = LockManager.prototype.query = async () => refuse();
    }
    window.BroadcastChannel = refuse;
"""
WITHOUT = """
    Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });
    delete window.BroadcastChannel;
"""


async def works_for_this_tab(page: Page, studio: Studio, fake_backend: FakeBackend, job: str) -> None:
    """A live job goes on, and the playground answers and says what is not kept."""
    await expect(page.get_by_text(re.compile(r"20\s*/\s*40"))).to_be_visible()
    await expect(page.get_by_text("Reconnecting")).to_have_count(0)
    fake_backend.log(job, 21, loss=0.5)
    await expect(page.get_by_text(re.compile(r"21\s*/\s*40"))).to_be_visible()
    await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Playground").click()
    await ask(page, "Hello?")
    await expect(answers(page)).to_contain_text("Hello, world")
    await expect(page.get_by_text("will be gone after a reload")).to_be_visible()


@pytest.mark.smoke
async def test_the_page_works_with_all_cookies_blocked(
    studio: Studio, fake_backend: FakeBackend, open_blocked: OpenPage
) -> None:
    trained(fake_backend, "done")
    job = trained(fake_backend, "live", "running", steps=20, of=40)
    async with open_blocked(studio.url, f"/#/jobs/{job}") as page:
        await works_for_this_tab(page, studio, fake_backend, job)


async def test_the_page_works_without_each_browser_api(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    trained(fake_backend, "done")
    job = trained(fake_backend, "live", "running", steps=20, of=40)
    async with open_page(studio.url, None) as page:
        await page.add_init_script(REFUSING)
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await works_for_this_tab(page, studio, fake_backend, job)


# A stock Firefox tells its driver of no download, so what is saved is taken where it is made.
SAVED = """
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => { window.saved = blob; return make.call(URL, blob); };
"""
NOISE = """
    const noise = (bytes) => crypto.getRandomValues(bytes);
    const { getImageData } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.getImageData = function (...where) {
        const image = getImageData.apply(this, where);
        noise(image.data);
        return image;
    };
"""


@pytest.mark.browser_settings(firefox={"privacy.resistFingerprinting": True})
async def test_an_unreadable_canvas_disables_png_export(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    job = trained(fake_backend, "done", steps=20, of=20)
    async with open_page(studio.url, None) as page:
        await page.add_init_script(SAVED if FIREFOX else SAVED + NOISE)
        await page.goto(f"{studio.url}/#/jobs/{job}")
        await page.get_by_role("button", name="Export").click()
        await page.get_by_role("menuitem", name="SVG").click()
        await page.wait_for_function("() => window.saved")
        svg = await page.evaluate("window.saved.text()")
        tones = set(re.findall(r"(?:fill|stroke)=\"(rgb[^\"]+)\"", svg))
        # Page, ink, hints, lines, axis and labels, accent, warnings and the initial black, as in Chromium.
        assert {tone.replace(" ", "") for tone in tones} == {
            "rgb(249,251,252)",
            "rgb(24,29,36)",
            "rgb(83,89,97)",
            "rgb(223,225,228)",
            "rgb(136,141,146)",
            "rgb(100,105,112)",
            "rgb(202,75,32)",
            "rgb(154,96,0)",
            "rgb(0,0,0)",
        }
        await page.get_by_role("button", name="Export").click()
        await page.get_by_role("menuitem", name="PNG").click()
        await expect(page.locator(".ui-said")).to_contain_text("Save the SVG instead")


async def test_the_page_works_without_locks_and_channels(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("completed")
    # More live jobs than a browser has connections: without turns among them nothing else would get through.
    jobs = [trained(fake_backend, f"live-{n}", "running", steps=20, of=40) for n in range(7)]
    async with open_page(studio.url, None) as page:
        await page.add_init_script(WITHOUT)
        await page.goto(f"{studio.url}/#/compare?jobs={','.join(jobs)}")
        for job in jobs:
            fake_backend.log(job, 40, loss=0.5)
        await expect(page.get_by_role("application")).to_have_accessible_name(re.compile("147 points"))
        await page.get_by_role("navigation", name="Pages").get_by_role("link", name="Playground").click()
        await ask(page, "Hello?")
        await expect(answers(page)).to_contain_text("Hello, world")
