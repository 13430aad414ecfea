"""A context that is used again shows nothing of the test before, and a changed one is not used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import shell_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from playwright.async_api import Browser, BrowserContext, Page

    from tests.support.studio import Studio

    from .conftest import OpenPage

pytestmark = [
    pytest.mark.browser,
    pytest.mark.chromium_only("in Firefox each test has a context of its own"),
]

STORE = """async () => {
    localStorage.setItem("kept", "1");
    sessionStorage.setItem("kept", "1");
    document.cookie = "kept=1";
    await (await caches.open("kept")).put("/kept", new Response("1"));
    await new Promise((done, fail) => {
        const opening = indexedDB.open("kept", 1);
        opening.onsuccess = () => done(opening.result.close());
        opening.onerror = fail;
    });
}"""
STORED = """async () => [
    Object.keys(localStorage).filter((key) => key === "kept").length,
    Object.keys(sessionStorage).filter((key) => key === "kept").length,
    document.cookie,
    (await caches.keys()).length,
    (await indexedDB.databases()).filter(({ name }) => name === "kept").length,
    typeof window.kept,
    history.length,
    innerWidth,
    matchMedia("(prefers-color-scheme: dark)").matches,
]"""


async def test_tests_share_no_browser_state(studio: Studio, open_page: OpenPage) -> None:
    async with open_page(studio.url, faulty=True) as page:  # it may ask for its jobs when that is refused
        first, fresh = page.context, await page.evaluate(STORED)
        await page.evaluate(STORE)
        await page.goto(studio.url + "/#/jobs")
        await page.evaluate("window.kept = 1")
        await page.set_viewport_size({"width": 390, "height": 900})
        await page.emulate_media(color_scheme="dark")
        await page.route("**/api/**", lambda route: route.abort())
        left = await page.evaluate(STORED)
    assert left == [1, 1, "kept=1", 1, 1, "number", fresh[6] + 1, 390, True]
    async with open_page(studio.url) as page:
        assert page.context is first
        assert await page.evaluate(STORED) == fresh
        assert (await page.request.get(studio.url)).ok
        assert await page.evaluate("fetch('/').then(({ ok }) => ok)")


needs_shell = pytest.mark.skipif(
    shell_path() is None, reason="a whole Chromium keeps a process ready for the next page"
)


async def renderers(browser: Browser) -> set[int]:
    """The processes of the browser that run pages."""
    tools = await browser.new_browser_cdp_session()
    processes = (await tools.send("SystemInfo.getProcessInfo"))["processInfo"]
    await tools.detach()
    return {each["id"] for each in processes if each["type"] == "renderer"}


@needs_shell
async def test_tests_share_a_renderer_process(studio: Studio, browser: Browser, open_page: OpenPage) -> None:
    async with open_page(studio.url) as page:
        await page.wait_for_selector("h1")
        before = await renderers(browser)
    async with open_page(studio.url) as page:
        await page.wait_for_selector("h1")
        assert await renderers(browser) <= before  # that of another context may have ended meanwhile


CHANGES: dict[str, Callable[[Page], Awaitable[object] | None]] = {
    "offline": lambda page: page.context.set_offline(True),
    "permissions": lambda page: page.context.grant_permissions(["clipboard-read"]),
    "clock": lambda page: page.clock.install(),
    "script": lambda page: page.context.add_init_script("1"),
    "listener": lambda page: page.context.on("dialog", lambda _: None),
}


async def test_a_changed_context_is_not_used_again(studio: Studio, open_page: OpenPage) -> None:
    changed: dict[BrowserContext, str] = {}
    for name, change in [*CHANGES.items(), ("nothing", lambda _: None)]:
        async with open_page(studio.url, None) as page:
            assert page.context not in changed, changed[page.context]
            changed[page.context] = name
            done = change(page)
            if done is not None:
                await done


async def test_a_failed_tests_context_is_not_reused(studio: Studio, open_page: OpenPage) -> None:
    had: list[BrowserContext] = []

    async def fail() -> None:
        async with open_page(studio.url, None) as page:
            had.append(page.context)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with open_page(studio.url, None) as page:
        assert page.context is not had[0]


async def test_a_second_tab_needs_the_tabs_mark(studio: Studio, open_page: OpenPage) -> None:
    async with open_page(studio.url, None) as page:
        with pytest.raises(AssertionError, match="mark `tabs`"):
            await page.context.new_page()


@needs_shell
@pytest.mark.tabs
async def test_with_the_tabs_mark_each_tab_has_a_process(
    studio: Studio, browser: Browser, open_page: OpenPage
) -> None:
    async with open_page(studio.url) as page:
        one = await renderers(browser)
        other = await page.context.new_page()
        await other.goto(studio.url)
        assert len(await renderers(browser) - one) == 1
