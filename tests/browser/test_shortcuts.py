"""Every key that the `?` sheet shows, on every page: no two are the same, and each does what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Locator, Page

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

    from .conftest import OpenPage

    Check = Callable[[Page], Awaitable[None]]

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def shows(selector: str) -> Check:
    return lambda page: expect(page.locator(selector).first).to_be_visible()


def leads_to(address: str) -> Check:
    return lambda page: expect(page).to_have_url(re.compile(address))


EFFECTS: dict[str, Check] = {
    "Jump to a job, page or action": shows("dialog .shell-palette-input"),
    "Show keyboard shortcuts": shows("dialog .shell-keys"),
    "Go to Home": leads_to(r"#/$"),
    "Go to Jobs": leads_to(r"#/jobs$"),
    "Go to Playground": leads_to(r"#/playground"),
    "Go to Endpoints": leads_to(r"#/endpoints$"),
    "Search jobs": shows(".jobs-search:focus"),
    "Next job": shows(".jobs-row:nth-child(3) .jobs-name:focus"),
    "Previous job": shows(".jobs-row:nth-child(1) .jobs-name:focus"),
    "Select the job": shows(".jobs-row:nth-child(2):not(.jobs-row-on)"),
    "Compare selected jobs": leads_to(r"#/compare\?jobs="),
    "Open in Playground": leads_to(r"#/playground\?target=checkpoint"),
    "Run again with changes": shows(".ui-error:has-text('no trainer now')"),
    "Cancel job": shows("dialog:has-text('Cancel this job?')"),
    "New conversation": shows(".pg-main:not(:has(.chat-user)) textarea:focus"),
    "Compare two models": shows(".pg-two"),
    "Write a message": shows(".pg-composer textarea:focus"),
    "Settings and conversations": shows(".pg:not(.pg-with-panel)"),
    "New endpoint": leads_to(r"#/endpoints\?new=1"),
}


async def select_all(page: Page) -> None:
    """With the focus on the row between."""
    boxes = page.get_by_role("checkbox")
    await expect(boxes).to_have_count(3)
    for index in range(3):
        await boxes.nth(index).check()
    await page.locator(".jobs-name").nth(1).focus()


async def job_and_checkpoint(page: Page) -> None:
    """The job and its events are two answers, and either may come first."""
    await expect(page.get_by_role("button", name="Cancel job")).to_be_visible()
    await expect(page.locator(".job-table a:has-text('Try')")).to_be_visible()


PAGES: dict[str, Check] = {
    "/#/": shows("main h1"),
    "/#/playground": shows(".pg-head button:has-text('done')"),  # before a job is opened in it
    "/#/jobs": select_all,
    "/#/jobs/now": job_and_checkpoint,
    "/#/endpoints": shows(".ep .ui-button"),
}
FRAME = ("Everywhere", "Pages")


async def at(page: Page, origin: str, path: str) -> None:
    """A page that was just opened, from a page that does not exist."""
    if await page.locator("dialog[open]").count():
        await page.keyboard.press("Escape")
    await page.goto(f"{origin}/#/none")
    await expect(page.get_by_role("heading", name="No such page")).to_be_visible()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await page.goto(origin + path)
    await PAGES[path](page)
    await expect(page.get_by_role("link", name="Endpoints", exact=True)).to_be_visible()


async def each_does_what_is_listed(page: Page, origin: str, path: str) -> None:
    """The shortcuts that the sheet lists on one page."""
    await at(page, origin, path)
    await page.keyboard.press("?")
    sections = page.locator(".shell-keys section:not(:has-text('Chart'))")
    await expect(sections.first).to_be_visible()
    shown = [
        (
            await section.locator("h3").inner_text(),
            await row.locator("dt").inner_text(),
            await keys_of(row),
        )
        for section in await sections.all()
        for row in await section.locator("dl > div").all()
    ]
    assert len({keys for _, _, keys in shown}) == len(shown)
    for section, label, keys in shown:
        # Those of the frame lead from Jobs elsewhere and from Home to Jobs: that is enough of them.
        if section in FRAME and path != "/#/jobs" and (path, label) != ("/#/", "Go to Jobs"):
            continue
        await at(page, origin, path)
        if len(keys) > 1:  # without a pause, in which it would be forgotten what they begin with
            await page.keyboard.type("".join(keys))
        else:
            await page.keyboard.press("Control+k" if keys[0] == "Ctrl K" else keys[0])
        await EFFECTS[label](page)


async def test_each_shortcut_does_what_is_listed(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    fake_backend.add_job("queued", name="later")
    fake_backend.add_job("completed", name="done")
    job = fake_backend.add_job("running", name="now", id="now")
    fake_backend.emit(job, "checkpoint.saved", step=3, artifacts=[])
    async with open_page(studio.url, None) as page:
        for path in PAGES:
            await each_does_what_is_listed(page, studio.url, path)


async def label_of(row: Locator) -> str:
    """What a row of the sheet says."""
    return await row.locator("dt").inner_text()


async def keys_of(row: Locator) -> tuple[str, ...]:
    """The keys of a row of the sheet."""
    return tuple(await row.locator("kbd").all_inner_texts())


PRESSED_AT_ONCE = """([selector, key, hash]) => {
    new MutationObserver((_, observer) => {
        if (!document.querySelector(selector)) return;
        observer.disconnect();
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    }).observe(document, { childList: true, subtree: true });
    if (hash) location.hash = hash;
}"""
AT_ONCE_IN_A_MENU = """async () => {
    document.querySelector(".ui-menu button").click();
    await new Promise((done) => setTimeout(done));
    return document.activeElement.role;
}"""


async def test_shortcuts_work_before_the_next_frame(
    studio: Studio, fake_backend: FakeBackend, open_page: OpenPage
) -> None:
    """Before the next frame: what is seen can be used."""
    fake_backend.features = ["edit"]
    fake_backend.add_job("completed", name="support-bot", id="done")
    async with open_page(studio.url, None) as page:
        await page.add_init_script(f"({PRESSED_AT_ONCE})(['.shell-help', '?'])")
        await page.goto(f"{studio.url}/#/jobs")
        await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator(".jobs-row .jobs-star")).to_be_visible()  # it knows what the backend can
        await page.evaluate(PRESSED_AT_ONCE, [".job-title .jobs-star", "e", "#/jobs/done"])
        await expect(page.get_by_role("textbox", name="Name")).to_be_focused()
        # The next key after a click on a menu is the menu's.
        assert await page.evaluate(AT_ONCE_IN_A_MENU) == "menuitemradio"
